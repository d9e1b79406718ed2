"""The text of a page of HTML in document order: headings, lists, tables, code. Uses selectolax."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from swarm.readers.result import Extract, clean, joined, table

if TYPE_CHECKING:
    from selectolax.lexbor import LexborHTMLParser, LexborNode

_SKIPPED = frozenset({"script", "style", "noscript", "template", "svg", "head", "iframe", "object", "-comment",
                      "canvas", "select", "datalist", "button", "dialog"})  # fmt: skip
"""Elements without text for readers."""
_BLOCKS = frozenset({"address", "article", "aside", "blockquote", "body", "caption", "center", "dd", "details", "div",
                     "dl", "dt", "fieldset", "figcaption", "figure", "footer", "form", "header", "hr", "html", "li",
                     "main", "nav", "ol", "p", "pre", "section", "summary", "table", "ul", "h1", "h2", "h3", "h4",
                     "h5", "h6"})  # fmt: skip
"""Elements that begin a line of their own."""
_HEADINGS = {f"h{n}": n for n in range(1, 7)}
DEEPEST = 200
"""Maximum depth of elements. Deeper ones are read as one text: programs, not people, nest so deeply."""


MOST_NESTED = 500
"""Maximum depth of elements that are parsed: the parser's time grows with it, and a page of 2 MB would take minutes."""
_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9-]{0,40})")
_CODE_END = re.compile(r"</(?:script|style)", re.IGNORECASE)
_ANY_TAG = re.compile(r"<[^<>]*>")
_ENDS_ITSELF = frozenset({"area", "base", "br", "col", "dd", "dt", "embed", "hr", "img", "input", "li", "link", "meta",
                          "option", "p", "param", "source", "tbody", "td", "tfoot", "th", "thead", "tr", "track",
                          "wbr"})  # fmt: skip
"""Elements without an end, or whose end people leave out."""


def parsable(text: str) -> str:
    """Return a page that can be parsed in time: without its tags if they are nested as programs, not people, nest."""
    open_tags: dict[str, int] = {}
    depth = 0
    for name, step in _tags(text):
        if step < 0 and not open_tags.get(name):
            continue
        open_tags[name] = open_tags.get(name, 0) + step
        depth += step
        if depth > MOST_NESTED:
            return _ANY_TAG.sub(" ", text)
    return text


def _tags(text: str) -> Iterator[tuple[str, int]]:
    """Yield each element that begins, with 1, and each that ends, with -1; not what scripts write."""
    code_ends = 0
    for match in _TAG.finditer(text):
        name = match[2].lower()
        if match.start() < code_ends or name in _ENDS_ITSELF:
            continue
        if name in ("script", "style") and not match[1]:
            end = _CODE_END.search(text, match.end())
            if end is None:
                return
            code_ends = end.start()
        yield name, -1 if match[1] else 1


def read_html(text: str) -> Extract:
    """Return the text of a page."""
    return Extract(html_text(text))


def read_page(text: str) -> Extract:
    """Return the text of a page of the web: what it is about, its title as the first heading."""
    title, found = main_text(text)
    return Extract(joined([f"# {title}", found]) if title and not found.startswith(f"# {title}") else found)


def html_text(text: str) -> str:
    """Return the text of a page, its title as the first heading."""
    from selectolax.lexbor import LexborHTMLParser

    tree = LexborHTMLParser(parsable(text))
    title = tree.css_first("head > title")
    blocks = list(_blocks(tree.body, 0)) if tree.body is not None else []
    name = " ".join(title.text().split()) if title is not None else ""
    if name and not any(block.lstrip("# ") == name for block in blocks[:3]):
        blocks.insert(0, f"# {clean(name)}")
    return joined(blocks)


def _blocks(parent: "LexborNode", depth: int) -> Iterator[str]:
    """Yield the blocks of an element. Text between them is a block, too."""
    line: list[str] = []
    for child in parent.iter(include_text=True):
        name = child.tag or ""
        if name in _SKIPPED or _is_hidden(child):
            continue
        if name not in _BLOCKS and not (name != "-text" and _has_blocks(child)):
            line.append("\n" if name == "br" else _inline(child, depth))
            continue
        yield _line(line)
        line = []
        yield from _block(child, name, depth + 1)
    yield _line(line)


def _block(node: "LexborNode", name: str, depth: int) -> Iterator[str]:
    if depth > DEEPEST:
        yield _line([node.text(separator=" ")])
    elif name in _HEADINGS:
        text = " ".join(_inline(node, depth).split())
        yield f"{'#' * _HEADINGS[name]} {clean(text)}" if text else ""
    elif name in ("ul", "ol"):
        yield "\n".join(_items(node, depth, ""))
    elif name == "table":
        yield from _table(node, depth)
    elif name == "pre":
        yield f"```\n{clean(node.text())}\n```"
    else:
        yield from _blocks(node, depth)


def _items(node: "LexborNode", depth: int, indent: str) -> Iterator[str]:
    """Yield the items of a list, and of lists in them."""
    number = 0
    for item in node.iter():
        if item.tag in ("ul", "ol") and depth < DEEPEST:
            yield from _items(item, depth + 1, f"{indent}  ")
        elif item.tag == "li":
            number += 1
            inner = [block for block in _blocks(item, depth + 1) if block]
            sign = f"{number}." if node.tag == "ol" else "-"
            text = "\n".join(inner).replace("\n", f"\n{indent}  ")
            yield f"{indent}{sign} {text}"


def _table(node: "LexborNode", depth: int) -> Iterator[str]:
    """Yield a table; one that only places other tables and text on the page as its blocks."""
    caption = node.css_first("caption")
    if caption is not None:
        yield _line([caption.text()])
    has_tables = any(each != node for each in node.css("table"))
    if has_tables or len(node.css("td, th")) == 1:
        for each in node.css("td, th"):
            if each.parent is not None and _table_of(each) == node:
                yield from _blocks(each, depth + 1)
        return
    yield table(_rows(node, depth))


def _table_of(node: "LexborNode") -> "LexborNode | None":
    parent = node.parent
    while parent is not None and parent.tag != "table":
        parent = parent.parent
    return parent


def _rows(node: "LexborNode", depth: int) -> Iterator[list[str]]:
    for row in node.css("tr"):
        cells: list[str] = []
        for each in row.css("td, th"):
            cells.append(" ".join(filter(None, _blocks(each, depth + 1))))
            span = (each.attributes.get("colspan") or "1").strip()
            cells += [""] * (min(int(span), 100) - 1 if span.isdigit() else 0)
        if any(cells):
            yield cells


def _inline(node: "LexborNode", depth: int) -> str:
    """Return the text of an element in a line."""
    name = node.tag
    if name == "-text":
        return node.text()
    if name == "br":
        return "\n"
    if name == "img":
        return node.attributes.get("alt") or ""
    if name in _SKIPPED or depth > DEEPEST or _is_hidden(node):
        return ""
    return "".join(_inline(child, depth + 1) for child in node.iter(include_text=True))


def _has_blocks(node: "LexborNode") -> bool:
    """Whether an element that is usually in a line has blocks in it, such as a link around a heading."""
    return any(child.tag in _BLOCKS for child in node.iter())


def _is_hidden(node: "LexborNode") -> bool:
    return "hidden" in node.attributes if node.tag != "-text" else False


def _line(pieces: list[str]) -> str:
    """Return a paragraph: blanks and line ends of HTML are one blank, `br` ends a line."""
    text = "".join("\n" if piece == "\n" else " ".join(piece.split(" ")).replace("\n", " ") for piece in pieces)
    return clean("\n".join(" ".join(line.split()) for line in text.split("\n")).strip())


_AROUND = "nav, footer, header, aside, form, [role=navigation], [role=banner], [role=contentinfo]"
"""Parts of a page that are not what it is about."""
LEAST_CHARACTERS = 200
"""Characters below which a part of a page is not taken for all of its text."""


def main_text(text: str) -> tuple[str, str]:
    """Return the title of a page, and the text of what it is about: without menus, if enough is left."""
    from selectolax.lexbor import LexborHTMLParser

    tree = LexborHTMLParser(parsable(text))
    title = tree.css_first("head > title")
    name = " ".join(title.text().split()) if title is not None else ""
    whole = joined(list(_blocks(tree.body, 0))) if tree.body is not None else ""
    for node in tree.css(_AROUND):
        node.decompose()
    for part in (tree.css_first("main"), tree.css_first("article"), tree.body):
        found = joined(list(_blocks(part, 0))) if part is not None else ""
        if len(found) >= LEAST_CHARACTERS:
            return clean(name), found
    return clean(name), whole


def links_of(text: str) -> list[tuple[str, str]]:
    """Return the links of what a page is about, in order: the address as written, and the words.

    A page that is all menu is about its menu.
    """
    from selectolax.lexbor import LexborHTMLParser

    tree = LexborHTMLParser(parsable(text))
    every = _links(tree)
    for node in tree.css(_AROUND):
        node.decompose()
    left = "" if tree.body is None else tree.body.text()
    return list((_links(tree) if len(left) >= LEAST_CHARACTERS else every).items())


def _links(tree: "LexborHTMLParser") -> dict[str, str]:
    """Return the words of links by their addresses; the first words that are not empty count."""
    found: dict[str, str] = {}
    for each in tree.css("a[href]"):
        address = (each.attributes.get("href") or "").strip()
        if address and not address.startswith("#") and not found.get(address):
            found[address] = clean(" ".join(each.text(separator=" ").split()))
    return found
