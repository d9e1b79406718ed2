"""What an answer says that its writer did with a tool, and whether a call of it was made.

Only the writer counts: `the authors ran the tests` says nothing about it, and neither does what is quoted.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

from swarm.base.text import clip
from swarm.spec.chat import ToolCall

MOST_CALLS = 5
"""Maximum notes on calls that were not made."""
READ_CHARACTERS = 200_000
"""Maximum characters of an answer that are read for such sentences."""

_CODE = r"`[^`\n]{1,80}`"
_WHAT = rf"(?:{_CODE}|[\w./-]{{1,60}})"
_I = (
    r"(?<!\bif )(?<!\bwhen )(?<!\bhad )\bI(?:['’]ve| have)?"
    r"(?: (?:just|then|also|now|already|successfully|actually))?"
)
_THE = (
    r"(?:(?:the|a|an|all|all of the|my|your|our|some|several|this|that|each|every|both|\d+)"
    r" (?:\w+ )?)?"
)
_THING = (
    r"(?:(?:test|script|program|command|benchmark|build|function|simulation|linter|check|example"
    r"|notebook|calculation|job|app|tool|api|endpoint|snippet|suite)s?\b|code\b|quer(?:y|ies)\b"
    r"|search(?:es)?\b|analys[ie]s\b|server\b|compiler\b|them\b|th(?:is|at)\b"
    r"|it\b(?! (?:a|an|the)\b))"
)
_PROGRAM = (
    r"(?:[a-z]\w*[_.(][\w./()-]{0,60}|[a-z][\w-]* -\w+"
    r"|(?:pytest|python|make|npm|pip|curl|grep|git|docker|cargo|node|bash|wget)\b)"
)
_ONLINE = (
    r"(?:web|internet|online|google|bing|github|arxiv|pubmed|wikipedia|database|repositor\w+"
    r"|site|index|docs)\b"
)
_PAGE = (
    r"(?:https?://\S{1,60}|[\w-]+\.\w{2,4}\b"
    r"|(?:page|file|link|url|document|website|repository|spreadsheet)s?\b)"
)
_SAID = (
    rf"{_I} (?:ran|run|re-ran|executed|launched|tested|invoked|called|compiled|started) {_THE}"
    rf"({_CODE}|{_THING})",
    rf"{_I} (?:ran|run|executed|invoked|called|tested|used) ({_CODE}|{_PROGRAM})",
    rf"{_I} (?:executed|invoked|queried|installed|downloaded|fetched|benchmarked|profiled|compiled"
    rf"|browsed) {_THE}({_WHAT})",
    rf"{_I} (?:searched|googled|checked|looked(?: (?:it|this|that|them) up)?)"
    rf"(?: (?:in|on|through|for [^.\n]{{1,60}}? (?:on|in)))? (?:the )?({_ONLINE})",
    rf"{_I} (?:opened|visited|loaded) {_THE}({_CODE}|{_PAGE})",
    rf"(?:{_I} |(?:^|[.!?:]\s)(?:[-*•]\s)?)(?:verified|confirmed|checked|validated)(?: [^.\n]{{1,60}})? by "
    rf"(?:running|executing|calling|searching|invoking|testing) {_THE}({_WHAT})",
    rf"\b(?:by|after) (?:running|executing) {_THE}({_CODE}|{_THING})[^.\n]{{0,60}}?,? I\b",
    rf"\bich habe ((?:(?:die|das|den|alle) )?{_WHAT})[^.\n]{{0,40}} "
    r"(?:ausgeführt|aufgerufen|gestartet|getestet|heruntergeladen|installiert|durchsucht)\b",
    r"\bj['’]ai (?:bien |déjà )?(?:exécuté|lancé|appelé|testé|téléchargé|installé|(?:re)?cherché sur)"
    rf"\s+((?:(?:les?|la|des|une?) |l['’])?{_WHAT})",
    r"(?<!\w)(?:ya )?he (?:ejecutado|lanzado|probado|descargado|instalado|buscado en) "
    rf"((?:(?:el|las?|los) )?{_WHAT})",
    r"(?<!\w)ho (?:eseguito|lanciato|testato|scaricato|installato|cercato su) "
    rf"((?:(?:il|la|le|i|gli) )?{_WHAT})",
    rf"(?<!\w)я (?:запустил|выполнил|вызвал|протестировал|скачал|установил)а? ({_WHAT})",
    r"(?:我们?(?:已经|已|刚刚|刚|又)?|(?:^|[。！？；\n])\s*(?:已经|已)?)"
    r"(?:运行|執行|执行|调用|調用|搜索|搜尋|测试|下载|安装|查询)(?:了|过)([^，。\n]{0,20})",
    r"(?:私は|(?:^|[。\n])(?![^。\n]{0,30}[がは]))([^。\n]{0,30}?)を?"
    r"(?:実行|検索|テスト|ダウンロード|インストール)しました",
)
_SENTENCES = [re.compile(each, re.IGNORECASE | re.MULTILINE) for each in _SAID]
_MAY_SAY = re.compile(r"\b(?:I|ich|he|ho)\b|j['’]ai|\bby \w+ing\b|я|[了过]|しました", re.IGNORECASE)
_QUOTED = re.compile(
    r"“[^“”\n]{1,600}”|\"[^\"\n]{1,600}\"|«[^«»\n]{1,600}»|„[^„“”\n]{1,600}[“”]|「[^「」\n]{1,600}」"
    r"|^\s*>[^\n]*$|^```.*?^```",
    re.MULTILINE | re.DOTALL,
)
_EXACT = re.compile(r"\S[ ._/]\S")
"""A command, a function or a file, and not a word."""
_ABOUT = (
    (
        re.compile(r"\b(?:web|internet|online|google|bing)\b|网|網|ネット", re.IGNORECASE),
        re.compile(r"search|web|fetch|brows|http|url|look|open", re.IGNORECASE),
    ),
    (
        re.compile(r"\btests?\b|suite|benchmark|测试|テスト", re.IGNORECASE),
        re.compile(r"test|run|exec|python|shell|bash|code|command|make|sandbox|bench", re.IGNORECASE),
    ),
)
"""What an answer names in words, and what the name or the arguments of a call of it have."""


def not_called(text: str, calls: Sequence[ToolCall]) -> list[str]:
    """Return a note for each `I ran X` in an answer without a call of X."""
    found: dict[str, None] = {}
    for said, what in _done(text[:READ_CHARACTERS]):
        if not _is_called(said, what, calls):
            found[f"the answer says {clip(said)!r}, but no such call was made"] = None
    return list(found)[:MOST_CALLS]


def _done(text: str) -> Iterator[tuple[str, str]]:
    """Yield what an answer says that its writer did, and what with."""
    if _MAY_SAY.search(text) is None:
        return
    text = _QUOTED.sub(lambda match: " " * len(match[0]), text)
    taken: list[tuple[int, int]] = []
    for pattern in _SENTENCES:
        for match in pattern.finditer(text):
            if not any(match.start() < end and start < match.end() for start, end in taken):
                taken.append(match.span())
                what = next((group for group in match.groups() if group), "")
                yield match[0].strip(" \n。！？；.:"), what.strip("`").rstrip(".")


def _is_called(said: str, what: str, calls: Iterable[ToolCall]) -> bool:
    """Whether a tool was called that what the answer names may be: any call, if it names none in code."""
    texts = [f"{call.name} {call.arguments}".casefold() for call in calls]
    first = what.casefold().split()[:1]
    for named, tool in () if "`" in said else _ABOUT:
        if named.search(said):
            return any(map(tool.search, texts))
    is_exact = _EXACT.search(what) is not None
    return any(not is_exact or first[0] in text for text in texts)
