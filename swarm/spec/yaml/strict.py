"""What people write, read strictly: every problem found in one go, each with its file, line and column.

A text is parsed to a `Document` (`parse`, `read`), and a document is made a model (`validate`). A problem reads

    task.yaml:3:1: modles: unknown key; allowed here: agents, approve, …; did you mean `models`?
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path as FilePath
from typing import Any, TypeVar, cast

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import to_json

from swarm.base.errors import InputError, Problem, TaskError
from swarm.base.redaction import safe_text
from swarm.base.text import clip
from swarm.base.values import Json
from swarm.spec.yaml.explain import explain
from swarm.spec.yaml.notation import (
    MOST_BYTES,
    Flaw,
    Path,
    Position,
    Reading,
    Stop,
    compose,
    json_tokens,
    quick_json,
)
from swarm.spec.yaml.yaml12 import yaml_tokens

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Document:
    """A text that was parsed: its value, and where everything in it is."""

    source: str
    """The file's name, as messages show it."""
    text: str = field(repr=False)
    value: Json = field(repr=False)
    flaws: tuple[Flaw, ...] = ()
    """What is wrong and could be read past. `validate` reports it with the rest."""
    known: list[Reading] = field(default_factory=list[Reading], repr=False)
    """The places, once something asked for them."""

    def place(self, path: Path = (), *, key: bool = False) -> str:
        """Name the place of a value, or of its key: `file:line:column`. What is absent has the place of its parent."""
        spot = self.spot(path, key=key)
        return f"{self.source}:{spot.line}:{spot.column}"

    def spot(self, path: Path = (), *, key: bool = False) -> Position:
        """Give the line and column in the file of a value, or of its key."""
        reading = self.reading()
        if key and path in reading.keys:
            return reading.keys[path]
        while path and path not in reading.places:
            path = path[:-1]
        return reading.places.get(path, Position(1, 1))

    def reading(self) -> Reading:
        """Give places and styles; for sound JSON they are computed at the first use."""
        if not self.known:
            self.known.append(compose(json_tokens(self.text), {}, Reading()))
        return self.known[0]

    def with_value(self, value: Json) -> "Document":
        """Give this document with another value, of which what was there keeps its place."""
        return replace(self, value=value)

    def problems(self, flaws: Iterable[Flaw]) -> tuple[Problem, ...]:
        """Turn flaws into problems, in the order of the file; what is said twice is said once."""
        placed: dict[tuple[Position, str, str], None] = {}
        for flaw in flaws:
            spot = flaw.spot or self.spot(flaw.path, key=flaw.on_key)
            placed[spot, dotted(flaw.path), flaw.message] = None
        ordered = sorted(placed, key=lambda entry: entry[0])
        return tuple(
            Problem(message, where=f"{self.source}:{spot.line}:{spot.column}", key=key)
            for spot, key, message in ordered
        )

    def located(self, problems: Iterable[Problem]) -> tuple[Problem, ...]:
        """Give problems that name only a key (`steps.2.needs`) the place of that key."""
        return tuple(p if p.where else replace(p, where=self.place(self._path(p.key))) for p in problems)

    def _path(self, key: str) -> Path:
        """Find the longest path that a dotted key begins with."""
        places = self.reading().places
        path: Path = ()
        rest = key.split(".") if key else []
        while rest:
            tries = [(n, part) for n in range(len(rest), 0, -1) for part in _parts(".".join(rest[:n]))]
            found = next(((n, part) for n, part in tries if (*path, part) in places), None)
            if found is None:
                break
            path, rest = (*path, found[1]), rest[found[0] :]
        return path


def _parts(word: str) -> tuple[str | int, ...]:
    return (word, int(word)) if word.isascii() and word.isdigit() and len(word) < 10 else (word,)


def dotted(path: Path) -> str:
    """Write a path as messages do: `steps.2.needs`."""
    return ".".join(clip(str(part), 64) for part in path)


def parse(
    text: str,
    *,
    source: str,
    line: int = 1,
    caps: Mapping[Path, int] | None = None,
    error: type[InputError] = TaskError,
) -> Document:
    """Parse YAML or JSON; what is wrong and can be read past is kept in the document.

    `line` is that of the file which the text begins in. `caps` bounds the items of the lists at some paths: a longer
    one ends the parsing at once. Raises `error` for what cannot be read past: bad syntax, over 1 MB, over 64 levels, a
    second document, a list over its cap.
    """
    caps = caps or {}
    if len(text) > MOST_BYTES or len(text.encode("utf-8", "surrogatepass")) > MOST_BYTES:
        raise error(Problem(f"has more than {MOST_BYTES:,} bytes, which is the most that is read", where=source))
    text = "\n" * (line - 1) + text.removeprefix("\ufeff")
    kind, value = quick_json(text, caps) if text.lstrip()[:1] in {"{", "["} else ("other", None)
    if kind == "sound":
        return Document(source, text, value)
    reading = Reading()
    try:
        compose(json_tokens(text) if kind == "flawed" else yaml_tokens(text), caps, reading)
    except Stop as stop:
        found = Document(source, text, None, known=[reading]).problems(reading.flaws)
        raise error(*found, Problem(stop.message, where=f"{source}:{stop.spot.line}:{stop.spot.column}")) from None
    return Document(source, text, reading.value, tuple(reading.flaws), [reading])


def read(text: str, *, source: str, line: int = 1, error: type[InputError] = TaskError) -> Document:
    """Parse YAML or JSON in which nothing may be wrong. Raises `error` with all problems."""
    document = parse(text, source=source, line=line, error=error)
    if document.flaws:
        raise error(*document.problems(document.flaws))
    return document


def read_file(path: FilePath, *, most: int = MOST_BYTES, error: type[InputError] = TaskError) -> str:
    """Read a file of UTF-8 text; a byte order mark is left out. Raises `error`, saying what to do."""
    name = safe_text(str(path))
    try:
        if not path.is_file():
            wrong = "is a folder, not a file" if path.is_dir() else "there is no such file"
            raise error(Problem(wrong, where=name))
        with path.open("rb") as file:
            content = file.read(most + 1)
    except OSError as problem:
        raise error(Problem(f"cannot be read: {problem.strerror or problem}", where=name)) from None
    if len(content) > most:
        raise error(Problem(f"has more than {most:,} bytes, which is the most that is read", where=name))
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line = content.count(b"\n", 0, problem.start) + 1
        raise error(Problem("is not UTF-8 text; save it as UTF-8", where=f"{name}:{line}:1")) from None


def is_file(path: FilePath) -> bool:
    """Tell whether there is such a file; a name that no file can have is none."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def validate(
    kind: type[T] | TypeAdapter[T],
    document: Document,
    *,
    error: type[InputError] = TaskError,
    flaws: Iterable[Flaw] = (),
) -> T:
    """Make a document a model: no value is converted to fit, and all that is wrong is reported at once.

    `flaws` are what the caller has found already. Raises `error` with every problem in the order of the file.
    """
    adapter = cast("TypeAdapter[T]", kind if isinstance(kind, TypeAdapter) else TypeAdapter(kind))
    found = [*document.flaws, *flaws]
    model: T | None = None
    try:
        model = adapter.validate_json(to_json(document.value), strict=True)
    except ValidationError as invalid:
        explained = explain(invalid, document.value, adapter.json_schema)
        said = {flaw.path for flaw in found}
        found += [flaw for flaw in explained if flaw.path not in said]
    if found:
        raise error(*document.problems(found))
    return cast("T", model)


def dump(model: BaseModel) -> dict[str, Any]:
    """Write a model as the JSON value a file would hold: aliases, and no key whose value is null by default."""
    written = model.model_dump(mode="json", by_alias=True)
    for name, about in type(model).model_fields.items():
        key = about.alias or name
        if key not in written:
            continue
        value = getattr(model, name)
        if value is None and about.default is None:
            del written[key]
        else:
            written[key] = _dumped(value, written[key])
    return written


def _dumped(value: Any, written: Json) -> Json:
    if isinstance(value, BaseModel):
        return dump(value)
    if isinstance(value, tuple) and isinstance(written, list):
        pairs = zip(cast("tuple[Any, ...]", value), cast("list[Any]", written), strict=True)
        return [_dumped(*pair) for pair in pairs]
    if isinstance(value, dict):
        return {key: _dumped(inner, written[key]) for key, inner in cast("dict[str, Any]", value).items()}
    return written
