"""Fills a JSON Schema from what was read: words from sentences, numbers from figures, entries from lists and names.

Nothing is invented: a number that no source states is left out where the schema lets it be, and refused where not.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, cast

from swarm.base.errors import EndpointRefused
from swarm.base.values import Json
from swarm.endpoints.offline.answer import SourceOutput
from swarm.endpoints.offline.rank import Passage, figures, names, question, relevance, score, words
from swarm.endpoints.offline.read import Claim, Source, labelled, passage, stem_of
from swarm.endpoints.offline.units import convert, wanted_unit

MOST_ENTRIES = 20
"""Most entries of a list that its schema does not bound."""
_TRIED = 40  # candidates that are tried for one value
_DEEPEST = 6  # levels at which what is optional is still filled in
_SHORT = 60  # characters of a list's entry that is a name rather than a sentence
_NAMING = frozenset({"name", "title", "subject", "id", "library", "package", "product", "tool", "project", "who"})
_NEGATIVE = frozenset(
    {"no", "not", "without", "never", "cannot", "none", "lacks", "neither", "nor", "isn't", "doesn't"}
)
_KINDS = {"properties": "object", "required": "object", "items": "array", "prefixItems": "array", "minimum": "number"}

Schema = Mapping[str, Any]


class _CannotFill(Exception):  # noqa: N818 - it is caught before anybody sees it, and says where
    """No value for this place."""


@dataclass(frozen=True, slots=True)
class _Said:
    """A claim that values are taken from."""

    source: Source
    claim: Claim
    passage: Passage
    score: float


def fill(schema: dict[str, Json], given: SourceOutput) -> str:
    """Write a JSON value that fits a schema; `EndpointRefused` of kind `form` where what was read does not fill it."""
    pairs = [(source, claim) for source in given.sources for claim in source.claims]
    passages = [passage(source, claim) for source, claim in pairs]
    scores = score(given.question, passages)
    said = [_Said(*pair, p, s) for pair, p, s in zip(pairs, passages, scores, strict=True)]
    try:
        filler = _Filler(schema, given)
        value = filler.value(schema, "", tuple(said), 0)
        if not filler.fits(schema, value):
            raise _CannotFill("its value")  # noqa: TRY301 - the one place that refuses is below
    except (_CannotFill, RecursionError) as error:
        raise EndpointRefused(
            f"the offline endpoint, which is not a language model, cannot fill {error or 'the form'} from what it was"
            " given; make that optional in the step's `output`, or name an endpoint with `--endpoint` or `models:`",
            kind="form",
            endpoint="offline",
        ) from None
    return json.dumps(value)


class _Filler:
    def __init__(self, root: dict[str, Json], given: SourceOutput) -> None:
        from jsonschema import Draft202012Validator
        from jsonschema.exceptions import SchemaError
        from referencing import Registry

        try:
            Draft202012Validator.check_schema(root)
        except (SchemaError, RecursionError):
            raise _CannotFill("the form, which is not a JSON Schema,") from None
        # An empty registry: a reference to somewhere else is an error, never a request.
        registry = cast("Any", Registry)()
        self._root = root
        self._given = given
        self._validator: Any = Draft202012Validator(root, registry=registry)
        self._fillers: Mapping[str, Callable[[Schema, str, tuple[_Said, ...], int], Json]] = {
            "object": self._object,
            "array": self._array,
            "string": self._string,
            "number": self._number,
            "integer": self._number,
            "boolean": self._boolean,
            "null": self._null,
        }

    def fits(self, schema: Schema, value: Json) -> bool:
        """Whether a value is valid; a schema that is none, or that refers to nowhere, fits nothing."""
        import re

        from referencing.exceptions import Unresolvable

        try:
            return bool(self._validator.evolve(schema=schema).is_valid(value))
        except (Unresolvable, RecursionError, re.error, OverflowError):
            return False

    def value(self, schema: Any, name: str, scope: tuple[_Said, ...], depth: int, must: bool = True) -> Json:
        """Find a value for a place called `name`, in the claims of `scope`; `must` where there has to be one."""
        found = self._resolved(schema, name)
        branches = found.get("anyOf") or found.get("oneOf")
        if branches:
            return self._either(found, cast("list[Any]", branches), name, scope, depth)
        if "const" in found:
            return found["const"]
        if "enum" in found:
            return self._enum(found, name, scope, must)
        types = found.get("type") or next((kind for key, kind in _KINDS.items() if key in found), "string")
        every = [types] if isinstance(types, str) else cast("list[str]", types)
        failed = _CannotFill(f"`{name}`" if name else "the value")
        for kind in sorted(every, key=lambda kind: kind == "null"):
            try:
                if kind in self._fillers:
                    return self._fillers[kind]({**found, "type": kind}, name, scope, depth)
            except _CannotFill as error:
                failed = error
        if "default" in found:
            return found["default"]
        raise failed

    def _resolved(self, schema: Any, name: str) -> dict[str, Any]:
        """Follow references inside the schema and join what must hold together."""
        found = dict(cast("dict[str, Any]", schema)) if isinstance(schema, dict) else {}
        if schema is False:
            raise _CannotFill(f"`{name}`")
        for _ in range(_TRIED):
            if "$ref" in found:
                target = self._at(str(found.pop("$ref")), name)
                found = {**target, **found}
            elif isinstance(found.get("allOf"), list):
                for part in cast("list[Any]", found.pop("allOf")):
                    found = _both(found, self._resolved(part, name))
            else:
                return found
        raise _CannotFill(f"`{name}`")

    def _at(self, pointer: str, name: str) -> dict[str, Any]:
        place: Any = self._root
        if not pointer.startswith("#"):
            raise _CannotFill(f"`{name}`")
        for key in pointer[1:].split("/")[1:]:
            key = key.replace("~1", "/").replace("~0", "~")
            place = cast("dict[str, Any]", place).get(key) if isinstance(place, dict) else None
        if not isinstance(place, dict):
            raise _CannotFill(f"`{name}`")
        return dict(cast("dict[str, Any]", place))

    def _either(
        self, schema: dict[str, Any], branches: list[Any], name: str, scope: tuple[_Said, ...], depth: int
    ) -> Json:
        base = {key: value for key, value in schema.items() if key not in ("anyOf", "oneOf")}
        for branch in sorted(branches, key=lambda each: each == {"type": "null"}):
            try:
                value = self.value(_both(base, self._resolved(branch, name)), name, scope, depth + 1)
            except _CannotFill:
                continue
            if self.fits(schema, value):
                return value
        raise _CannotFill(f"`{name}`")

    def _first(self, schema: Schema, candidates: Iterable[Json], name: str) -> Json:
        for candidate in islice(candidates, _TRIED):
            if self.fits(schema, candidate):
                return candidate
        raise _CannotFill(f"`{name}`" if name else "the value")

    def _ranked(self, schema: Schema, name: str, scope: Sequence[_Said]) -> list[tuple[float, _Said]]:
        """Order claims by how near they are to a property's words, then to the question."""
        asked = question((_readable(name), 1.0), (str(schema.get("description", "")), 0.5))
        near = relevance(asked.weights, [said.passage.terms for said in scope])
        ranked = [(n + 0.7 * said.score, said) for n, said in zip(near, scope, strict=True)]
        return sorted(ranked, key=lambda pair: -pair[0])

    def _null(self, schema: Schema, name: str, *_: object) -> Json:
        return self._first(schema, [None], name)

    def _object(self, schema: Schema, name: str, scope: tuple[_Said, ...], depth: int) -> Json:
        properties = cast("dict[str, Any]", schema.get("properties") or {})
        required = [str(key) for key in cast("list[Any]", schema.get("required") or [])]
        found: dict[str, Json] = {}
        for key in dict.fromkeys((*properties, *required)):
            inner = properties.get(key, schema.get("additionalProperties", {}))
            try:
                if key in required or depth < _DEEPEST:
                    found[key] = self.value(inner, key, scope, depth + 1, must=key in required)
            except _CannotFill:
                if key in required:
                    raise
        return found

    def _array(self, schema: Schema, name: str, scope: tuple[_Said, ...], depth: int) -> Json:
        heads = cast("list[Any]", schema.get("prefixItems") or [])
        found: list[Json] = [self.value(inner, name, scope, depth + 1) for inner in heads]
        least = int(schema.get("minItems") or 0)
        most = int(schema.get("maxItems", max(MOST_ENTRIES, least)))
        items = schema.get("items", {})
        if items is not False and (depth < _DEEPEST or len(found) < least):
            for entry in self._entries(self._resolved(items, name), name, scope, depth):
                if len(found) >= most:
                    break
                if entry not in found:
                    found.append(entry)
        return self._first(schema, [found], name)

    def _entries(self, items: Schema, name: str, scope: tuple[_Said, ...], depth: int) -> Iterator[Json]:
        kind = items.get("type")
        if kind == "string" and "enum" not in items:
            yield from (text for text in self._listed(name, scope) if self.fits(items, text))
            return
        if "enum" in items:
            told = {word for said in scope for word in said.passage.terms}
            yield from (option for option in items["enum"] if set(words(str(option))) <= told)
            return
        figure = kind in ("number", "integer") or any(
            isinstance(inner, dict) and cast("dict[str, Any]", inner).get("type") in ("number", "integer")
            for inner in cast("dict[str, Any]", items.get("properties") or {}).values()
        )
        for said in _records(scope, figure):
            try:
                yield self.value(items, name, (said,), depth + 1)
            except _CannotFill:
                continue

    def _listed(self, name: str, scope: Sequence[_Said]) -> list[str]:
        """Give entries of a list of words: names where names are asked for, else a list's own, else sentences."""
        common = self._given.question.common
        items = [said for said in scope if said.claim.listed]
        if self._given.question.name or set(words(_readable(name))) & _NAMING:
            sources = dict.fromkeys(said.source.name for said in scope)
            if len(sources) > 1:
                told = (_main_subject([s for s in scope if s.source.name == each], common) for each in sources)
                return list(dict.fromkeys(subject for subject in told if subject))
            heads = (said.claim.text.partition(":")[0].rstrip(".;,") for said in items)
            short = [head for head in heads if len(head) <= _SHORT]
            return list(dict.fromkeys(short)) if len(short) * 2 > len(scope) else _counted(scope, common)
        if len(items) * 2 > len(scope):
            return [said.claim.text for said in items]
        return [self._alone(said) for _, said in self._ranked({}, name, scope)]

    def _string(self, schema: Schema, name: str, scope: tuple[_Said, ...], _: int) -> Json:
        return self._first(schema, self._texts(schema, name, scope), name)

    def _texts(self, schema: Schema, name: str, scope: tuple[_Said, ...]) -> Iterator[str]:
        ranked = [said for _, said in self._ranked(schema, name, scope)[:_TRIED]]
        naming = bool(set(words(_readable(name))) & _NAMING)
        texts = [self._alone(said) for said in ranked]
        most = int(schema.get("maxLength", 1_000_000_000))
        if naming:
            common = self._given.question.common
            yield from (told for told in dict.fromkeys(_subject(said, common) for said in ranked) if told)
        if "pattern" in schema:
            yield from (token for text in texts for token in text.split() if len(token) <= _SHORT)
        if int(schema.get("minLength") or 0) > 0:
            yield from (" ".join(texts[:n])[:most] for n in range(1, len(texts) + 1))
        yield from (text if len(text) <= most else text[:most].rsplit(" ", 1)[0] for text in texts)
        yield ""

    def _alone(self, said: _Said) -> str:
        return labelled(said.source, said.claim, self._given.question.common)

    def _number(self, schema: Schema, name: str, scope: tuple[_Said, ...], _: int) -> Json:
        """Take the figure nearest to the property's words, in the unit they name, if they name one."""
        asked = words(f"{_readable(name)} {schema.get('description', '')}")
        unit = wanted_unit(asked)
        found: list[tuple[float, float]] = []
        for near, said in self._ranked(schema, name, scope):
            for figure in figures(said.claim.text):
                value = convert(figure, unit)
                around = words(said.claim.text[max(0, figure.start - 40) : figure.start + 40])
                if value is not None:
                    worth = 0.4 * bool(set(asked) & set(around)) + (1.0 if unit else 0.3) * figure.measured
                    found.append((near + worth, value))
        found.sort(key=lambda pair: -pair[0])
        return self._first(schema, (int(v) if v.is_integer() and abs(v) < 2**53 else v for _, v in found), name)

    def _boolean(self, schema: Schema, name: str, scope: tuple[_Said, ...], _: int) -> Json:
        """Judge by presence: whether the nearest claim has most of the property's words and denies nothing."""
        wanted = set(words(_readable(name)))
        best = max((len(wanted & set(said.passage.terms)) for said in scope), default=0)
        nearest = [said for said in scope if best and len(wanted & set(said.passage.terms)) == best]
        top = max(nearest, key=lambda said: said.score) if best * 2 > len(wanted) else None
        holds = top is not None and not _NEGATIVE & set(top.claim.text.casefold().replace("’", "'").split())
        return self._first(schema, [holds, not holds], name)

    def _enum(self, schema: Schema, name: str, scope: tuple[_Said, ...], must: bool) -> Json:
        """Choose the option that is told of nearest to the property and the question; where none is, the first."""
        options = cast("list[Json]", schema["enum"])
        ranked = self._ranked(schema, name, scope)
        worth: list[float] = []
        for option in options:
            wanted = set(words(str(option)))
            told = (near for near, said in ranked if wanted and wanted <= set(said.passage.terms))
            worth.append(max(told, default=0.0))
        if not must and not any(worth):
            raise _CannotFill(f"`{name}`")
        order = sorted(range(len(options)), key=lambda i: -worth[i])
        return self._first(schema, [options[i] for i in order], name)


def _records(scope: Sequence[_Said], figure: bool) -> list[_Said]:
    """Choose the claims that make a record each: the best of each source; of a single source, all that are near."""
    fit = [said for said in scope if not figure or figures(said.claim.text)]
    sources = dict.fromkeys(said.source.name for said in fit)
    if len(sources) > 1:
        best = {name: max((s for s in fit if s.source.name == name), key=lambda s: s.score) for name in sources}
        return list(best.values())
    top = max((said.score for said in fit), default=0.0)
    return [said for said in fit if said.score >= top / 2]


def _subject(said: _Said, common: frozenset[str]) -> str:
    """Name what a claim is about: its head or first word, if written as a name; else what it stands under."""
    text, source = said.claim.text, said.source
    head, colon, _ = text.partition(":")
    first = text.partition(" ")[0].rstrip(":,.'’")
    for name in (head if colon and len(head) <= _SHORT else "", first):
        if name[:1] != name[:1].lower() and set(words(name)) - common:
            return name
    stem = stem_of(source.name) if source.named else ""
    related = not stem or set(words(source.title)) & set(words(stem))
    above = (*reversed(said.claim.where), source.title if related else stem)
    named = (name.strip("`") for name in above if len(name) <= _SHORT and set(words(name)) - common)
    return next(named, "") or next(iter(names(text)), "")


def _counted(scope: Sequence[_Said], common: frozenset[str]) -> list[str]:
    """List the names that claims tell of: what they are about first, then what is told of most."""
    counts: dict[str, float] = {}
    for said in scope:
        for told in dict.fromkeys((_subject(said, common), *names(said.claim.text))):
            counts[told] = counts.get(told, 0.0) + 1 + said.score
    counts.pop("", None)
    return sorted(counts, key=lambda told: -counts[told])


def _main_subject(scope: Sequence[_Said], common: frozenset[str]) -> str:
    counts: dict[str, int] = {}
    for said in scope:
        subject = _subject(said, common)
        counts[subject] = counts.get(subject, 0) + 1
    counts.pop("", None)
    return max(counts, key=lambda subject: counts[subject], default="")


def _readable(name: str) -> str:
    return name.replace("_", " ").replace("-", " ")


def _both(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    joined = {**one, **other}
    if "properties" in one and "properties" in other:
        joined["properties"] = {**one["properties"], **other["properties"]}
    if "required" in one and "required" in other:
        joined["required"] = [*one["required"], *other["required"]]
    return joined
