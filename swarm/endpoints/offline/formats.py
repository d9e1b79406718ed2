"""Reads what is not prose as claims: Python source, package metadata, JSON, CSV; and chooses how a text is read."""

import ast
import csv
import json
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import cast

from swarm.base.values import Json
from swarm.endpoints.offline.read import LONGEST, Claim, Source, cut, entry, flat, read_prose, row, sampled, sentences
from swarm.spec.chat import Data

IMPORTS = "Imports"
NO_LICENCE = "License: none stated"
NO_NEEDS = "none"
MOST_CLAIMS = 20_000
"""Most claims of one source that are looked at; reading and ranking that many takes about a second."""
_LARGEST_SOURCE = 300_000  # characters; above, source is read as text: the parser's memory is 100 times the text
_DEEPEST = 12  # levels of JSON that are followed

_KEPT = ("summary", "requires-python")
_LICENCE = ("license-expression", "license")


def read(data: Data) -> Source:
    """Read a text as its kind asks for: by the name of a file, by the look of what a model or a tool wrote."""
    source = _read(data)
    if data.of != "input":
        source = replace(source, title="", named=False)
    claims = tuple(claim for claim in source.claims if any(c.isalnum() for c in claim.text))
    return replace(source, claims=tuple(sampled(claims, MOST_CLAIMS)))


def _read(data: Data) -> Source:
    name, text = data.name, data.text
    found: Source | None = None
    if data.of == "input" and name.endswith((".py", ".pyi")):
        found = read_python(name, text)
    elif text.startswith("Metadata-Version:"):
        found = read_metadata(name, text)
    elif data.of == "input" and name.endswith((".csv", ".tsv")):
        found = read_table(name, text)
    elif text.lstrip()[:1] in ("{", "["):
        found = read_json(name, text)
    return found or read_prose(name, text, titled=data.of == "input")


def read_python(name: str, text: str) -> Source | None:
    """Read Python source: what it is for, what it imports, what it defines; None if it does not parse."""
    if len(text) > _LARGEST_SOURCE:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the source: invalid escapes and the like
            module = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    claims: list[Claim] = []
    doc = read_prose(name, ast.get_docstring(module) or "", titled=False).claims
    claims += [Claim(c.text, c.where, 0.2 if i else 1.0, always=not i) for i, c in enumerate(doc)]
    imports = _imports(module)
    if imports:
        claims.append(Claim(cut(f"{IMPORTS}: {', '.join(imports)}")[0], (), 0.3, always=True))
    claims += _definitions(module.body, ())
    return Source(name, "", tuple(claims), path=True)


def _imports(module: ast.Module) -> list[str]:
    found: dict[str, None] = {}
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            found.update((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            found["." * node.level + (node.module or "")] = None
    return list(found)


def _definitions(body: Sequence[ast.stmt], where: tuple[str, ...]) -> Iterator[Claim]:
    """Read classes, functions and methods, but for private ones."""
    for node in body:
        if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) or node.name.startswith("_"):
            continue
        if isinstance(node, ast.ClassDef):
            bases = ", ".join(_dotted(base) for base in node.bases)
            head = f"class {node.name}({bases})" if bases else f"class {node.name}"
        else:
            every = (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
            arguments = ", ".join(a.arg for a in every if a.arg not in ("self", "cls"))
            head = f"{'def' if isinstance(node, ast.FunctionDef) else 'async def'} {node.name}({arguments})"
        doc = sentences(flat(ast.get_docstring(node) or ""))
        yield Claim(cut(f"{head}: {doc[0]}" if doc else head)[0], where, 0.2 if doc else 0.0)
        if isinstance(node, ast.ClassDef) and len(where) < 2:
            yield from _definitions(node.body, (*where, node.name))


def _dotted(node: ast.expr) -> str:
    parts: list[str] = []
    while isinstance(node, ast.Attribute | ast.Subscript):
        if isinstance(node, ast.Attribute):
            parts.append(node.attr)
        node = node.value
    return ".".join([*([node.id] if isinstance(node, ast.Name) else []), *reversed(parts)]) or "…"


def read_metadata(name: str, text: str) -> Source:
    """Read the metadata of a package: the headers that people audit, each behind the package's name and version."""
    head = text.replace("\r\n", "\n").partition("\n\n")[0]
    fields: dict[str, list[str]] = {}
    for line in head.split("\n"):
        key, colon, value = line.partition(":")
        if colon and not line[:1].isspace():
            fields.setdefault(key.casefold(), []).append(flat(value))
    first = {key: values[0] for key, values in fields.items() if values[0]}
    title = " ".join(first[key] for key in ("name", "version") if key in first) or flat(name)
    told = [(f"{key.title()}: {first[key]}", 0.5, False) for key in _KEPT if key in first]
    told += [(licence, 1.0, True) for licence in _licences(fields)]
    needs = [need for need in fields.get("requires-dist", []) if "extra ==" not in need]
    told.append((f"Requires-Dist: {', '.join(needs) or NO_NEEDS}", 0.8, True))
    every = tuple(Claim(cut(f"{title}: {line}")[0], (), prior, always=always) for line, prior, always in told)
    return Source(name, "", every, named=False)


def _licences(fields: dict[str, list[str]]) -> list[str]:
    stated = [f"{key.title()}: {fields[key][0]}" for key in _LICENCE if fields.get(key, [""])[0]]
    if not stated:
        stated = [f"Classifier: {value}" for value in fields.get("classifier", []) if value.startswith("License ::")]
    return [text[: LONGEST // 2] for text in stated[:1]] or [NO_LICENCE]


def read_json(name: str, text: str) -> Source | None:
    """Read JSON: a claim for each flat object and each leaf, its path in front; None if it is not JSON."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return Source(name, "", tuple(islice(_leaves(value, (), 0), MOST_CLAIMS)))


def _leaves(value: Json, where: tuple[str, ...], depth: int) -> Iterator[Claim]:
    if depth > _DEEPEST:
        return
    if isinstance(value, dict):
        fields = cast("dict[str, Json]", value)
        leaves = {key: inner for key, inner in fields.items() if not isinstance(inner, dict | list)}
        if leaves:
            text = row([_leaf(key) for key in leaves], [_leaf(inner) for inner in leaves.values()])
            yield from (Claim(piece, where) for piece in cut(text))
        for key, inner in fields.items():
            if key not in leaves:
                yield from _leaves(inner, (*where, _leaf(key)), depth + 1)
    elif isinstance(value, list):
        for inner in cast("list[Json]", value):
            yield from _leaves(inner, where, depth + 1)
    else:
        yield from (Claim(sentence, where) for sentence in sentences(_leaf(value)))


def _leaf(value: Json) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return flat(text.encode("utf-8", "replace").decode())


def read_table(name: str, text: str) -> Source | None:
    """Read comma- or tab-separated values whose first line names the columns; None if there are fewer than two."""
    lines = [*text.splitlines()[:1], *sampled(text.splitlines()[1:], MOST_CLAIMS)]
    try:
        rows = list(csv.reader(lines, delimiter="\t" if name.endswith(".tsv") else ","))
    except csv.Error:
        return None
    if len(rows) < 2 or len(rows[0]) < 2:
        return None
    columns = [flat(cell) for cell in rows[0]]
    claims = [
        Claim(piece, listed=True) for values in rows[1:] for piece in cut(entry(columns, [flat(v) for v in values]))
    ]
    return Source(name, "", tuple(claims))
