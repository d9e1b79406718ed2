"""The ranking of passages by a question, without a model.

Relevance is Okapi BM25 (Robertson and Zaragoza, "The Probabilistic Relevance Framework", 2009).
Centrality is a random walk over the similarity of sentences that restarts at relevant ones
(TextRank, Mihalcea and Tarau 2004; biased LexRank, Otterbacher, Erkan and Radev 2005). Maximal
marginal relevance limits redundancy (Carbonell and Goldstein 1998). All of it is deterministic: of
equal passages the earlier one wins, and no sum runs over an unordered set.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log, sqrt

PAIRWISE = 120
"""Maximum passages that are compared in pairs: the only cost that is not linear in the text."""
DUPLICATE = 0.8
"""Minimum cosine at which two passages with the same figures are duplicates."""

_K1, _B = 1.2, 0.75  # the usual settings of BM25
_RELEVANCE, _CENTRALITY, _PRIOR = 0.6, 0.2, 0.2  # parts of a score; boosts are added
_MEASURED, _COUNTED, _BARE = 0.9, 0.5, 0.1  # boosts of a requested figure: with a unit, a noun, or neither
_NAMED = 0.05  # boost of a requested proper name
_NOVELTY = 0.35  # weight of redundancy in maximal marginal relevance

_TOKEN = re.compile(r"\d+(?:[.,]\d+)*|[^\W_]+(?:['’][^\W_]+)?")
_HUMP = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
    "\U00020000-\U0003ffff]+"
)
"""Scripts without spaces between words (Thai, Lao, Burmese, Khmer, Japanese, Chinese), and Korean,
which inflects."""
_FIGURE = re.compile(r"(?<![\w.,])([-−])?([$€£¥]\s?)?(\d[\d.,]{0,30})\s?(%|[^\W\d_]{1,20}(?:/[^\W\d_]{1,10})?)?")
_CURRENCY = frozenset("$€£¥")
_NAME = re.compile(r"(?<![\w-])[^\W\d_a-z][\w.+#-]{0,60}(?<=[\w+#])")


def word_set(text: str) -> frozenset[str]:
    """Return the words of a text as a set."""
    return frozenset(text.split())


_STOP = word_set(
    "a about above add after all also am an and any are as at be been but by can could did do does each every find for"
    " from get give given had has have he her his how i if in into is it its let many may me more most much must my no"
    " not of on one or our out over per please say says shall she should so some such tell than that the their them"
    " then there these they this those to too up us use was we were what when where which who whom whose why will with"
    " would you your"
)
"""The most common function words of English, and verbs of requests."""
_ASKS_FIGURE = re.compile(
    r"\bhow (?:much|many|big|large|small|long|fast|slow|heavy|far|old|often|expensive|cheap|high|deep|wide)\b"
    r"|\b(?:costs?|prices?|sizes?|figures?|numbers?|percent|percentages?|rates?|totals?|amounts?|quantity|budget)\b",
    re.IGNORECASE,
)
_ASKS_NAME = word_set("which who whom what list name names named where")
_UNITS = word_set(
    "% b kb mb gb tb kib mib gib byte bytes kilobyte kilobytes megabyte megabytes gigabyte gigabytes ns us µs ms s sec"
    " second seconds min minute minutes h hour hours day days week weeks month months year years hz khz mhz ghz w kw"
    " kwh mm cm m km g kg t l ml usd eur gbp dollar dollars euro euros percent token tokens core cores"
)


@dataclass(frozen=True, slots=True)
class Figure:
    """A number in a text."""

    value: float
    unit: str
    """The word, sign or currency next to it, case-folded; empty if there is none."""
    start: int
    """Its position in the text in characters."""

    @property
    def measured(self) -> bool:
        """True if it has a unit of measure."""
        return self.unit in _UNITS or self.unit in _CURRENCY


@dataclass(frozen=True, slots=True)
class Question:
    """A question as weighted words."""

    weights: Mapping[str, float]
    """Weight by word, as `words` returns it."""
    figure: bool = False
    """True if it asks for a figure."""
    name: bool = False
    """True if it asks for a name."""
    common: frozenset[str] = frozenset()
    """Words in lower case, which are not proper names."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A candidate for an answer."""

    text: str
    terms: tuple[str, ...]
    """Its words, and those of its headings and source."""
    prior: float = 0.0
    """Importance of its position in the text, from 0 to 1."""


def words(text: str) -> tuple[str, ...]:
    """Return the words by which a text is compared.

    They are case-folded and lightly stemmed, without the most common function words of English. A
    compound identifier counts as a whole and in parts. Scripts without spaces count as pairs of
    characters.
    """
    found: list[str] = []
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    for token in _TOKEN.findall(text):
        if not token.isascii() and _UNSPACED.search(token):
            found += _pairs(token)
            continue
        folded = token.casefold().replace("’", "'").removesuffix("'s")
        if folded in _STOP:
            continue
        found.append("license" if folded == "licence" else stem(folded))
        if not (token[1:].islower() or token.islower() or token.isupper()):
            found += _parts(token)
    return tuple(found)


def _parts(token: str) -> list[str]:
    """Return the parts of a compound identifier such as `FakeServer`; nothing for a single word."""
    humps = _HUMP.findall(token.replace("’", "'").removesuffix("'s"))
    if len(humps) < 2:
        return []
    return [stem(hump.casefold()) for hump in humps if len(hump) > 1]


def _pairs(token: str) -> list[str]:
    """Return the pairs of characters of a script without spaces."""
    found: list[str] = []
    for run in _UNSPACED.findall(token):
        found += [run[i : i + 2] for i in range(max(1, len(run) - 1))]
    return found + [stem(rest.casefold()) for rest in _UNSPACED.split(token) if rest]


def stem(word: str) -> str:
    """Return an English word without plural (Harman's s-stemmer, 1991), `-ing` and `-ed`.

    Other words are unchanged.
    """
    if len(word) < 4 or not word.isascii() or not word.isalpha():
        return word
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    is_plural = word.endswith("s") and not word.endswith(("ss", "us", "is"))
    return _base(word[:-1] if is_plural else word)


def _base(word: str) -> str:
    """Return a word without `-ing` or `-ed`, if at least four letters are left."""
    ending = next((each for each in ("ing", "ed") if word.endswith(each)), "")
    if not ending or len(word) - len(ending) < 4 or word.endswith("eed"):
        return word
    word = word[: -len(ending)]
    is_doubled = word[-1] == word[-2] and word[-1] not in "lsz"
    return word[:-1] if is_doubled else word


def figures(text: str) -> tuple[Figure, ...]:
    """Return the numbers of a text with their units. Versions such as `1.2.3` are not numbers."""
    found: list[Figure] = []
    for match in _FIGURE.finditer(text):
        value = _value(match[3].rstrip(".,"))
        if value is None:
            continue
        # A full stop or comma after the digits ends the phrase, so the next word is not a unit.
        following = "" if match[3][-1] in ".," else (match[4] or "").casefold()
        currency = (match[2] or "").strip()
        unit = currency or ("" if following in _STOP else following)
        found.append(Figure(-value if match[1] else value, unit, match.start(3)))
    return tuple(found)


def _value(digits: str) -> float | None:
    if re.fullmatch(r"\d{1,3}(,\d{3})+(\.\d+)?", digits):
        digits = digits.replace(",", "")
    elif re.fullmatch(r"\d+,\d+", digits):
        digits = digits.replace(",", ".")
    if not re.fullmatch(r"\d+(\.\d+)?", digits):
        return None
    return float(digits)


def names(text: str) -> tuple[str, ...]:
    """Return proper names: words with a capital that are not the first word, or with one inside."""
    found: dict[str, None] = {}
    for match in _NAME.finditer(text):
        word = match[0].rstrip(".-")
        first = not text[: match.start()].strip(" \t\"'“(*-")
        folded = word.casefold()
        if folded in _STOP or folded in _UNITS or len(word) < 2:
            continue
        if not first or any(c.isupper() or c.isdigit() for c in word[1:]):
            found[word] = None
    return tuple(found)


def question(*texts: tuple[str, float]) -> Question:
    """Return a question from texts with weights. A word in several texts has the highest weight."""
    weights: dict[str, float] = {}
    cues: set[str] = set()
    common: set[str] = set()
    for text, weight in texts:
        for word in words(text):
            weights[word] = max(weight, weights.get(word, 0.0))
        for token in _TOKEN.findall(text):
            cues.add(token.casefold())
            common.update(words(token) if token.islower() else ())
    asks_figure = any(_ASKS_FIGURE.search(text) for text, _ in texts)
    return Question(weights, asks_figure, bool(cues & _ASKS_NAME), frozenset(common))


def relevance(asked: Mapping[str, float], documents: Sequence[Sequence[str]]) -> list[float]:
    """Return the BM25 scores of documents for weighted words, scaled so that the best is 1."""
    counts: list[dict[str, int]] = []
    frequency: Counter[str] = Counter()
    for terms in documents:
        found: dict[str, int] = {}
        for term in terms:
            if term in asked:
                found[term] = found.get(term, 0) + 1
        counts.append(found)
        frequency.update(found.keys())
    total = len(documents)
    mean = sum(len(terms) for terms in documents) / max(total, 1) or 1.0
    rarity = {term: log(1 + (total - n + 0.5) / (n + 0.5)) for term, n in frequency.items()}
    scores: list[float] = []
    for terms, found in zip(documents, counts, strict=True):
        norm = _K1 * (1 - _B + _B * len(terms) / mean)
        parts = (asked[t] * rarity[t] * n * (_K1 + 1) / (n + norm) for t, n in found.items())
        scores.append(sum(parts))
    best = max(scores, default=0.0)
    return [score / best for score in scores] if best > 0 else scores


@dataclass(frozen=True, slots=True)
class Vector:
    """The words of a passage with their weights."""

    weights: Mapping[str, float]
    length: float


def vectors(documents: Sequence[Sequence[str]]) -> list[Vector]:
    """Return a vector per document. Words that are rare among the documents have a high weight."""
    frequency: Counter[str] = Counter()
    for terms in documents:
        frequency.update(dict.fromkeys(terms).keys())
    found: list[Vector] = []
    for terms in documents:
        weights = {term: log(1 + len(documents) / frequency[term]) for term in dict.fromkeys(terms)}
        found.append(Vector(weights, sqrt(sum(w * w for w in weights.values()))))
    return found


def similarity(one: Vector, other: Vector) -> float:
    """Return the cosine of two vectors, from 0 to 1."""
    if len(one.weights) > len(other.weights):
        one, other = other, one
    weights = other.weights
    shared = sum(w * weights[term] for term, w in one.weights.items() if term in weights)
    return min(1.0, shared / (one.length * other.length)) if shared else 0.0


def score(asked: Question, passages: Sequence[Passage]) -> list[float]:
    """Return the scores of passages: relevance, centrality among the best, position and boosts."""
    near = relevance(asked.weights, [p.terms for p in passages])
    scores = [_RELEVANCE * r + _PRIOR * p.prior + boost(asked, p.text) for r, p in zip(near, passages, strict=True)]
    top = _best(scores, PAIRWISE)
    if len(top) > 2:
        central = _central([passages[i].terms for i in top], [near[i] for i in top])
        for i, value in zip(top, central, strict=True):
            scores[i] += _CENTRALITY * value
    return scores


def boost(asked: Question, text: str) -> float:
    """Return the extra score of a passage with a requested figure or name."""
    credit = 0.0
    if asked.figure:
        credit = max((_worth(figure) for figure in figures(text)), default=0.0)
    if asked.name and names(text):
        credit += _NAMED
    return credit


def _worth(figure: Figure) -> float:
    if figure.measured:
        return _MEASURED
    dated = 1900 <= figure.value < 2100 and figure.value.is_integer()
    return _COUNTED if figure.unit and not dated else _BARE


def _best(scores: Sequence[float], count: int) -> list[int]:
    return sorted(range(len(scores)), key=lambda i: (-scores[i], i))[:count]


def _central(documents: Sequence[Sequence[str]], bias: Sequence[float]) -> list[float]:
    """Return the centrality of each document, scaled so that the best is 1."""
    from swarm.endpoints.offline.centrality import centrality

    found = vectors(documents)
    pairs: dict[tuple[str, str], float] = {}
    for i in range(len(found)):
        for j in range(i):
            near = similarity(found[i], found[j])
            if near > 0.05:  # chance matches cost time and mean nothing
                pairs[(str(j), str(i))] = near
    ranks = centrality(pairs, {str(i): 0.1 + value for i, value in enumerate(bias)})
    values = [ranks.get(str(i), 0.0) for i in range(len(found))]
    best = max(values, default=0.0)
    return [value / best for value in values] if best > 0 else values


def same(one: Passage, other: Passage, near: float) -> bool:
    """Return whether two passages with the similarity `near` are duplicates."""
    if near < DUPLICATE:
        return False
    return {f.value for f in figures(one.text)} == {f.value for f in figures(other.text)}


def pick(scores: Sequence[float], passages: Sequence[Passage], count: int) -> list[int]:
    """Return at most `count` of the best passages without duplicates, in their own order."""
    pool = _best(scores, PAIRWISE)
    found = vectors([passages[i].terms for i in pool])
    chosen: list[int] = []
    redundancy = [0.0] * len(pool)
    left = list(range(len(pool)))
    while left and len(chosen) < count:
        take = max(left, key=lambda k: (scores[pool[k]] - _NOVELTY * redundancy[k], -pool[k]))
        left.remove(take)
        chosen.append(pool[take])
        kept: list[int] = []
        for k in left:
            near = similarity(found[take], found[k])
            if not same(passages[pool[take]], passages[pool[k]], near):
                redundancy[k] = max(redundancy[k], near)
                kept.append(k)
        left = kept
    return sorted(chosen)
