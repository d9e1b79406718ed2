"""Values that are not figures: names of persons and places, versions, numbers of things, yes and no.

A name is a value only where a sentence gives it as one: `captain: Nora Lind`, `is maintained by Ines Falk`, `is based
in Oslo`, `Erik Strand, captain of …`. Anywhere else it says what the sentence is about.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

from swarm.texts.figures import figures
from swarm.texts.lexicon import CONDITIONAL, DENIALS, word_set
from swarm.texts.quantities import Figure, quantities

NAMED = "name"
YES = "yes"
LABEL = "label"
VERSION = "version"
STATED = frozenset({NAMED, YES, LABEL, VERSION})
"""Kinds of values that are not figures: they agree or not, and none is larger than another."""

_UPPER = r"[A-ZÀ-ÖØ-ÞА-ЯЁ]"
_LINK = r"(?:(?:van|von|de|der|den|di|da|du|la|le|am|of)\s){0,2}"
_NAME = rf"(?:(?:Dr|Prof|Mr|Mrs|Ms|Mme)\.?\s)?{_UPPER}[\w'’-]+(?:\s{_LINK}{_UPPER}[\w'’-]*\.?){{0,4}}"
_STAYS = rf"(?!\s?(?:,|/|&|and|und|et|or|oder|ou|y|и)\s{_UPPER})"
_ENDS = rf"{_STAYS}(?=\s?[.,;:!)]|$|\s(?:and|und|et|и|since|seit|depuis|statt|now|who|which|where)\b)"
_IS = r"is|was|by|ist|war|heißt|von|durch|est|par|es|por|это|является"
_PLACED = (
    r"(?:is|was|are|were|be|lies|sits|runs|located|based|held|hosted|housed|stored|made|built|born|founded|produced"
    r"|place|kept|situated|stands|lives?|works?|meets?|liegt|lager\w+|wohn\w+|arbeite[nt]|tag(?:t|en)"
    r"|habite|travaille|findet|fand|steht|sitzt|sich|trouve|situé|située|lieu|fabriqué|находится"
    r"|расположена?|проходит)\s(?:in|at|near|bei|à|au|en|в|во)"
)
_PLACES = (
    re.compile(rf"\b{_PLACED}\s(?:the\s|la\s|le\s)?(?P<v>{_NAME}){_ENDS}"),
    re.compile(r"(?:位于|在)(?P<v>[\u4e00-\u9fff]{2,6})(?=举行|举办|进行|召开|[，。]?$)"),
)
_NAMES = (
    *_PLACES,
    re.compile(rf"\b(?:{_IS})\s(?:the\s|la\s|le\s)?(?P<v>{_NAME}){_ENDS}"),
    re.compile(rf"^.{{3,80}}[^:：\s]\s?[:：]\s(?P<v>{_NAME})\.?$"),
    re.compile(
        rf"^(?P<v>{_NAME})\s(?:(?:is|was|ist|war|est)\s(?:the|its|our|der|die|das|le|la)|leads|heads|chairs|manages"
        rf"|maintains|leitet|dirige|руководит)\s"
    ),
    re.compile(
        rf"^(?P<v>{_UPPER}[\w'’-]+\s{_LINK}{_UPPER}[\w'’-]+)\s(?!likes|says|wants|thinks|asks|knows|sees|thanks)"
        r"[a-z]{3,}[st]\s(?:the|its|our|der|die|das|den|le|la)\s"
    ),
    re.compile(rf"(?P<v>{_NAME}),\s(?:the\s)?[^\W\d_A-Z]+\s(?:of|at|for|du|de|des|von)\s"),
    re.compile(r"由(?P<v>[\u4e00-\u9fff]{2,4})(?=负责|主持|管理|设计|担任|领导|維護|维护)"),
    re.compile(r"(?:[:：]\s?|[是は])(?P<v>[\u4e00-\u9fff・\u30a0-\u30ff]{2,8})(?:です|である|だ|さん)?[。]?$"),
)
_CELL = re.compile(rf"[^\W\d_A-Z][\w\s]{{1,40}}\s(?P<v>{_NAME})$")
"""A name in the cell of a row, after the head of its column."""
_NUMBERED = re.compile(
    r"\b(?P<before>is|was|to|on|at|from|in|requires?|needs?|uses?|runs?|ist|auf|ab|von|bei|aus|braucht|est|à|au|du"
    r"|version|target|[:：])\s(?:the\s)?(?P<v>(?P<thing>[^\W\d_]{3,}(?:\.js)?)\s(?P<n>\d{1,3}(?:\.\d{1,3})?))"
    r"(?:\s(?:or (?:later|newer|higher)|oder neuer|ou plus))?[.]?$",
    re.IGNORECASE,
)
_VERSIONED = re.compile(r"(?:\b(?:is|version|release|to|requires?|needs?|uses?|runs?|ist|est|auf|v)|[:：])\s?$", re.I)
_VALUE = re.compile(
    r"[:：](?:.*[\s:：])?(?P<v>(?P<no>false|no|nein|non|нет|否|いいえ)|true|yes|ja|oui|да|是|はい)\.?$", re.IGNORECASE
)
"""A cell or a field that is yes or no."""
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")
_DENIES_CJK = re.compile(r"不(?!同|过|過|仅|僅|断|断)|没有|沒有|ない|ません|禁止")
_SOFTENED = word_set("no_later no_more no_less no_fewer not_only not_yet no_matter nicht_nur noch_nicht")
_PLACE = re.compile(r"\b(?:ort|site|place|location|venue|lieu|место|sitz|standort)\b|地点|場所|地址", re.IGNORECASE)
_MOST_WORDS = 40
"""Maximum words of a sentence that says yes or no: a longer one says several things."""


def names(text: str, *, in_row: bool) -> Iterator[Figure]:
    """Yield the names that a sentence or a cell gives as values."""
    for pattern in (*_NAMES, _CELL) if in_row else _NAMES:
        match = pattern.search(text)
        if match:
            is_place = pattern in _PLACES or _PLACE.search(text, 0, match.start("v")) is not None
            yield Figure(0, NAMED, match["v"], *match.span("v"), noun="place" * is_place)
            return


def numbered(text: str) -> Iterator[Figure]:
    """Yield the version or the numbered thing that a sentence gives: `to PostgreSQL 16`, `pier 4`."""
    match = _NUMBERED.search(text)
    if match and (match["before"] not in ":：" or match["thing"][0].isupper()):
        yield Figure(float(match["n"]), LABEL, match["v"], *match.span("v"), match["thing"])
        return
    for each in figures(text):
        is_version = each.code.count(".") > 1 and ":" not in each.code and "-" not in each.code
        if is_version and _VERSIONED.search(text[max(0, each.start - 20) : each.start]):
            yield Figure(0, VERSION, each.text, each.start, each.end)


def answer(text: str) -> Figure | None:
    """Return whether a sentence says yes or no; None of a question, of a condition, and of one about some of all."""
    said = list(_WORD.finditer(text))
    folded = [match[0].casefold().replace("’", "'") for match in said]
    if not said or len(said) > _MOST_WORDS or text.rstrip()[-1:] in "?？" or CONDITIONAL.intersection(folded):
        return None
    value = _VALUE.search(text)
    if value:
        return Figure(float(value["no"] is None), YES, value["v"], *value.span("v"))
    return _denial(text, said, folded) if _may_deny(text, folded) else Figure(1, YES, "", 0, 0)


def _denial(text: str, said: Sequence[re.Match[str]], folded: Sequence[str]) -> Figure | None:
    """Return the word with which a sentence denies; None if it says `not only` or the like."""
    first = next((n for n, word in enumerate(folded) if _denies(word)), None)
    denied = _DENIES_CJK.search(text) if first is None else said[first]
    around = {"_".join(folded[n : n + 2]) for n in (first - 1, first) if n >= 0} if first is not None else set[str]()
    return None if denied is None or around & _SOFTENED else Figure(0, YES, denied[0], *denied.span())


def _may_deny(text: str, folded: Iterable[str]) -> bool:
    return any(map(_denies, folded)) or _DENIES_CJK.search(text) is not None


def _denies(word: str) -> bool:
    return word in DENIALS or word.endswith("n't")


def denies(text: str) -> bool:
    """Return whether a sentence denies something."""
    said = answer(text)
    return said is not None and not said.value


def has_value(text: str) -> bool:
    """Return whether a sentence has a figure, gives a name or denies something: others may say something else."""
    return denies(text) or bool(quantities(text)) or any(names(text, in_row=True))


def agree(one: Figure, other: Figure) -> bool:
    """Return whether two values of one kind may be the same: a name may be given in part."""
    if one.kind == YES:
        return one.value == other.value
    if one.kind != NAMED:
        return one.text.split()[-1] == other.text.split()[-1]
    mine, yours = (set(each.text.casefold().replace("・", " ").split()) for each in (one, other))
    return mine <= yours or yours <= mine
