"""The choice of a reader for a text; readers of Python source, metadata, JSON and CSV."""

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
"""Maximum claims of one source. Reading and ranking that many takes about one second."""
_LARGEST_SOURCE = 300_000  # characters; longer source is read as text, because parsing takes 100 times its memory
_DEEPEST = 12  # maximum level of JSON that is read

_KEPT = ("summary", "requires-python")
_LICENCE = ("license-expression", "license")


def read(data: Data) -> Source:
    """Return the claims of a text.

    The reader depends on the file name, or on the form of an output.
    """
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
    """Return the docstring, imports and definitions of Python source, or None if it does not parse."""
    if len(text) > _LARGEST_SOURCE:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the source: invalid escapes, for example
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
    """Yield the public classes, functions and methods."""
    for node in body:
        if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) or node.name.startswith("_"):
            continue
        head = _class_head(node) if isinstance(node, ast.ClassDef) else _function_head(node)
        doc = sentences(flat(ast.get_docstring(node) or ""))
        yield Claim(cut(f"{head}: {doc[0]}" if doc else head)[0], where, 0.2 if doc else 0.0)
        if isinstance(node, ast.ClassDef) and len(where) < 2:
            yield from _definitions(node.body, (*where, node.name))


def _class_head(node: ast.ClassDef) -> str:
    bases = ", ".join(_dotted(base) for base in node.bases)
    return f"class {node.name}({bases})" if bases else f"class {node.name}"


def _function_head(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    every = (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
    arguments = ", ".join(a.arg for a in every if a.arg not in ("self", "cls"))
    keyword = "def" if isinstance(node, ast.FunctionDef) else "async def"
    return f"{keyword} {node.name}({arguments})"


def _dotted(node: ast.expr) -> str:
    parts: list[str] = []
    while isinstance(node, ast.Attribute | ast.Subscript):
        if isinstance(node, ast.Attribute):
            parts.append(node.attr)
        node = node.value
    if isinstance(node, ast.Name):
        parts.append(node.id)
    return ".".join(reversed(parts)) or "…"


def read_metadata(name: str, text: str) -> Source:
    """Return the headers of a package's metadata that audits need, each with its name and version."""
    fields = _headers(text)
    first = {key: values[0] for key, values in fields.items() if values[0]}
    title = " ".join(first[key] for key in ("name", "version") if key in first) or flat(name)
    lines = [(f"{key.title()}: {first[key]}", 0.5, False) for key in _KEPT if key in first]
    lines += [(licence, 1.0, True) for licence in _licences(fields)]
    lines.append((f"Requires-Dist: {_needs(fields)}", 0.8, True))
    claims = [Claim(cut(f"{title}: {line}")[0], (), prior, always=always) for line, prior, always in lines]
    return Source(name, "", tuple(claims), named=False)


def _needs(fields: dict[str, list[str]]) -> str:
    """Return the required packages, without those of extras."""
    needs = [need for need in fields.get("requires-dist", []) if "extra ==" not in need]
    return ", ".join(needs) or NO_NEEDS


def _headers(text: str) -> dict[str, list[str]]:
    """Return the values of the headers above the first empty line, by name in lower case."""
    head = text.replace("\r\n", "\n").partition("\n\n")[0]
    fields: dict[str, list[str]] = {}
    for line in head.split("\n"):
        key, colon, value = line.partition(":")
        if colon and not line[:1].isspace():
            fields.setdefault(key.casefold(), []).append(flat(value))
    return fields


def _licences(fields: dict[str, list[str]]) -> list[str]:
    stated = [f"{key.title()}: {fields[key][0]}" for key in _LICENCE if fields.get(key, [""])[0]]
    if not stated:
        classifiers = fields.get("classifier", [])
        stated = [f"Classifier: {each}" for each in classifiers if each.startswith("License ::")]
    return [text[: LONGEST // 2] for text in stated[:1]] or [NO_LICENCE]


def read_json(name: str, text: str) -> Source | None:
    """Return a claim for each flat object and each leaf of JSON, or None if it is not JSON."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return Source(name, "", tuple(islice(_leaves(value, (), 0), MOST_CLAIMS)))


def _leaves(value: Json, where: tuple[str, ...], depth: int) -> Iterator[Claim]:
    """Yield the claims of a JSON value. `where` is its path."""
    if depth > _DEEPEST:
        return
    if isinstance(value, dict):
        yield from _fields(cast("dict[str, Json]", value), where, depth)
    elif isinstance(value, list):
        for inner in cast("list[Json]", value):
            yield from _leaves(inner, where, depth + 1)
    else:
        yield from (Claim(sentence, where) for sentence in sentences(_leaf(value)))


def _fields(value: dict[str, Json], where: tuple[str, ...], depth: int) -> Iterator[Claim]:
    """Yield one claim for all leaves of an object, then the claims of its other fields."""
    leaves = {key: each for key, each in value.items() if not isinstance(each, dict | list)}
    if leaves:
        text = row([_leaf(key) for key in leaves], [_leaf(each) for each in leaves.values()])
        yield from (Claim(piece, where) for piece in cut(text))
    for key, each in value.items():
        if key not in leaves:
            yield from _leaves(each, (*where, _leaf(key)), depth + 1)


def _leaf(value: Json) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return flat(text.encode("utf-8", "replace").decode())


def read_table(name: str, text: str) -> Source | None:
    """Return a claim per row of a table with a head, or None if it is too small."""
    lines = [*text.splitlines()[:1], *sampled(text.splitlines()[1:], MOST_CLAIMS)]
    try:
        rows = list(csv.reader(lines, delimiter="\t" if name.endswith(".tsv") else ","))
    except csv.Error:
        return None
    if len(rows) < 2 or len(rows[0]) < 2:
        return None
    columns = [flat(cell) for cell in rows[0]]
    claims: list[Claim] = []
    for values in rows[1:]:
        text = entry(columns, [flat(value) for value in values])
        claims += [Claim(piece, listed=True) for piece in cut(text)]
    return Source(name, "", tuple(claims))
