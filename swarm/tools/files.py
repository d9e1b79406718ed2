"""The kit `files`: what a step was given, and a scratch folder of its own. It needs no more grant than its name.

Names are names of inputs, `step/<id>` for the output of a step, `step/<id>/<name>` for a file that
it left, and scratch names. They are never paths of this machine.
"""

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

import anyio.to_thread

from swarm.base.errors import ToolError
from swarm.base.text import clip, listing
from swarm.tools.functions import tool
from swarm.tools.kinds import Tool
from swarm.tools.kit import Kit, offered
from swarm.tools.pages import cut_line, page_of, written_page
from swarm.tools.place import STEP, Place
from swarm.tools.query import ENDINGS, run_query, table_names
from swarm.tools.scratch import MOST_FILE_BYTES, checked_name, is_there, names_in, read_scratch, write_scratch

PAGE_BYTES = 8 * 1024
"""Maximum bytes of a page."""
MOST_LISTED = 500
"""Maximum names of a list."""
MOST_FOUND = 200
"""Maximum lines that `grep_files` shows."""


@tool
async def list_files(place: Place, glob: str = "*") -> str:
    """List the files that you can read: inputs, outputs of other steps (step/ID), and your own. With sizes in bytes.

    Args:
        place: the step
        glob: pattern of names, such as *.csv
    """
    rows = [f"{size:>12,}  {name}" for name, size in _sizes(place) if fnmatchcase(name, glob)]
    if not rows:
        return f"no file matches {clip(glob)!r}"
    more = [f"and {len(rows) - MOST_LISTED:,} more"] if len(rows) > MOST_LISTED else []
    return "\n".join([*rows[:MOST_LISTED], *more])


@tool
async def read_file(place: Place, name: str, from_line: int = 1, lines: int = 200) -> str:
    """Read lines of a file, from line 1 if nothing else is said.

    Args:
        place: the step
        name: name of the file, as list_files shows it
        from_line: number of the first line
        lines: number of lines
    """
    text = await anyio.to_thread.run_sync(text_of, place, name)
    return written_page(page_of(text.split("\n"), max(1, from_line), max(1, lines), PAGE_BYTES))


@tool
async def grep_files(place: Place, text: str, glob: str = "*") -> str:
    """Find a text in files, each line with its file and number. The text is literal, no pattern; case does not matter.

    Args:
        place: the step
        text: text to find
        glob: pattern of the names of the files to look into
    """
    if not text:
        raise ToolError("text: must not be empty", kind="arguments")
    return await anyio.to_thread.run_sync(_grep, place, text, glob)


@tool(effect="read", stable=True, shared=False, alone="step")
async def write_file(place: Place, name: str, text: str) -> str:
    """Write a file of your own, for later calls and for the steps that read your output. It replaces an older one.

    Args:
        place: the step
        name: relative name, such as notes.md
        text: content
    """
    plain = checked_name(name)
    if plain.startswith(STEP) or plain in {each.name for each in place.inputs}:
        raise ToolError(f"{clip(plain)} is the name of something that you were given; choose another one")
    content = text.encode("utf-8", "replace")
    if len(content) > MOST_FILE_BYTES:
        raise ToolError(f"a file may have {MOST_FILE_BYTES:,} bytes; this one has {len(content):,}")
    await anyio.to_thread.run_sync(write_scratch, place.scratch, plain, content)
    return f"wrote {len(content):,} bytes to {plain}"


@tool(seconds=30)
async def query_files(place: Place, sql: str) -> str:
    """Query CSV and JSON files as tables with one SELECT of SQLite. The table of sales.csv is called sales.

    Args:
        place: the step
        sql: one SELECT
    """
    names = [name for name, _ in _sizes(place) if name.lower().endswith(ENDINGS)]
    if not names:
        raise ToolError(f"there is no table here: files that end in {listing(ENDINGS)} are tables")
    tables = table_names(names)
    wanted = [name for name in names if tables[name] in sql.lower()]
    texts = {name: await anyio.to_thread.run_sync(text_of, place, name) for name in wanted or names}
    return await anyio.to_thread.run_sync(run_query, sql, texts, tables, abandon_on_cancel=True)


def _sizes(place: Place) -> Iterator[tuple[str, int]]:
    """Yield name and size of everything that a step can read."""
    yield from ((each.name, each.size) for each in place.inputs)
    yield from ((f"{STEP}{step}", len(text.encode("utf-8", "replace"))) for step, text in place.given.items())
    yield from ((name, made.size) for name, made in place.files.items())
    if place.has_scratch:
        for name in names_in(place.scratch):
            yield name, (place.scratch / name).lstat().st_size


def text_of(place: Place, name: str) -> str:
    """Return the text of a file by its name. Raise `ToolError`."""
    for each in place.inputs:
        if each.name == name:
            if each.medium != "text":
                raise ToolError(f"{clip(name)} is an {each.medium} file: it has no text")
            return each.text
    if name.startswith(STEP):
        return _given_text(place, name)
    if not place.has_scratch:
        raise ToolError(_unknown(place, name))
    plain = checked_name(name)
    if not is_there(place.scratch, plain):
        raise ToolError(_unknown(place, name))
    return _decoded(name, read_scratch(place.scratch, plain))


def _given_text(place: Place, name: str) -> str:
    step = name.removeprefix(STEP)
    if step in place.given:
        return place.given[step]
    if name in place.files:
        return _decoded(name, place.content(place.files[name]))
    raise ToolError(_unknown(place, name))


def _decoded(name: str, content: bytes) -> str:
    if b"\0" in content[:10_000]:
        raise ToolError(f"{clip(name)} is not a text")
    return content.decode("utf-8", "replace")


def _unknown(place: Place, name: str) -> str:
    return f"there is no file {clip(name)!r}; there are {listing((each for each, _ in _sizes(place)), 12)}"


def _grep(place: Place, text: str, glob: str) -> str:
    sought = text.casefold()
    found: list[str] = []
    skipped: list[str] = []
    media = {each.name for each in place.inputs if each.medium != "text"}  # a picture has no text
    for name, _ in _sizes(place):
        if not fnmatchcase(name, glob) or name in media:
            continue
        try:
            content = text_of(place, name)
        except ToolError:
            skipped.append(name)
            continue
        for number, line in enumerate(content.split("\n"), 1):
            at = line.casefold().find(sought)
            if at >= 0:
                found.append(f"{name}:{number}: {cut_line(line, at)}")
            if len(found) > MOST_FOUND:
                return "\n".join([*found[:MOST_FOUND], "(more lines match: use a longer text or a narrower glob)"])
    left_out = [f"(not searched, because they are no text or too large: {listing(skipped, 12)})"] if skipped else []
    return "\n".join([*(found or [f"no file has {clip(text)!r}"]), *left_out])


def _of_kit(made: Tool, *, rebuilds: bool = False) -> Tool:
    """Return a function of this module as a tool of the kit. What it gives depends on the step that asks."""
    traits: dict[str, Any] = {"seconds": made.seconds, "alone": made.alone, "rebuilds": rebuilds}
    return Tool(made.spec, made.run, stable=True, shared=False, kit="files", version="1", **traits)


class FilesKit(Kit):
    """The kit. It has nothing to open."""

    name = prefix = "files"

    def __init__(self) -> None:
        readers = (list_files, read_file, grep_files, query_files)
        self.tools = (*map(_of_kit, readers), _of_kit(write_file, rebuilds=True))
        self.offers = offered(self.tools)
