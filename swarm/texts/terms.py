"""Words, names and quotations of a text, folded so that spellings compare equal."""

import re
import unicodedata
from dataclasses import dataclass
from functools import cache

LEAST_QUOTED_WORDS = 3
"""Minimum words of a quotation: shorter ones are titles, terms and irony."""
LEAST_QUOTED_CHARACTERS = 6
"""Minimum characters of a quotation in a script without spaces."""

_DASHES = re.compile(r"[\u2010-\u2015\u2212_-]+")
_SPACE = re.compile(r"\s+")
_MARKS = re.compile("[\"'`*\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u00ab\u00bb\u2039\u203a\u300c-\u300f\u02bc]+")
_CJK = r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
_CJK_RUN = re.compile(f"[{_CJK}]+")
_LATIN_WORD = re.compile(rf"[^\W{_CJK}_]+(?:[.'][^\W{_CJK}_]+)*")
_COMBINING = re.compile("[\u0300-\u036f]+")
_QUOTED = re.compile(
    r"“([^“”\n]{4,2000})”|\"([^\"\n]{4,2000})\"|„([^„“”\n]{4,2000})[“”]|«\s?([^«»\n]{4,2000}?)\s?»|»([^«»\n]{4,2000}?)«"
    r"|「([^「」\n]{4,2000})」|『([^『』\n]{4,2000})』|(?<!\w)‘([^‘\n]{4,2000}?)’(?!\w)|(?<!\w)'([^'\n]{4,400}?)'(?!\w)"
)
_ELLIPSIS = re.compile(r"\s*(?:\[\s*(?:…|\.\.\.)\s*\]|\(\s*(?:…|\.\.\.)\s*\)|…|\.{3,})\s*|\s*\[[^\]]{1,60}\]\s*")

_UPPER = r"[A-Z\u00c0-\u00d6\u00d8-\u00de\u0391-\u03a9\u0410-\u042f]"
_CAPITAL = rf"{_UPPER}[\w’'&]*(?:[-./+]?\w[\w’'&]*)*\+*"
_ALNUM = r"[A-Za-z]+[-.]?\d[\w.-]*\w|[A-Za-z]+\d|[a-z]+[A-Z]\w*"
_NAME = re.compile(
    rf"(?<![\w@#/.-])(?:{_ALNUM}|{_CAPITAL})"
    rf"(?:(?:\s(?:of|the|de|del|la|van|von|der|&)\s|\s)(?:{_CAPITAL}|{_ALNUM}))*"
)
_DISTINCT = re.compile(rf"[a-z]{_UPPER}|{_UPPER}.*{_UPPER}|\d")

_STOP_WORDS = """
    a about above after again all also although an and any are as at average be because been before below best both but
    by can cited combined compared could did difference do does down during each either even every few figures first for
    from further good had half has have he her here however i if in increase into is it its just last least less like
    many may means more most much must my near nearly neither next no none nor not note now of off on once one only or
    other others our out over overall per rather same she should since so some source sources still such summary sum
    table than that the their them then there these they this those thus to together total two three four five under
    until up use used uses using very was we were what when where whether which while who why will with within without
    would yet you your need needs needed require requires required take takes took cost costs make makes get gets give
    gives show shows report reports state states according between about around roughly approximately almost
    der die das den dem des ein eine einen einem einer und oder aber ist sind war waren wird werden hat haben mit ohne
    von vom zu zum zur im in am an auf aus bei bis durch für gegen nach seit über um unter vor nicht auch nur noch
    insgesamt beide alle jede jeder dieser diese dieses es er sie wir als wie dass so mehr weniger
    le la les un une des du de et ou mais est sont était a ont avec sans pour par sur sous dans en au aux ce cet cette
    ces il elle ils elles on ne pas plus moins que qui dont tous tout toutes leur son sa ses
    el los las unos unas y o pero es son fue fueron con sin para por sobre entre que se su sus más menos al del
"""
STOP_WORDS = frozenset(_STOP_WORDS.split())
"""Words that do not tell one statement from another, in English, German, French and Spanish."""


def fold(text: str) -> str:
    """Return a text in lower case, without accents, quotation marks and emphasis, with plain dashes and spaces."""
    if not text.isascii():
        text = _COMBINING.sub("", unicodedata.normalize("NFKD", text))
        if not text.isascii():
            text = unicodedata.normalize("NFC", text)
    text = _MARKS.sub("", text.casefold())
    return _SPACE.sub(" ", _DASHES.sub("-", text)).strip()


def words_of(text: str) -> frozenset[str]:
    """Return the stems of the content words of a text, without figures; pairs of characters for CJK."""
    folded = fold(text)
    found = {stem(word) for word in _LATIN_WORD.findall(folded.replace("-", " ")) if not word[0].isdigit()}
    for run in _CJK_RUN.findall(folded):
        found.update(run[n : n + 2] for n in range(max(1, len(run) - 1)))
    return frozenset(found) - STOP_WORDS


@cache
def stem(word: str) -> str:
    """Return an English word without plural (Harman's s-stemmer, 1991), `-ing`, `-ed` and `'s`; others unchanged."""
    word = word.removesuffix("'s")
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
    return word[:-1] if word[-1] == word[-2] and word[-1] not in "lsz" else word


@dataclass(frozen=True, slots=True)
class Name:
    """A proper name in a sentence."""

    text: str
    start: int
    sure: bool
    """Whether it is certainly a name: it has inner capitals or digits, or it is inside of a sentence."""

    def has(self, place: int) -> bool:
        """Return whether a place of the sentence is inside of it: that of the 3 in `F-2-3`."""
        return self.start < place < self.start + len(self.text)


def names_of(text: str) -> list[Name]:
    """Return the names of a sentence: words that begin with a capital, or that contain a digit."""
    found: list[Name] = []
    for match in _NAME.finditer(text):
        words = match[0].rstrip(".-/’'")
        start = match.start()
        first = words.split(" ", 1)[0]
        if _begins(text, start) and not _DISTINCT.search(first):
            if fold(first) in STOP_WORDS:
                start += len(first) + 1
                words = words[len(first) + 1 :].lstrip()
                if not words or not (words[0].isupper() or _DISTINCT.search(words)):
                    continue
                found.append(Name(words, start, sure=True))
                continue
            found.append(Name(words, start, sure=" " in words))
        elif fold(words) not in STOP_WORDS and len(words) > 1:
            found.append(Name(words, start, sure=True))
    return found


_OPENS = re.compile(r"(?:^|[.!?:;|–—]\s|[(“\"«„\n>])[\s*_#>|“\"«„(\[-]*$")


def _begins(text: str, start: int) -> bool:
    """Whether a capital at this place may be that of a sentence, a label or a cell."""
    return _OPENS.search(text[max(0, start - 8) : start] if start else "") is not None


def quotations(text: str) -> list[str]:
    """Return the quotations of a sentence that are long enough to be looked for."""
    found: list[str] = []
    for match in _QUOTED.finditer(text):
        quoted = next(group for group in match.groups() if group is not None)
        if _is_long(quoted):
            found.append(quoted)
    return found


def _is_long(quoted: str) -> bool:
    cjk = sum(map(len, _CJK_RUN.findall(quoted)))
    return len(quoted.split()) >= LEAST_QUOTED_WORDS or cjk >= LEAST_QUOTED_CHARACTERS


def pieces(quoted: str) -> list[str]:
    """Return the folded pieces of a quotation between its omissions: `…`, `[...]` and words in brackets."""
    found = (squeezed(piece) for piece in _ELLIPSIS.split(quoted))
    return [piece for piece in found if len(piece) > 1]


def squeezed(text: str) -> str:
    """Return a folded text without punctuation: letters, digits and single spaces."""
    return " ".join(re.sub(r"[^\w%$€£¥]+", " ", fold(text)).split())
