"""JSON values for a schema: strings from sentences, numbers from quantities, lists. Nothing is invented.

A number that no source states is omitted if it is optional, else the request is refused.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any, cast

from swarm.base.errors import EndpointRefused
from swarm.base.values import Json
from swarm.endpoints.offline.report import Material
from swarm.spec.json_schemas import joined_schemas, resolved, tamed, validator_of
from swarm.spec.yaml.schemas import schema_problems
from swarm.texts.claims import Claim
from swarm.texts.lexicon import word_set
from swarm.texts.quantities import convert, quantities, unit_of, wanted_unit
from swarm.texts.ranking import claims_of, passages_of, scores_of, subject_of, totals
from swarm.texts.sentences import Source, labelled
from swarm.texts.terms import names_of
from swarm.texts.words import Facet, Passage, relevance, words

Schema = Mapping[str, Any]

MOST_ENTRIES = 20
"""Maximum entries of a list without `maxItems`."""
SHORT = 60
"""Maximum characters of an entry that is a name and not a sentence."""
_TRIED = 40  # maximum candidates per value
_DEEPEST = 6  # maximum level at which optional values are filled
_NAMING = word_set("name title subject id library package product tool project service who owner person")
_NEGATIVE = word_set("no not without never cannot none lacks neither nor isn't doesn't")
_ASKS_NAMES = re.compile(r"\b(?:which|who|whom|what|list|names?|named|where)\b", re.IGNORECASE)
_IMPLIED: Mapping[str, str] = {
    **dict.fromkeys(("properties", "required"), "object"),
    **dict.fromkeys(("items", "prefixItems"), "array"),
    **dict.fromkeys(("minimum", "maximum"), "number"),
}
"""The type of a schema without `type`, by a key that it has."""


class _CannotFill(Exception):  # noqa: N818 - it is caught in this module
    """No value for a place in the schema. The message is the name of the place."""


@dataclass(frozen=True, slots=True)
class Scored:
    """A claim from which values are taken."""

    source: Source
    claim: Claim
    passage: Passage
    score: float

    @property
    def text(self) -> str:
        """The claim with the subject that it does not name."""
        return labelled(self.claim)


def fill(schema: dict[str, Json], given: Material) -> str:
    """Return a JSON value that fits a schema.

    Raise `EndpointRefused` of kind `form` if the sources have no value for a required place.
    """
    what = "an invalid JSON Schema"
    try:
        if not schema_problems(schema):
            filler = _Filler(schema, given)
            return json.dumps(filler.first(schema, [filler.value(schema, "", _scored(given), 0)], ""))
    except _CannotFill as error:
        what = f"`{error}`" if str(error) else "the value"
    except RecursionError:
        what = "so deep a JSON Schema"
    raise EndpointRefused(
        f"the offline endpoint (not a language model) cannot fill {what} from its sources\n"
        "hint: make it optional in the step's `output`, or set a model with `--endpoint` or `models:`",
        kind="form",
        endpoint="offline",
    )


def _scored(given: Material) -> tuple[Scored, ...]:
    """Return all claims of all sources with their relevance to the question."""
    every = passages_of(given.sources)
    total = totals(scores_of(given.facets, every))
    return tuple(Scored(*pair, p, s) for pair, p, s in zip(claims_of(given.sources), every, total, strict=True))


class _Filler:
    """The values for one schema, chosen from claims."""

    def __init__(self, root: dict[str, Json], given: Material) -> None:
        self._root = tamed(root)
        self._validator = validator_of(root)
        self._asks_names = _ASKS_NAMES.search(given.asked) is not None
        self._common = frozenset(words(" ".join(word for word in given.asked.split() if word.islower())))
        self._candidates: Mapping[str, Callable[..., Iterable[Json]]] = {
            "object": self._objects,
            "array": self._arrays,
            "string": self._texts,
            "number": self._numbers,
            "integer": self._numbers,
            "boolean": self._booleans,
            "null": self._nulls,
        }

    def fits(self, schema: Schema, value: Json) -> bool:
        """Return whether a value is valid. With an invalid schema or reference, no value is."""
        from referencing.exceptions import Unresolvable

        try:
            return bool(self._validator.evolve(schema=schema).is_valid(value))
        except (Unresolvable, RecursionError, OverflowError):
            return False

    def value(self, schema: Any, name: str, scope: Sequence[Scored], depth: int, must: bool = True) -> Json:
        """Return a value for the place called `name`, from the claims of `scope`.

        `must` is true if the place is required. Raise `_CannotFill` if no value fits.
        """
        found = self._resolved(schema, name)
        branches = cast("list[Any]", found.pop("anyOf", None) or found.pop("oneOf", None) or [])
        if branches:
            return self._either(found, branches, name, scope, depth)
        if "const" in found:
            return found["const"]
        if "enum" in found:
            return self.first(found, self._options(found, name, scope, must), name)
        failed = _CannotFill(name)
        for kind in _types_of(found):
            inner = {**found, "type": kind}
            try:
                return self.first(inner, self._candidates[kind](inner, name, scope, depth), name)
            except _CannotFill as error:
                failed = error
        if "default" in found:
            return found["default"]
        raise failed

    def _resolved(self, schema: Any, name: str) -> dict[str, Any]:
        found = resolved(schema, self._root)
        if found is None:
            raise _CannotFill(name)
        return found

    def _either(
        self, base: dict[str, Any], branches: list[Any], name: str, scope: Sequence[Scored], depth: int
    ) -> Json:
        """Return a value for the first branch that can be filled; `null` is the last one."""
        for branch in sorted(branches, key=lambda each: each == {"type": "null"}):
            with suppress(_CannotFill):
                value = self.value(joined_schemas(base, self._resolved(branch, name)), name, scope, depth + 1)
                return self.first(base, [value], name)
        raise _CannotFill(name)

    def first(self, schema: Schema, candidates: Iterable[Json], name: str) -> Json:
        """Return the first candidate that fits."""
        for candidate in islice(candidates, _TRIED):
            if self.fits(schema, candidate):
                return candidate
        raise _CannotFill(name)

    def _ranked(self, schema: Schema, name: str, scope: Sequence[Scored]) -> list[tuple[float, Scored]]:
        """Return claims by relevance to the property and to the question, the best first."""
        asked = Facet(_words_of(name, schema))
        near = relevance(asked, [said.passage for said in scope]) if asked.terms else [0.0] * len(scope)
        ranked = [(n + said.score, said) for n, said in zip(near, scope, strict=True)]
        return sorted(ranked, key=lambda pair: -pair[0])

    def _nulls(self, *_: object) -> Iterable[Json]:
        return [None]

    def _objects(self, schema: Schema, name: str, scope: Sequence[Scored], depth: int) -> Iterator[Json]:
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
        yield found

    def _arrays(self, schema: Schema, name: str, scope: Sequence[Scored], depth: int) -> Iterator[Json]:
        heads = cast("list[Any]", schema.get("prefixItems") or [])
        found: list[Json] = [self.value(inner, name, scope, depth + 1) for inner in heads]
        least = int(schema.get("minItems") or 0)
        most = int(schema.get("maxItems", max(MOST_ENTRIES, least)))
        items = schema.get("items", {})
        if items is not False and (depth < _DEEPEST or len(found) < least):
            for entry in self._entries(self._resolved(items, name), name, scope, depth):
                if len(found) < most and entry not in found:
                    found.append(entry)
        yield found

    def _entries(self, items: Schema, name: str, scope: Sequence[Scored], depth: int) -> Iterator[Json]:
        """Yield the entries of a list: options of an `enum`, strings, or one value per claim."""
        if "enum" in items:
            mentioned = frozenset(words(" ".join(said.text for said in scope)))
            yield from (option for option in items["enum"] if mentioned.issuperset(words(str(option))))
        elif items.get("type") == "string":
            yield from (text for text in self._listed(name, scope) if self.fits(items, text))
        else:
            for said in _records(scope, items):
                with suppress(_CannotFill):
                    yield self.value(items, name, (said,), depth + 1)

    def _listed(self, name: str, scope: Sequence[Scored]) -> list[str]:
        """Return strings for a list: names if requested, else list items, else sentences."""
        if self._asks_names or not _NAMING.isdisjoint(_words_of(name)):
            return self._names(scope)
        items = [said.claim.text for said in scope if said.claim.listed]
        return items if len(items) * 2 > len(scope) else [said.text for _, said in self._ranked({}, name, scope)]

    def _names(self, scope: Sequence[Scored]) -> list[str]:
        """Return names: the main one of each source, else the heads of list items, else the most frequent ones."""
        sources: dict[str, Counter[str]] = {}
        for said in scope:
            sources.setdefault(said.source.name, Counter()).update(filter(None, [self._subject(said)]))
        if len(sources) > 1:
            mains = (max(counts, key=counts.__getitem__, default="") for counts in sources.values())
            return list(dict.fromkeys(filter(None, mains)))
        heads = [said.claim.text.partition(":")[0].rstrip(".;,") for said in scope if said.claim.listed]
        short = [head for head in heads if len(head) <= SHORT]
        if len(short) * 2 > len(scope):
            return list(dict.fromkeys(short))
        counts: dict[str, float] = {}
        for said in scope:
            for each in dict.fromkeys((self._subject(said), *_names_in(said.claim.text))):
                counts[each] = counts.get(each, 0.0) + 1 + said.score
        return sorted(filter(None, counts), key=lambda each: -counts[each])

    def _subject(self, said: Scored) -> str:
        """Return the subject of a claim: its head or first words if these are a name, else its heading, else a name."""
        text = said.claim.text
        head, colon, _ = text.partition(":")
        first = next((each.text for each in names_of(text) if not each.start), "")
        for name in (head if colon and len(head) <= SHORT else "", first):
            if name[:1] != name[:1].lower() and set(words(name)) - self._common:
                return name
        above = (*reversed(said.claim.where), _name_of(said.source))
        found = (each for each in above if len(each) <= SHORT and set(words(each)) - self._common)
        return next(found, "") or next(iter(_names_in(text)), "")

    def _texts(self, schema: Schema, name: str, scope: Sequence[Scored], _: int) -> Iterator[str]:
        """Yield candidates for a string, the best first: names, words, joined sentences, sentences."""
        ranked = [said for _, said in self._ranked(schema, name, scope)[:_TRIED]]
        texts = [said.text for said in ranked]
        most = int(schema.get("maxLength", 1_000_000_000))
        if not _NAMING.isdisjoint(_words_of(name)):
            yield from filter(None, dict.fromkeys(map(self._subject, ranked)))
        if "pattern" in schema:
            yield from (word for word in " ".join(texts).split() if len(word) <= SHORT)
        if int(schema.get("minLength") or 0) > 0:
            yield from (" ".join(texts[:n])[:most] for n in range(1, len(texts) + 1))
        yield from (text if len(text) <= most else text[:most].rsplit(" ", 1)[0] for text in texts)
        yield ""

    def _numbers(self, schema: Schema, name: str, scope: Sequence[Scored], _: int) -> Iterator[Json]:
        """Yield quantities, the nearest to the property's words first, in the unit that they name."""
        asked = _words_of(name, schema)
        unit = wanted_unit(asked)
        found: list[tuple[float, float]] = []
        for near, said in self._ranked(schema, name, scope):
            for quantity in quantities(said.claim.text):
                value = convert(quantity, unit)
                if value is not None:
                    around = said.claim.text[max(0, quantity.start - 40) : quantity.start + 40]
                    nearby = 0.4 * bool(set(asked) & set(words(around)))
                    measured = (1.0 if unit else 0.3) * (quantity.kind not in ("count", "number", "year"))
                    found.append((near + nearby + measured, value))
        found.sort(key=lambda pair: -pair[0])
        yield from (int(v) if v.is_integer() and abs(v) < 2**53 else v for _, v in found)

    def _booleans(self, _schema: Schema, name: str, scope: Sequence[Scored], _depth: int) -> Iterable[Json]:
        """Return first whether the nearest claim has most of the property's words and no negation."""
        wanted = set(_words_of(name))
        shared = [(len(wanted.intersection(words(said.text))), said.score, said.claim.text) for said in scope]
        most, _, text = max(shared, key=lambda each: each[:2], default=(0, 0.0, ""))
        denied = _NEGATIVE.intersection(text.casefold().replace("’", "'").split())
        holds = most * 2 > len(wanted) and not denied
        return [holds, not holds]

    def _options(self, schema: Schema, name: str, scope: Sequence[Scored], must: bool) -> list[Json]:
        """Return the options that claims mention, those of the most relevant first, then the others if one must be."""
        ranked = [(near, frozenset(words(said.text))) for near, said in self._ranked(schema, name, scope)]
        worth: list[tuple[float, Json]] = []
        for option in cast("list[Json]", schema["enum"]):
            wanted = words(str(option))
            mentions = (near + 1 for near, terms in ranked if wanted and terms.issuperset(wanted))
            worth.append((max(mentions, default=0.0), option))
        worth.sort(key=lambda pair: -pair[0])
        return [option for value, option in worth if value or must]


def _name_of(source: Source) -> str:
    """Return the name of a file if it names a subject that is not in its title, else the title."""
    named = subject_of(source.name)
    return source.title if not named or set(words(source.title)) & set(words(named)) else named


def _words_of(name: str, schema: Schema | None = None) -> tuple[str, ...]:
    """Return the words of the name of a place, and of its description."""
    return words(f"{name.replace('_', ' ').replace('-', ' ')} {(schema or {}).get('description', '')}")


def _names_in(text: str) -> list[str]:
    """Return the proper names of a claim, without units and without its first word."""
    return [each.text for each in names_of(text) if each.sure and not unit_of(each.text)]


def _types_of(schema: Schema) -> list[str]:
    """Return the types that a schema allows, `null` last."""
    types = schema.get("type") or next((kind for key, kind in _IMPLIED.items() if key in schema), "string")
    every = [types] if isinstance(types, str) else cast("list[str]", types)
    return sorted(every, key=lambda kind: kind == "null")


def _needs_figure(items: Schema) -> bool:
    """Return whether an entry of a list is a number, or an object with a number."""
    inner = [items, *cast("dict[str, Schema | bool]", items.get("properties") or {}).values()]
    return any(isinstance(each, Mapping) and each.get("type") in ("number", "integer") for each in inner)


def _records(scope: Sequence[Scored], items: Schema) -> list[Scored]:
    """Return the claims that become one record each: the best of each source, or all relevant ones of a single one."""
    fit = [said for said in scope if not _needs_figure(items) or quantities(said.claim.text)]
    best: dict[str, Scored] = {}
    for said in fit:
        best[said.source.name] = max(best.get(said.source.name, said), said, key=lambda each: each.score)
    if len(best) > 1:
        return list(best.values())
    top = max((said.score for said in fit), default=0.0)
    return [said for said in fit if said.score >= top / 2]
