"""JSON values for a schema: strings from sentences, numbers from figures, lists.

Nothing is invented. A number that no source states is omitted if it is optional, else the request
is refused.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, cast

from swarm.base.errors import EndpointRefused
from swarm.base.values import Json
from swarm.endpoints.offline.answer import SourceOutput
from swarm.endpoints.offline.rank import figures, question, relevance, word_set, words
from swarm.endpoints.offline.read import labelled
from swarm.endpoints.offline.schemas import Schema, joined, needs_figure, types_of
from swarm.endpoints.offline.subjects import (
    SHORT,
    ScoredClaim,
    frequent_names,
    main_subject,
    records,
    scored,
    subject_of,
)
from swarm.endpoints.offline.units import convert, wanted_unit

MOST_ENTRIES = 20
"""Maximum entries of a list without `maxItems`."""
_TRIED = 40  # maximum candidates per value
_DEEPEST = 6  # maximum level at which optional values are filled
_NAMING = word_set("name title subject id library package product tool project who")
_NEGATIVE = word_set("no not without never cannot none lacks neither nor isn't doesn't")


class _CannotFill(Exception):  # noqa: N818 - it is caught in this module
    """No value for a place in the schema. The message names the place."""


def fill(schema: dict[str, Json], given: SourceOutput) -> str:
    """Return a JSON value that fits a schema.

    Raise `EndpointRefused` of kind `form` if the sources have no value for a required place.
    """
    try:
        filler = _Filler(schema, given)
        value = filler.value(schema, "", scored(given), 0)
        if not filler.fits(schema, value):
            raise _CannotFill("its value")  # noqa: TRY301 - refused below
    except (_CannotFill, RecursionError) as error:
        what = error if isinstance(error, _CannotFill) else "so deep a JSON Schema"
        raise EndpointRefused(
            f"the offline endpoint (not a language model) cannot fill {what} from its sources\n"
            "hint: make it optional in the step's `output`, or set a model with `--endpoint` or `models:`",
            kind="form",
            endpoint="offline",
        ) from None
    return json.dumps(value)


def _at(name: str) -> _CannotFill:
    """Return the error for the place called `name`."""
    return _CannotFill(f"`{name}`" if name else "the value")


class _Filler:
    """The values for one schema, chosen from claims."""

    def __init__(self, root: dict[str, Json], given: SourceOutput) -> None:
        from jsonschema import Draft202012Validator
        from jsonschema.exceptions import SchemaError
        from referencing import Registry

        try:
            Draft202012Validator.check_schema(root)
        except (SchemaError, RecursionError):
            raise _CannotFill("an invalid JSON Schema") from None
        # The registry is empty, so a reference to another document is an error and not a request.
        registry = cast("Any", Registry)()
        self._root = root
        self._given = given
        self._validator: Any = Draft202012Validator(root, registry=registry)
        self._fillers: Mapping[str, Callable[[Schema, str, tuple[ScoredClaim, ...], int], Json]] = {
            "object": self._object,
            "array": self._array,
            "string": self._string,
            "number": self._number,
            "integer": self._number,
            "boolean": self._boolean,
            "null": self._null,
        }

    def fits(self, schema: Schema, value: Json) -> bool:
        """Return whether a value is valid. With an invalid schema or reference, no value is."""
        import re

        from referencing.exceptions import Unresolvable

        try:
            return bool(self._validator.evolve(schema=schema).is_valid(value))
        except (Unresolvable, RecursionError, re.error, OverflowError):
            return False

    def value(
        self,
        schema: Any,
        name: str,
        scope: tuple[ScoredClaim, ...],
        depth: int,
        must: bool = True,
    ) -> Json:
        """Return a value for the place called `name`, from the claims of `scope`.

        `must` is true if the place is required. Raise `_CannotFill` if no value fits.
        """
        found = self._resolved(schema, name)
        branches = found.get("anyOf") or found.get("oneOf")
        if branches:
            return self._either(found, cast("list[Any]", branches), name, scope, depth)
        if "const" in found:
            return found["const"]
        if "enum" in found:
            return self._enum(found, name, scope, must)
        failed = _at(name)
        for kind in types_of(found):
            try:
                if kind in self._fillers:
                    return self._fillers[kind]({**found, "type": kind}, name, scope, depth)
            except _CannotFill as error:
                failed = error
        if "default" in found:
            return found["default"]
        raise failed

    def _resolved(self, schema: Any, name: str) -> dict[str, Any]:
        """Return a schema with its references and `allOf` replaced by their content."""
        found = dict(cast("dict[str, Any]", schema)) if isinstance(schema, dict) else {}
        if schema is False:
            raise _CannotFill(f"`{name}`")
        # The number of rounds is limited, because references can be cyclic.
        for _ in range(_TRIED):
            if "$ref" in found:
                target = self._target(str(found.pop("$ref")), name)
                found = {**target, **found}
            elif isinstance(found.get("allOf"), list):
                for part in cast("list[Any]", found.pop("allOf")):
                    found = joined(found, self._resolved(part, name))
            else:
                return found
        raise _CannotFill(f"`{name}`")

    def _target(self, pointer: str, name: str) -> dict[str, Any]:
        """Return the schema that a reference inside the document points to."""
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
        self,
        schema: dict[str, Any],
        branches: list[Any],
        name: str,
        scope: tuple[ScoredClaim, ...],
        depth: int,
    ) -> Json:
        """Return a value for the first branch that can be filled; `null` is the last one."""
        base = {key: value for key, value in schema.items() if key not in ("anyOf", "oneOf")}
        for branch in sorted(branches, key=lambda each: each == {"type": "null"}):
            try:
                value = self.value(joined(base, self._resolved(branch, name)), name, scope, depth + 1)
            except _CannotFill:
                continue
            if self.fits(schema, value):
                return value
        raise _CannotFill(f"`{name}`")

    def _first(self, schema: Schema, candidates: Iterable[Json], name: str) -> Json:
        """Return the first candidate that fits."""
        for candidate in islice(candidates, _TRIED):
            if self.fits(schema, candidate):
                return candidate
        raise _at(name)

    def _ranked(
        self,
        schema: Schema,
        name: str,
        scope: Sequence[ScoredClaim],
    ) -> list[tuple[float, ScoredClaim]]:
        """Return claims sorted by relevance to the property and to the question, the best first."""
        asked = question((_readable(name), 1.0), (str(schema.get("description", "")), 0.5))
        near = relevance(asked.weights, [said.passage.terms for said in scope])
        ranked = [(n + 0.7 * said.score, said) for n, said in zip(near, scope, strict=True)]
        return sorted(ranked, key=lambda pair: -pair[0])

    def _null(self, schema: Schema, name: str, *_: object) -> Json:
        return self._first(schema, [None], name)

    def _object(self, schema: Schema, name: str, scope: tuple[ScoredClaim, ...], depth: int) -> Json:
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

    def _array(self, schema: Schema, name: str, scope: tuple[ScoredClaim, ...], depth: int) -> Json:
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

    def _entries(
        self,
        items: Schema,
        name: str,
        scope: tuple[ScoredClaim, ...],
        depth: int,
    ) -> Iterator[Json]:
        """Yield the entries of a list: strings, options of an `enum`, or one value per claim."""
        if "enum" in items:
            mentioned: set[str] = set()
            for said in scope:
                mentioned.update(said.passage.terms)
            yield from (o for o in items["enum"] if set(words(str(o))) <= mentioned)
            return
        if items.get("type") == "string":
            yield from (text for text in self._listed(name, scope) if self.fits(items, text))
            return
        for said in records(scope, needs_figure(items)):
            try:
                yield self.value(items, name, (said,), depth + 1)
            except _CannotFill:
                continue

    def _listed(self, name: str, scope: Sequence[ScoredClaim]) -> list[str]:
        """Return strings for a list: names if requested, else list items, else sentences."""
        if self._given.question.name or set(words(_readable(name))) & _NAMING:
            return self._names(scope)
        items = [said for said in scope if said.claim.listed]
        if len(items) * 2 > len(scope):
            return [said.claim.text for said in items]
        return [self._alone(said) for _, said in self._ranked({}, name, scope)]

    def _names(self, scope: Sequence[ScoredClaim]) -> list[str]:
        """Return names: one per source, else the heads of list items, else frequent names."""
        common = self._given.question.common
        sources: dict[str, list[ScoredClaim]] = {}
        for said in scope:
            sources.setdefault(said.source.name, []).append(said)
        if len(sources) > 1:
            subjects = [main_subject(claims, common) for claims in sources.values()]
            return list(dict.fromkeys(subject for subject in subjects if subject))
        items = [said for said in scope if said.claim.listed]
        heads = [said.claim.text.partition(":")[0].rstrip(".;,") for said in items]
        short = [head for head in heads if len(head) <= SHORT]
        if len(short) * 2 > len(scope):
            return list(dict.fromkeys(short))
        return frequent_names(scope, common)

    def _string(self, schema: Schema, name: str, scope: tuple[ScoredClaim, ...], _: int) -> Json:
        return self._first(schema, self._texts(schema, name, scope), name)

    def _texts(self, schema: Schema, name: str, scope: tuple[ScoredClaim, ...]) -> Iterator[str]:
        """Yield candidates for a string, the best first: names, words, joined sentences, sentences."""
        ranked = [said for _, said in self._ranked(schema, name, scope)[:_TRIED]]
        texts = [self._alone(said) for said in ranked]
        most = int(schema.get("maxLength", 1_000_000_000))
        if set(words(_readable(name))) & _NAMING:
            common = self._given.question.common
            subjects = dict.fromkeys(subject_of(said, common) for said in ranked)
            yield from (subject for subject in subjects if subject)
        if "pattern" in schema:
            yield from _short_words(texts)
        if int(schema.get("minLength") or 0) > 0:
            yield from (" ".join(texts[:n])[:most] for n in range(1, len(texts) + 1))
        yield from (_shortened(text, most) for text in texts)
        yield ""

    def _alone(self, said: ScoredClaim) -> str:
        return labelled(said.source, said.claim, self._given.question.common)

    def _number(self, schema: Schema, name: str, scope: tuple[ScoredClaim, ...], _: int) -> Json:
        """Return the figure nearest to the property's words, in the unit that they name."""
        asked = words(f"{_readable(name)} {schema.get('description', '')}")
        unit = wanted_unit(asked)
        found: list[tuple[float, float]] = []
        for near, said in self._ranked(schema, name, scope):
            text = said.claim.text
            for figure in figures(text):
                value = convert(figure, unit)
                if value is None:
                    continue
                around = words(text[max(0, figure.start - 40) : figure.start + 40])
                nearby = 0.4 * bool(set(asked) & set(around))
                measured = (1.0 if unit else 0.3) * figure.measured
                found.append((near + (nearby + measured), value))
        found.sort(key=lambda pair: -pair[0])
        return self._first(schema, (_whole_if_exact(value) for _, value in found), name)

    def _boolean(self, schema: Schema, name: str, scope: tuple[ScoredClaim, ...], _: int) -> Json:
        """Return whether the nearest claim has most of the property's words and no negation."""
        wanted = set(words(_readable(name)))
        shared = [len(wanted & set(said.passage.terms)) for said in scope]
        best = max(shared, default=0)
        holds = False
        if best * 2 > len(wanted):
            nearest = [s for s, count in zip(scope, shared, strict=True) if best and count == best]
            top = max(nearest, key=lambda said: said.score)
            tokens = set(top.claim.text.casefold().replace("’", "'").split())
            holds = not _NEGATIVE & tokens
        return self._first(schema, [holds, not holds], name)

    def _enum(self, schema: Schema, name: str, scope: tuple[ScoredClaim, ...], must: bool) -> Json:
        """Return the option that the most relevant claims mention; the first one if none does."""
        options = cast("list[Json]", schema["enum"])
        ranked = self._ranked(schema, name, scope)
        worth: list[float] = []
        for option in options:
            wanted = set(words(str(option)))
            mentions = (near for near, s in ranked if wanted and wanted <= set(s.passage.terms))
            worth.append(max(mentions, default=0.0))
        if not must and not any(worth):
            raise _CannotFill(f"`{name}`")
        order = sorted(range(len(options)), key=lambda i: -worth[i])
        return self._first(schema, [options[i] for i in order], name)


def _short_words(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        yield from (word for word in text.split() if len(word) <= SHORT)


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else text[:most].rsplit(" ", 1)[0]


def _whole_if_exact(value: float) -> int | float:
    """Return a float as an integer if that is exactly the same number."""
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


def _readable(name: str) -> str:
    return name.replace("_", " ").replace("-", " ")
