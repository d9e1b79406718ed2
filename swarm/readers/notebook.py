"""The text of a Jupyter notebook by its cells: text as it is, code and what it printed in fences."""

import json
from collections.abc import Iterator
from itertools import chain
from typing import Any, cast

from swarm.base.places import mark
from swarm.readers.result import Extract, clean, joined
from swarm.readers.zips import UnreadableError

MOST_OUTPUT = 20_000
"""Maximum characters of one output: the log of a training run is longer than its notebook."""


def read_notebook(text: str) -> Extract:
    """Return the text of a notebook. Raise UnreadableError if it is not one."""
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError):
        raise UnreadableError("is damaged: it is not valid JSON") from None
    notebook = _mapping(value)
    language = str(_mapping(_mapping(notebook.get("metadata")).get("language_info")).get("name") or "python")
    cells = [_mapping(each) for each in _list(notebook.get("cells"))]
    outputs = chain.from_iterable(_list(each.get("outputs")) for each in cells)
    pictures = sum(1 for each in outputs if _is_picture(_mapping(each)))
    texts = [f"{mark('cell', n)}\n{_cell(each, language)}" for n, each in enumerate(cells, 1)]
    notes = (f"pictures in outputs were not read: {pictures:,}",) if pictures else ()
    return Extract(joined(texts), "cell", len(cells), notes)


def _cell(cell: dict[str, Any], language: str) -> str:
    source = clean(_text(cell.get("source")))
    if cell.get("cell_type") != "code":
        return source
    outputs = [text for each in _list(cell.get("outputs")) if (text := _output(_mapping(each)))]
    return joined([_fenced(source, language), *(f"Output:\n\n{_fenced(text)}" for text in outputs)])


def _output(output: dict[str, Any]) -> str:
    """Return what an output shows as text; nothing of pictures."""
    if output.get("output_type") == "error":
        text = f"{output.get('ename', '')}: {output.get('evalue', '')}"
    else:
        data = _mapping(output.get("data"))
        text = _text(output.get("text") or data.get("text/markdown") or data.get("text/plain"))
    text = clean(text)
    return text if len(text) <= MOST_OUTPUT else f"{text[:MOST_OUTPUT]}\n… ({len(text) - MOST_OUTPUT:,} more)"


def _is_picture(output: dict[str, Any]) -> bool:
    return any(kind.startswith("image/") for kind in _mapping(output.get("data")))


def _fenced(text: str, language: str = "") -> str:
    return f"```{language}\n{text}\n```" if text else ""


def _text(value: object) -> str:
    """Return a text that may be stored as a list of lines."""
    if isinstance(value, list):
        return "".join(map(str, cast("list[object]", value)))
    return value if isinstance(value, str) else ""


def _mapping(value: object) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _list(value: object) -> Iterator[object]:
    return iter(cast("list[object]", value) if isinstance(value, list) else ())
