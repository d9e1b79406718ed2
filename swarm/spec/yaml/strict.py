"""The strict reader of what people write: it reports all errors together, each with file, line and column.

`parse` and `read` turn a text into a `Document`; `validate` turns a document into a model. An error
looks like this:

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
    Path,
    Position,
    Stop,
    YamlReading,
    compose,
    json_tokens,
    quick_json,
)
from swarm.spec.yaml.yaml12 import yaml_tokens

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Document:
    """A parsed text: its value, and the position of everything in it."""

    source: str
    """Name of the file in messages."""
    text: str = field(repr=False)
    value: Json = field(repr=False)
    problems: tuple[Problem, ...] = ()
    """Errors after which the parser could continue. `validate` reports them with its own."""
    known: list[YamlReading] = field(default_factory=list[YamlReading], repr=False)
    """The positions, after their first use."""
    is_placed: bool = True
    """Whether messages give line and column. False for a value of a Python program."""

    def place(self, path: Path = (), *, key: bool = False) -> str:
        """Return the place of a value or of its key as `file:line:column`; of its parent if there is no such value."""
        return self._place(self._position(path, key))

    def _place(self, position: tuple[int, int]) -> str:
        line, column = position
        return f"{self.source}:{line}:{column}" if self.is_placed else self.source

    def _position(self, path: Path, key: bool) -> Position:
        reading = self.reading()
        if key and path in reading.keys:
            return reading.keys[path]
        while path and path not in reading.values:
            path = path[:-1]
        return reading.values.get(path, Position(1, 1))

    def reading(self) -> YamlReading:
        """Return the positions and which texts are without quotes.

        For valid JSON, compute them at the first use.
        """
        if not self.known:
            self.known.append(compose(json_tokens(self.text), {}, YamlReading()))
        return self.known[0]

    def with_value(self, value: Json) -> "Document":
        """Return this document with another value.

        Parts that were in the text keep their positions.
        """
        return replace(self, value=value)

    def located(self, problems: Iterable[Problem]) -> tuple[Problem, ...]:
        """Return problems with `where` and `key` set, in the order given.

        `path` decides, else `key`.
        """
        return tuple(self._located(problem) for problem in problems)

    def _located(self, problem: Problem) -> Problem:
        if problem.where:
            return problem
        path = problem.path or self._path(problem.key)
        position = problem.position or self._position(path, problem.on_key)
        key = problem.key or dotted(path)
        return Problem(problem.message, where=self._place(position), key=key, position=position)

    def in_order(self, problems: Iterable[Problem]) -> tuple[Problem, ...]:
        """Return located problems in the order of the file, without repetitions."""
        unique = dict.fromkeys(self.located(problems))
        return tuple(sorted(unique, key=lambda problem: problem.position or (0, 0)))

    def _path(self, key: str) -> Path:
        """Return the longest path that exists in the document and that a dotted key begins with.

        Names may contain dots, so the longest name that exists is taken at each level.
        """
        path: Path = ()
        rest = key.split(".") if key else []
        while rest:
            length, part = self._longest_part(path, rest)
            if not length:
                break
            path, rest = (*path, part), rest[length:]
        return path

    def _longest_part(self, path: Path, words: list[str]) -> tuple[int, str | int]:
        """Return the next part of a path and the number of words in it; 0 if no value is there."""
        values = self.reading().values
        for length in range(len(words), 0, -1):
            name = ".".join(words[:length])
            if (*path, name) in values:
                return length, name
            is_index = name.isascii() and name.isdigit() and len(name) < 10
            if is_index and (*path, int(name)) in values:
                return length, int(name)
        return 0, ""


def dotted(path: Path) -> str:
    """Return a path as messages show it: `steps.2.needs`."""
    return ".".join(clip(str(part), 64) for part in path)


def parse(
    text: str,
    *,
    source: str,
    line: int = 1,
    caps: Mapping[Path, int] | None = None,
    error: type[InputError] = TaskError,
) -> Document:
    """Parse YAML or JSON. The document holds the errors after which the parser could continue.

    `line` is the line of the file in which the text begins. `caps` sets the maximum length of lists
    at some paths. Raise `error` for bad syntax, more than 1 MB, more than 64 levels, a second
    document, or a list over its cap.
    """
    caps = caps or {}
    if len(text) > MOST_BYTES or len(text.encode("utf-8", "surrogatepass")) > MOST_BYTES:
        raise error(Problem(f"has more than {MOST_BYTES:,} bytes, the maximum", where=source))
    text = "\n" * (line - 1) + text.removeprefix("\ufeff")
    kind, value = quick_json(text, caps) if text.lstrip()[:1] in {"{", "["} else ("other", None)
    if kind == "valid":
        return Document(source, text, value)
    reading = YamlReading()
    tokens = json_tokens(text) if kind == "invalid" else yaml_tokens(text)
    try:
        compose(tokens, caps, reading)
    except Stop as stop:
        found = Document(source, text, None, known=[reading]).in_order(reading.problems)
        last = Problem(stop.message, where=f"{source}:{stop.position.line}:{stop.position.column}")
        raise error(*found, last) from None
    return Document(source, text, reading.value, tuple(reading.problems), [reading])


def read(text: str, *, source: str, line: int = 1, error: type[InputError] = TaskError) -> Document:
    """Parse YAML or JSON. Raise `error` with all problems if there are any."""
    document = parse(text, source=source, line=line, error=error)
    if document.problems:
        raise error(*document.in_order(document.problems))
    return document


def read_file(path: FilePath, *, most: int = MOST_BYTES, error: type[InputError] = TaskError) -> str:
    """Return the text of a UTF-8 file, without a byte order mark.

    Raise `error` if it cannot be read.
    """
    name = safe_text(str(path))
    try:
        if not path.is_file():
            raise error(Problem(_why_no_file(path), where=name))
        with path.open("rb") as file:
            content = file.read(most + 1)
    except OSError as problem:
        raise error(Problem(f"cannot be read: {problem.strerror or problem}", where=name)) from None
    if len(content) > most:
        raise error(Problem(f"has more than {most:,} bytes, the maximum", where=name))
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line = content.count(b"\n", 0, problem.start) + 1
        raise error(Problem("is not UTF-8 text; save it as UTF-8", where=f"{name}:{line}:1")) from None


def _why_no_file(path: FilePath) -> str:
    """Return why there is no file to read: a pipe or a device might never end, so it is not opened."""
    if path.is_dir():
        return "is a folder, not a file"
    return "is not a regular file\nhint: copy it to a file" if path.exists() else "there is no such file"


def is_file(path: FilePath) -> bool:
    """Check whether a file exists. Return False for a name that no file can have."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def validate(
    kind: type[T] | TypeAdapter[T],
    document: Document,
    *,
    error: type[InputError] = TaskError,
    problems: Iterable[Problem] = (),
) -> T:
    """Return the model that a document describes. No value is converted to another type.

    Raise `error` with all problems in the order of the file: the document's, the caller's and those
    found here. A path with a problem of the document or the caller gets no second one.
    """
    adapter = cast("TypeAdapter[T]", kind if isinstance(kind, TypeAdapter) else TypeAdapter(kind))
    found = [*document.problems, *problems]
    model: T | None = None
    try:
        model = adapter.validate_json(to_json(document.value), strict=True)
    except ValidationError as invalid:
        reported = {problem.path for problem in found}
        explained = explain(invalid, document.value, adapter.json_schema)
        found += [problem for problem in explained if problem.path not in reported]
    if found:
        raise error(*document.in_order(found))
    return cast("T", model)


def dump(model: BaseModel) -> dict[str, Any]:
    """Return a model as the JSON value of its file: with aliases, without keys that are null by default."""
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
