"""The report of a run as markup: its Markdown, with citations that lead to their steps, and marks
of evidence.

Nothing in a report becomes a tag, a link or a picture: raw HTML, links, images and references are
shown as they are written. A bracket with ids of steps is a citation. After each cited sentence
stands the mark of its claim.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import chain
from typing import Any, LiteralString, cast

from swarm.results.claims import CheckedClaim, citable_steps, citation_ends
from swarm.results.report import Report
from swarm.views.page.html import EMPTY, Html, html, join, joined
from swarm.views.page.scene import PageScene

MOST_CHARACTERS = 1_000_000
"""Maximum characters of a report that are read as Markdown. A longer one is shown as plain text."""
TALL_CHARACTERS = 5000
"""Minimum characters of a report that scrolls in a frame of its own: about three screens."""
MOST_SOURCES = 100
"""Maximum steps in the list of sources at the end of a report that the page repeats."""
OPEN, CLOSE = "\ue000", "\ue001"
"""Characters around the number of a claim, while Markdown is read. A text that has them itself
loses them."""
MARKS = {"supported": "✓", "derived": "≈", "unsupported": "✗", "uncited": "–"}
WORDS = {
    "supported": "supported: its figures, names and quotations are in the cited outputs",
    "derived": "derived: a figure is computed or converted from the cited outputs",
    "unsupported": "unsupported: something is not in the cited outputs",
    "uncited": "uncited: it cites no step",
}
_TAGS: Mapping[str, tuple[LiteralString, LiteralString]] = {
    "p": ("<p>", "</p>"),
    "ul": ("<ul>", "</ul>"),
    "ol": ("<ol>", "</ol>"),
    "li": ("<li>", "</li>"),
    "blockquote": ("<blockquote>", "</blockquote>"),
    "h1": ("<h3>", "</h3>"),
    "h2": ("<h4>", "</h4>"),
    "h3": ("<h5>", "</h5>"),
    "h4": ("<h6>", "</h6>"),
    "h5": ("<h6>", "</h6>"),
    "h6": ("<h6>", "</h6>"),
    "table": ('<div class="wide" role="group" aria-label="Table" tabindex="0"><table>', "</table></div>"),
    "thead": ("<thead>", "</thead>"),
    "tbody": ("<tbody>", "</tbody>"),
    "tr": ("<tr>", "</tr>"),
    "th": ("<th>", "</th>"),
    "td": ("<td>", "</td>"),
    "em": ("<em>", "</em>"),
    "strong": ("<strong>", "</strong>"),
}
"""Markup for each tag that Markdown may give. The headings of a report are below those of the
page."""
_BRACKET = re.compile(r"[\[【［〔]([^\[\]【】［］〔〕\n]{1,600})[\]】］〕]")
_CLAIM = re.compile(f"{OPEN}([0-9]{{1,7}}){CLOSE}")
_PRIVATE = re.compile(f"[{OPEN}{CLOSE}]")
_OFF = ["image", "link", "autolink", "html_inline", "html_block", "reference"]


def report_part(scene: PageScene) -> Html:
    """Return the report, or why there is none."""
    report = scene.result.report
    if report is None:
        yet = "" if scene.state.finished is not None else " yet"
        return html('<section id="report"><h2>Report</h2><p>There is no report{}.</p></section>', yet)
    kind = "report" if len(report.text) <= TALL_CHARACTERS else "report tall"
    return html(
        '<section id="report"><h2>Report</h2><div class="{}" role="region" aria-label="Report" tabindex="0">{}</div>'
        "</section>",
        kind,
        _body(scene, _shown(report)),
    )


def _shown(report: Report) -> str:
    """Return the text of a report; of a long list of sources only what comes before it, since the
    page has them all.
    """
    body = report.value.strip() if isinstance(report.value, str) else ""
    sources = set(chain.from_iterable(report.sources.values()))
    is_long = len(sources) > MOST_SOURCES and body and report.text.startswith(body)
    return body if is_long else report.text


def _body(scene: PageScene, text: str) -> Html:
    text = _PRIVATE.sub("\ufffd", text)
    report = scene.result.report
    if len(text) > MOST_CHARACTERS or report is None or not isinstance(report.value, str | list):
        return html("<pre>{}</pre>", text)
    known = {s.id for s in citable_steps(scene.state)}
    return markdown(_with_marks(scene, text, report.claims), partial(_linked, scene, known))


def _with_marks(scene: PageScene, text: str, claims: tuple[CheckedClaim, ...]) -> str:
    """Return a report with the number of each cited claim after its citations."""
    number = {claim.id: n for n, claim in enumerate(claims)}
    pieces: list[str] = []
    at = 0
    for n, end in enumerate(citation_ends(scene.state, text), 1):
        if (claim := number.get(f"c{n}")) is not None:
            pieces += [text[at:end], f"{OPEN}{claim}{CLOSE}"]
            at = end
    return "".join((*pieces, text[at:]))


def markdown(text: str, inline: Callable[[str], Html]) -> Html:
    """Return Markdown as markup. `inline` returns the markup of a piece of text."""
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False}).enable("table").disable(_OFF)
    return join(_blocks(parser.parse(text), inline))


def _blocks(tokens: list[Any], inline: Callable[[str], Html]) -> Iterator[Html]:
    for token in tokens:
        if token.type == "inline":
            yield from _inline(cast("list[Any]", token.children or []), inline)
        elif token.type in ("fence", "code_block"):
            yield html("<pre>{}</pre>", _CLAIM.sub("", token.content))
        elif token.type == "hr":
            yield html("<hr>")
        elif token.tag in _TAGS and not token.hidden:
            yield html(_TAGS[token.tag][0 if token.nesting == 1 else 1])


def _inline(tokens: list[Any], inline: Callable[[str], Html]) -> Iterator[Html]:
    for token in tokens:
        if token.type == "code_inline":
            yield html("<code>{}</code>", _CLAIM.sub("", token.content))
        elif token.type == "hardbreak":
            yield html("<br>")
        elif token.type == "softbreak":
            yield html("\n")
        elif token.tag in _TAGS:
            yield html(_TAGS[token.tag][0 if token.nesting == 1 else 1])
        else:
            yield inline(token.content)


def _linked(scene: PageScene, known: set[str], text: str) -> Html:
    """Return a text with its citations as links, and with the marks of its claims."""
    pieces: list[Html] = []
    at = 0
    for match in _BRACKET.finditer(text):
        found = _citation(scene, known, match[1])
        if found is not None:
            pieces += [_marked(scene, text[at : match.start()]), found]
            at = match.end()
    return join([*pieces, _marked(scene, text[at:])])


def _citation(scene: PageScene, known: set[str], inside: str) -> Html | None:
    """Return the content of a bracket as links, or None if it cites no step."""
    names = [name for word in re.split(r"[,;，、；\s]+", inside.strip()) if (name := word.lower()) in known]
    if not names:
        return None
    return html('<span class="cite">[{}]</span>', joined(", ", map(scene.link, names)))


def _marked(scene: PageScene, text: str) -> Html:
    """Return a text with the numbers of claims as marks."""
    report = scene.result.report
    claims = () if report is None else report.claims
    pieces = _CLAIM.split(text)
    made = [html("{}", pieces[0])]
    for number, after in zip(pieces[1::2], pieces[2::2], strict=True):
        n = int(number)
        made += [_mark(claims[n], n) if n < len(claims) else EMPTY, html("{}", after)]
    return join(made)


def _mark(claim: CheckedClaim, n: int) -> Html:
    words = f"claim {claim.id}, {WORDS[claim.evidence]}"
    return html(
        '<a class="mark {}" href="#k{}" title="{}" aria-label="{}">{}</a>',
        claim.evidence,
        n,
        words,
        words,
        MARKS[claim.evidence],
    )


def claims_part(scene: PageScene) -> Html:
    """Return the claims of the report: how many are supported, the doubtful ones, then all."""
    report = scene.result.report
    if report is None or not report.claims:
        return EMPTY
    counts = Counter(claim.evidence for claim in report.claims)
    summary = [
        html('<span class="mark {}">{} {} {}</span>', name, mark, counts[name], name)
        for name, mark in MARKS.items()
        if counts[name]
    ]
    rows = [_claim(scene, n, claim) for n, claim in enumerate(report.claims)]
    table = html(
        '<div class="wide" role="region" aria-label="Claims" tabindex="0"><table><thead><tr><th>Claim</th>'
        "<th>Evidence</th><th>Text</th><th>Steps</th></tr></thead><tbody>{}</tbody></table></div>",
        join(rows),
    )
    return html(
        '<section id="claims"><h2>Claims</h2><p class="marks">{}</p>{}{}<details><summary>All {} claims</summary>'
        "{}</details></section>",
        joined(" ", summary),
        _conflicts(scene),
        _doubtful(report.claims),
        f"{len(rows):,}",
        table,
    )


def _claim(scene: PageScene, n: int, claim: CheckedClaim) -> Html:
    missing = (
        html('<br><span class="missing">not found: {}</span>', "; ".join(claim.missing)) if claim.missing else EMPTY
    )
    return html(
        '<tr id="k{}"><td>{}</td><td class="mark {}">{} {}</td><td>{}{}</td><td>{}</td></tr>',
        n,
        claim.id,
        claim.evidence,
        MARKS[claim.evidence],
        claim.evidence,
        claim.text,
        missing,
        joined(", ", map(scene.link, claim.steps)),
    )


def _doubtful(claims: tuple[CheckedClaim, ...]) -> Html:
    found = [
        html('<li><a href="#k{}">{}</a>: {} — not found: {}</li>', n, claim.id, claim.text, "; ".join(claim.missing))
        for n, claim in enumerate(claims)
        if claim.evidence == "unsupported" and claim.missing
    ]
    if not found:
        return EMPTY
    return html('<div class="note bad"><p>Not found in the cited outputs:</p><ul>{}</ul></div>', join(found[:20]))


def _conflicts(scene: PageScene) -> Html:
    report = scene.result.report
    found: list[Html] = []
    for conflict in () if report is None else report.conflicts[:20]:
        sides = [html("{} ({})", side.figure, joined(", ", map(scene.link, side.steps))) for side in conflict.sides]
        found.append(html("<li>{}: {}</li>", conflict.about, joined(" or ", sides)))
    if not found:
        return EMPTY
    return html('<div class="note"><p>Outputs that disagree:</p><ul>{}</ul></div>', join(found))
