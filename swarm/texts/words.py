"""The words of texts, and the relevance of sentences to a question: BM25 over sentences, with a floor.

Okapi BM25 (Robertson and Zaragoza, "The Probabilistic Relevance Framework", 2009), divided by what a
sentence with every word of the question would have. So 1 means all of it and 0 nothing, in a file
of three sentences and in a thousand files. Words of one stem count as one, in any alphabet: "service" and
"services", "Speicher" and "Speichers", "память" and "памяти".
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from math import log

from swarm.texts.lexicon import COMPARED, GENERIC, STOP, VERBS
from swarm.texts.quantities import kinds_asked, quantities
from swarm.texts.terms import stem

FLOOR = 0.45
"""Minimum relevance of a sentence that answers: nearly half of what a question asks."""
SHARE = 0.6
"""Minimum relevance of such a sentence as a share of the best one's."""
_K1, _B = 1.2, 0.5  # the usual settings of BM25, with a smaller correction for length: sentences are short
_ABOVE = 0.6  # weight of a word in the headings or the title above a sentence
_MEASURED, _COUNTED, _NAMED = 1.4, 1.2, 1.1  # factors for a quantity or a name of the kind that is asked for
_BARE = 0.6  # factor of a sentence without the quantity that a question asks for
_BY_KIND = 0.7  # weight of a word such as `memory` in a sentence with 3 GB
_LIGHT = 0.4  # weight of a word that a text need not have
_USUAL = 60  # number of sentences that a short text is taken to have, so that a word that it has not counts
_LEAD = 0.5  # relevance of the first sentence of a text to a question about the text as a whole

_TOKEN = re.compile(r"\d+(?:[.,]\d+)*|[^\W_]+(?:['’][^\W_]+)?")
_HUMP = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\U00020000-\U0003ffff]+"
)
"""Scripts without spaces between words (Thai to Japanese), and Korean, which inflects."""
_ENDINGS = re.compile("[\u3040-\u309f的了是在和与有为多少什么哪些每个该这那]+")
"""Japanese endings, and Chinese function words."""
_ELIDED = re.compile(r"^(?:[cdjlmnst]|qu)['’](?=\w)", re.IGNORECASE)
_PARTS = re.compile(
    r"(?<=[?？;])\s*|(?:,|,?\s+(?:and|or|et|und|y|e|и))\s+"
    r"(?=(?:(?:at|by|for|from|in|of|on|to|with|aus|bis|mit|von|zu|à|avec|de|pour|в|из|на|от|с)\s+)?(?:what|where|how|which|who|when|why|wer|wie|wann|was|wo|woher"
    r"|warum|welche\w*|qui|quand|où|comment|combien|quel\w*|кто|где|когда|почему|сколько|как\w*)\b)",
    re.I,
)
_ASKS = re.compile(
    r"\bhow (?:much|many|long|tall|high|wide|deep|far|heavy|big|large|fast|old|expensive)\b|\bwhen\b"
    r"|\bwhat (?:is|are|was) the\b|\bwhat\b.{1,60}\bcosts?\b|combien|\bquand\b|quelle? est"
    r"|wie (?:viel|lang|hoch|groß|schwer|teuer)|\bwann\b|сколько|когда|多少|多长|多大|几|いくら|いくつ|何|どのくらい",
    re.IGNORECASE,
)
"""Beginnings of questions that only a quantity answers."""
_EACH = re.compile(
    r"\b(?:each|every|all|any|chaque|tous les|toutes les|jede[mnrs]?|alle[nr]?|кажд\w+|cada)\s+"
    r"(?:of\s+the\s+)?(\w+)|[各每](\w\w)",
    re.IGNORECASE,
)
_PRONOUN = re.compile(r"\b(?:it|its|they|their|he|she|il|elle|ils|sie|es|он|она|оно|они|его|её)\b", re.IGNORECASE)
_PERSON = re.compile(r"\w[\s(]+[A-ZÀ-ÞА-Я]\w")
_NAMES = re.compile(r"\b(?:who|whom|whose|qui|wer|quién|кто)\b|谁|誰", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Facet:
    """One question of a goal. Without words it is open: it asks what a text is about."""

    terms: tuple[str, ...]
    categories: frozenset[str] = frozenset()
    """Words of `terms` that name what each of the answers is about: `library` in `each library`."""
    light: frozenset[str] = frozenset()
    """Words of `terms` that a text need not have: categories, `need`, `less`, what `it` means."""
    kinds: frozenset[str] = frozenset()
    """Kinds of quantities that it asks for."""
    measures: frozenset[str] = frozenset()
    """Words of `terms` that name such a kind: `memory`."""
    measured: bool = False
    """True if only a quantity answers it."""
    names: bool = False
    """True if it asks for a person."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A sentence with the words above it."""

    text: str
    above: str = ""
    """Title and headings."""
    lead: bool = False
    """True if it is the first sentence of its source."""


def words(text: str) -> tuple[str, ...]:
    """Return the words by which a text is compared: case-folded, without function words and English endings.

    A compound identifier counts as a whole and in parts. Scripts without spaces count as pairs of characters.
    """
    found: list[str] = []
    for token in _TOKEN.findall(text if text.isascii() else unicodedata.normalize("NFKC", text)):
        if not token.isascii() and _UNSPACED.search(token):
            found += _pairs(token)
            continue
        folded = token.casefold()
        if "'" in folded or "’" in folded:
            folded = _ELIDED.sub("", folded).replace("’", "'").removesuffix("'s")
        if folded not in STOP:
            found.append("license" if folded == "licence" else stem(folded))
            found += _parts(token)
    return tuple(found)


def _parts(token: str) -> list[str]:
    """Return the parts of a compound identifier such as `FakeServer`; nothing for a single word."""
    if token[1:].islower() or token.isupper():
        return []
    humps = _HUMP.findall(token.partition("'")[0])
    return [stem(hump.casefold()) for hump in humps if len(hump) > 1] if len(humps) > 1 else []


def _pairs(token: str) -> list[str]:
    found: list[str] = []
    for run in _UNSPACED.findall(token):
        for piece in pieces(run):
            found += [piece[i : i + 2] for i in range(max(1, len(piece) - 1))]
    return found + [rest.casefold() for rest in _UNSPACED.split(token) if rest]


def pieces(run: str) -> list[str]:
    """Return the parts of a Chinese or Japanese text between endings and function words."""
    return [piece for piece in _ENDINGS.split(run) if piece]


def kin(one: str, other: str) -> bool:
    """Return whether two words have the same stem: three quarters of both, and four letters, are the same."""
    if one == other:
        return True
    longest = max(len(one), len(other))
    least = max(4, -(-longest * 3 // 4))
    return min(len(one), len(other)) >= least and one[:least] == other[:least] and one.isalpha() and other.isalpha()


def facets(text: str) -> tuple[Facet, ...]:
    """Return the questions of a text: those that end with a question mark if there are any, else all of it as one."""
    end = max(text.rfind("?"), text.rfind("？")) + 1
    parts = [part for part in _PARTS.split(text[:end]) if part.strip()] if end else [text]
    found: list[Facet] = []
    for part in parts:
        meant = found[0].terms if found and _PRONOUN.search(part) else ()
        facet = _facet(part, meant)
        found += [facet] if facet.terms or not meant else []  # `what does it give up` alone asks for no word
    return tuple(found)


def _facet(text: str, meant: tuple[str, ...]) -> Facet:
    """Return one question. `meant` are the words of the one before it, if this one says `it`."""
    own = tuple(word for word in dict.fromkeys(words(text)) if word not in GENERIC)
    terms = tuple(dict.fromkeys((*own, *meant))) if own else ()
    categories = frozenset(words(" ".join(match[1] or match[2] for match in _EACH.finditer(text))))
    light = categories | (VERBS | COMPARED | set(terms).difference(own)).intersection(terms)
    kinds = kinds_asked(text)
    measures = frozenset(term for term in terms if kinds & kinds_asked(term))
    is_measured = bool(kinds) and _ASKS.search(text) is not None
    return Facet(terms, categories, light, kinds, measures, is_measured, _NAMES.search(text) is not None)


def relevance(facet: Facet, passages: Sequence[Passage]) -> list[float]:
    """Return the relevance of passages to a question, from 0 to about 1.5."""
    if not facet.terms:
        return [_LEAD if passage.lead else 0.0 for passage in passages]
    inside = _found(facet.terms, [words(passage.text) for passage in passages])
    titles = {above: words(above) for above in {passage.above for passage in passages}}
    above = _found(facet.terms, [titles[passage.above] for passage in passages])
    rarity = _rarity(facet, inside, above)
    mean = sum(length for _, length in inside) / max(1, len(inside)) or 1.0
    found = zip(passages, inside, above, strict=True)
    return [_relevance(facet, passage, own, headings, rarity, mean) for passage, own, (headings, _) in found]


def _relevance(
    facet: Facet,
    passage: Passage,
    own: tuple[Mapping[str, int], int],
    headings: Mapping[str, int],
    rarity: Mapping[str, float],
    mean: float,
) -> float:
    counts, length = own
    norm = _K1 * (1 - _B + _B * length / mean)
    strong = set(facet.terms).difference(facet.light, facet.measures)
    if strong and strong.isdisjoint(counts) and strong.isdisjoint(headings):
        return 0.0
    gained = sum(rarity[term] * (_K1 + 1) / (1 + norm) for term in counts)  # a word said twice says no more
    kinds = {figure.kind for figure in quantities(passage.text)} if facet.kinds else set[str]()
    partly = dict.fromkeys(headings, _ABOVE)
    partly |= dict.fromkeys(facet.measures, _BY_KIND) if kinds & facet.kinds else {}
    gained += sum(share * rarity[term] for term, share in partly.items() if term not in counts)
    return gained / sum(rarity.values()) * _factor(facet, passage.text, kinds)


def _found(terms: Sequence[str], documents: Iterable[Sequence[str]]) -> list[tuple[dict[str, int], int]]:
    """Return for each document how often it has each word of a question, and its length in words."""
    known: dict[str, str] = {}
    found: list[tuple[dict[str, int], int]] = []
    for document in documents:
        counts: dict[str, int] = {}
        for word in document:
            if word not in known:
                known[word] = next((term for term in terms if kin(term, word)), "")
            if known[word]:
                counts[known[word]] = counts.get(known[word], 0) + 1
        found.append((counts, len(document)))
    return found


def _rarity(facet: Facet, *fields: Sequence[tuple[Mapping[str, int], int]]) -> dict[str, float]:
    """Return the weight of each word: the fewer sentences have it, the larger. It is the largest if none has it."""
    frequency = dict.fromkeys(facet.terms, 0)
    for documents in zip(*fields, strict=True):
        for term in dict.fromkeys(chain.from_iterable(counts for counts, _ in documents)):
            frequency[term] += 1
    total = max(len(fields[0]), _USUAL)
    weights = {term: log(1 + (total - n + 0.5) / (n + 0.5)) for term, n in frequency.items()}
    return {term: weight * (_LIGHT if term in facet.light else 1) for term, weight in weights.items()}


def _factor(facet: Facet, text: str, kinds: set[str]) -> float:
    """Return the factor of a sentence by the kind of answer that is asked for."""
    factor = _NAMED if facet.names and _PERSON.search(text) else 1.0
    if kinds & facet.kinds:
        return _MEASURED
    if "number" in facet.kinds and "count" in kinds:
        return _COUNTED
    return _BARE if facet.measured else factor
