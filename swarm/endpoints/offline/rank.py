"""Which passages of a text answer a question: words, relevance, centrality, redundancy. Arithmetic only, no model.

Relevance is Okapi BM25 (Robertson and Zaragoza, "The Probabilistic Relevance Framework", 2009). Centrality is a random
walk over the similarity of sentences that restarts at the relevant ones (TextRank, Mihalcea and Tarau 2004; biased
LexRank, Otterbacher, Erkan and Radev 2005). Redundancy is held down by maximal marginal relevance (Carbonell and
Goldstein 1998). Everything is deterministic: ties go to the earlier passage, and no sum runs over an unordered set.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log, sqrt

PAIRWISE = 120
"""Most passages compared with one another: the square of this is the only cost that is not linear in the text."""
DUPLICATE = 0.8
"""Cosine from which two passages say the same thing, if their figures are the same."""

_K1, _B = 1.2, 0.75  # the usual BM25 settings
_RELEVANCE, _CENTRALITY, _PRIOR = 0.6, 0.2, 0.2  # how a score is put together; boosts come on top
_MEASURED, _COUNTED, _BARE = 0.9, 0.5, 0.1  # boosts of a figure that was asked for: with a unit, a noun, nothing
_NAMED = 0.05  # boost of a proper name where one was asked for
_NOVELTY = 0.35  # weight of redundancy in maximal marginal relevance

_TOKEN = re.compile(r"\d+(?:[.,]\d+)*|[^\W_]+(?:['’][^\W_]+)?")
_HUMP = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
    "\U00020000-\U0003ffff]+"
)
"""Scripts that put no space between words (Thai, Lao, Burmese, Khmer, Japanese, Chinese; Korean inflects its words)."""
_FIGURE = re.compile(r"(?<![\w.,])([-−])?([$€£¥]\s?)?(\d[\d.,]{0,30})\s?(%|[^\W\d_]{1,20}(?:/[^\W\d_]{1,10})?)?")
_CURRENCY = frozenset("$€£¥")
_NAME = re.compile(r"(?<![\w-])[^\W\d_a-z][\w.+#-]{0,60}(?<=[\w+#])")


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


_STOP = _set(
    "a about above add after all also am an and any are as at be been but by can could did do does each every find for"
    " from get give given had has have he her his how i if in into is it its let many may me more most much must my no"
    " not of on one or our out over per please say says shall she should so some such tell than that the their them"
    " then there these they this those to too up us use was we were what when where which who whom whose why will with"
    " would you your"
)
"""The commonest function words of English, and the verbs of requests."""
_ASKS_FIGURE = re.compile(
    r"\bhow (?:much|many|big|large|small|long|fast|slow|heavy|far|old|often|expensive|cheap|high|deep|wide)\b"
    r"|\b(?:costs?|prices?|sizes?|figures?|numbers?|percent|percentages?|rates?|totals?|amounts?|quantity|budget)\b",
    re.IGNORECASE,
)
_ASKS_NAME = _set("which who whom what list name names named where")
_UNITS = _set(
    "% b kb mb gb tb kib mib gib byte bytes kilobyte kilobytes megabyte megabytes gigabyte gigabytes ns us µs ms s sec"
    " second seconds min minute minutes h hour hours day days week weeks month months year years hz khz mhz ghz w kw"
    " kwh mm cm m km g kg t l ml usd eur gbp dollar dollars euro euros percent token tokens core cores"
)


@dataclass(frozen=True, slots=True)
class Figure:
    """A number as it stands in a text."""

    value: float
    unit: str
    """The word, sign or currency beside it, case-folded; empty if there is none."""
    start: int
    """Where it begins in the text, in characters."""

    @property
    def measured(self) -> bool:
        """Whether it has a unit of measure."""
        return self.unit in _UNITS or self.unit in _CURRENCY


@dataclass(frozen=True, slots=True)
class Question:
    """What is looked for."""

    weights: Mapping[str, float]
    """Weight of each word, as `words` gives it."""
    figure: bool = False
    """Whether a figure is asked for."""
    name: bool = False
    """Whether a name is asked for."""
    common: frozenset[str] = frozenset()
    """Words it writes in lower case: they name a matter, not a thing."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A candidate."""

    text: str
    terms: tuple[str, ...]
    """Its words, and the words of where it stands."""
    prior: float = 0.0
    """How likely it matters by where it stands, from 0 to 1."""


def words(text: str) -> tuple[str, ...]:
    """Split a text into the words it is compared by.

    Case-folded and lightly stemmed, without the commonest function words of English. A compound identifier counts
    whole and in parts; scripts without spaces count as pairs of characters.
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
            humps = _HUMP.findall(token.replace("’", "'").removesuffix("'s"))
            found += [stem(hump.casefold()) for hump in humps if len(humps) > 1 and len(hump) > 1]
    return tuple(found)


def _pairs(token: str) -> list[str]:
    found: list[str] = []
    for run in _UNSPACED.findall(token):
        found += [run] if len(run) == 1 else [run[i : i + 2] for i in range(len(run) - 1)]
    return found + [stem(rest.casefold()) for rest in _UNSPACED.split(token) if rest]


def stem(word: str) -> str:
    """Cut an English word's plural (Harman's s-stemmer, 1991), `-ing` and `-ed`; leave every other word alone."""
    if len(word) < 4 or not word.isascii() or not word.isalpha():
        return word
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    for ending in ("ing", "ed"):
        if word.endswith(ending) and len(word) - len(ending) >= 4 and not word.endswith("eed"):
            word = word[: -len(ending)]
            return word[:-1] if word[-1] == word[-2] and word[-1] not in "lsz" else word
    return word


def figures(text: str) -> tuple[Figure, ...]:
    """Find the numbers of a text with the unit beside each; versions such as `1.2.3` are not numbers."""
    found: list[Figure] = []
    for match in _FIGURE.finditer(text):
        value = _value(match[3].rstrip(".,"))
        if value is None:
            continue
        # A full stop or comma after the digits ends the phrase: the next word is no unit.
        unit = "" if match[3][-1] in ".," else (match[4] or "").casefold()
        unit = (match[2] or "").strip() or ("" if unit in _STOP else unit)
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
    """Find what looks like a proper name: a capital where it is not the sentence's first word, or inside a word."""
    found: dict[str, None] = {}
    for match in _NAME.finditer(text):
        word = match[0].rstrip(".-")
        first = not text[: match.start()].strip(" \t\"'“(*-")
        if word.casefold() in _STOP or word.casefold() in _UNITS or len(word) < 2:
            continue
        if not first or any(c.isupper() or c.isdigit() for c in word[1:]):
            found[word] = None
    return tuple(found)


def question(*texts: tuple[str, float]) -> Question:
    """Make a question of texts, each with its weight; a word in several counts with the highest."""
    weights: dict[str, float] = {}
    cues: set[str] = set()
    common: set[str] = set()
    for text, weight in texts:
        for word in words(text):
            weights[word] = max(weight, weights.get(word, 0.0))
        plain = [token for token in _TOKEN.findall(text) if token.islower()]
        common.update(word for token in plain for word in words(token))
        cues.update(token.casefold() for token in _TOKEN.findall(text))
    return Question(
        weights, any(_ASKS_FIGURE.search(text) for text, _ in texts), bool(cues & _ASKS_NAME), frozenset(common)
    )


def relevance(asked: Mapping[str, float], documents: Sequence[Sequence[str]]) -> list[float]:
    """Score documents, given as words, against weighted words: BM25, scaled so that the best is 1."""
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
        scores.append(sum(asked[t] * rarity[t] * n * (_K1 + 1) / (n + norm) for t, n in found.items()))
    best = max(scores, default=0.0)
    return [score / best for score in scores] if best > 0 else scores


@dataclass(frozen=True, slots=True)
class Vector:
    """Words of a passage with their weights."""

    weights: Mapping[str, float]
    length: float


def vectors(documents: Sequence[Sequence[str]]) -> list[Vector]:
    """Weigh the words of each document by how rare they are among all of them."""
    frequency: Counter[str] = Counter()
    for terms in documents:
        frequency.update(dict.fromkeys(terms).keys())
    found: list[Vector] = []
    for terms in documents:
        weights = {term: log(1 + len(documents) / frequency[term]) for term in dict.fromkeys(terms)}
        found.append(Vector(weights, sqrt(sum(w * w for w in weights.values()))))
    return found


def similarity(one: Vector, other: Vector) -> float:
    """Cosine of two vectors, from 0 to 1."""
    if len(one.weights) > len(other.weights):
        one, other = other, one
    shared = sum(w * other.weights[term] for term, w in one.weights.items() if term in other.weights)
    return min(1.0, shared / (one.length * other.length)) if shared else 0.0


def score(asked: Question, passages: Sequence[Passage]) -> list[float]:
    """Score passages against a question: relevance, centrality among the most relevant, prior and boosts."""
    near = relevance(asked.weights, [p.terms for p in passages])
    scores = [_RELEVANCE * r + _PRIOR * p.prior + boost(asked, p.text) for r, p in zip(near, passages, strict=True)]
    top = _best(scores, PAIRWISE)
    if len(top) > 2:
        central = _central([passages[i].terms for i in top], [near[i] for i in top])
        for i, value in zip(top, central, strict=True):
            scores[i] += _CENTRALITY * value
    return scores


def boost(asked: Question, text: str) -> float:
    """Credit a passage for a figure or a name, where one was asked for."""
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
    """Centrality of each document, the highest being 1."""
    from swarm.endpoints.offline.centrality import centrality

    found = vectors(documents)
    pairs: dict[tuple[str, str], float] = {}
    for i in range(len(found)):
        for j in range(i):
            near = similarity(found[i], found[j])
            if near > 0.05:  # the long tail of chance matches costs time and says nothing
                pairs[(str(j), str(i))] = near
    ranks = centrality(pairs, {str(i): 0.1 + value for i, value in enumerate(bias)})
    values = [ranks.get(str(i), 0.0) for i in range(len(found))]
    best = max(values, default=0.0)
    return [value / best for value in values] if best > 0 else values


def same(one: Passage, other: Passage, near: float) -> bool:
    """Whether two passages with that similarity say the same: near enough, and with the same figures."""
    return near >= DUPLICATE and {f.value for f in figures(one.text)} == {f.value for f in figures(other.text)}


def pick(scores: Sequence[float], passages: Sequence[Passage], count: int) -> list[int]:
    """Pick the best passages that do not repeat one another; at most `count`, in their own order."""
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
