"""The text of a Word document in document order: headings, lists, tables, text boxes, notes, comments, pages."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from swarm.base.places import MARK, mark
from swarm.readers.result import Extract, clean, joined, table
from swarm.readers.zips import Element, UnreadableError, Zip, attribute, found, local

MAIN = "word/document.xml"
_SKIPPED = frozenset({"del", "moveFrom", "instrText", "delText", "Fallback", "pPr", "rPr", "sectPr", "tblPr", "tcPr",
                      "trPr"})  # fmt: skip
"""Elements whose text nobody sees: deletions, codes of fields, second forms of the same, properties."""
_HEADING = re.compile(r"heading (\d)", re.IGNORECASE)
_CHARACTERS = {"tab": "\t", "ptab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-"}
"""Elements that stand for a character. A `br` may also begin a page."""
_BREAK = "\x1c"
"""Stands for the start of a page while a paragraph is built. No document has it: XML does not allow it."""
_NOTES = (("footnotes", "footnote"), ("endnotes", "endnote"), ("comments", "comment"))
"""Parts with notes, and the name of one note in them."""


def read_docx(content: bytes) -> Extract:
    """Return the text of a Word document. Raise UnreadableError if it is damaged."""
    archive = Zip(content)
    name = _main(archive)
    root = archive.xml(name)
    if root is None:
        raise UnreadableError("is damaged: it has no document in it")
    folder = name.rpartition("/")[0]
    reader = _WordReader(_styles(archive, folder), is_rendered=_has_own_breaks(root))
    body = next(found(root, "body"), root)
    blocks = [*_around(archive, name, "header"), *reader.blocks(body), *_notes(archive, folder)]
    blocks += _around(archive, name, "footer")
    text = joined(blocks)
    if reader.page > 1:
        return Extract(f"{mark('page', 1)}\n{text}", "page", reader.page)
    return Extract(text)


def _main(archive: Zip) -> str:
    """Return the name of the main part, which is `word/document.xml` in nearly all files."""
    if MAIN in archive:
        return MAIN
    return next((target for kind, target in archive.relations("").values() if kind == "officeDocument"), MAIN)


@dataclass(frozen=True)
class _Style:
    """What a style makes of a paragraph."""

    level: int = 0
    """Level of a heading; 0 for other paragraphs."""
    is_item: bool = False


def _styles(archive: Zip, folder: str) -> Mapping[str, _Style]:
    """Return the styles of a document by id. Ids are translated, the names of headings are not."""
    styles: dict[str, _Style] = {}
    root = archive.xml(f"{folder}/styles.xml")
    for style in found(root, "style") if root is not None else ():
        name = next((attribute(each, "val") for each in style if local(each) == "name"), "")
        match = _HEADING.fullmatch(name)
        level = int(match[1]) if match else int(name.lower() == "title")
        is_item = next(found(style, "numPr"), None) is not None and not level
        styles[attribute(style, "styleId")] = _Style(level, is_item)
    return styles


def _has_own_breaks(root: Element) -> bool:
    """Whether the program that saved the document noted where its pages began."""
    return next(found(root, "lastRenderedPageBreak"), None) is not None


@dataclass
class _WordReader:
    """Reader of paragraphs and tables."""

    styles: Mapping[str, _Style]
    is_rendered: bool
    """Whether pages begin where the program noted it; else only where the author wrote a break."""
    page: int = 1
    boxes: list[Element] = field(default_factory=list[Element])
    """Text boxes of the paragraph that is read: they come after it."""

    def blocks(self, parent: Element) -> Iterator[str]:
        """Yield the paragraphs and tables of an element in document order."""
        items: list[str] = []
        for child in parent:
            name = local(child)
            style = self._style(child) if name == "p" else _Style()
            if name == "p" and style.is_item:
                items.append(self._paragraph(child, "- "))
                continue
            yield "\n".join(filter(None, items))
            items = []
            if name == "p":
                yield self._paragraph(child, f"{'#' * style.level} " if style.level else "")
                yield from self._boxed()
            elif name == "tbl":
                yield from self._table(child)
            elif name not in _SKIPPED:
                yield from self.blocks(child)
        yield "\n".join(filter(None, items))

    def _style(self, paragraph: Element) -> _Style:
        name = next((attribute(each, "val") for each in found(paragraph, "pStyle")), "")
        style = self.styles.get(name, _Style())
        has_number = next(found(paragraph, "numPr"), None) is not None
        return _Style(is_item=True) if has_number and not style.level else style

    def _table(self, element: Element) -> Iterator[str]:
        """Yield a table, and the mark of the page on which it ends if that is another one."""
        first = self.page
        yield table(self._rows(element))
        if self.page > first:
            yield mark("page", self.page)

    def _boxed(self) -> Iterator[str]:
        boxes, self.boxes = self.boxes, []
        for box in boxes:
            yield from self.blocks(box)

    def _paragraph(self, paragraph: Element, sign: str) -> str:
        """Return the text of a paragraph behind a sign, with the marks of pages that begin in it."""
        pieces = [clean(piece) for piece in "".join(self._runs(paragraph)).split(_BREAK)]
        if sign.startswith("#"):
            pieces = [" ".join(piece.split()) for piece in pieces]
        page = self.page - len(pieces) + 1
        text = f"{sign}{pieces[0]}" if pieces[0] else ""
        for n, piece in enumerate(pieces[1:], 1):
            text += f"\n\n{mark('page', page + n)}\n"
            text += f"{sign if not pieces[0] and piece else ''}{piece}"
        return text.strip("\n")

    def _runs(self, element: Element) -> Iterator[str]:
        for child in element:
            name = local(child)
            if name == "t":
                yield child.text or ""
            elif name in _CHARACTERS and attribute(child, "type") != "page":
                yield _CHARACTERS[name]
            elif name == "br":
                yield "" if self.is_rendered else self._new_page()
            elif name == "lastRenderedPageBreak":
                yield self._new_page()
            elif name == "txbxContent":
                self.boxes.append(child)
            elif name in ("footnoteReference", "endnoteReference"):
                yield f"[^{attribute(child, 'id')}]"
            elif name not in _SKIPPED:
                yield from self._runs(child)

    def _new_page(self) -> str:
        self.page += 1
        return _BREAK

    def _rows(self, element: Element) -> Iterator[list[str]]:
        """Yield the cells of a table by row. Cells that span columns are followed by empty ones."""
        for row in (each for each in element if local(each) in ("tr", "sdt")):
            cells: list[str] = []
            for cell in found(row, "tc"):
                cells.append(MARK.sub("", "\n".join(filter(None, self.blocks(cell)))))
                span = next((attribute(each, "val") for each in found(cell, "gridSpan")), "1")
                cells += [""] * (min(int(span), 100) - 1 if span.isdigit() else 0)
            yield cells


def _notes(archive: Zip, folder: str) -> Iterator[str]:
    """Yield footnotes, endnotes and comments, each with its number or author."""
    for part, one in _NOTES:
        root = archive.xml(f"{folder}/{part}.xml")
        for note in found(root, one) if root is not None else ():
            text = " ".join(_plain(note).split())
            if text and attribute(note, "type") not in ("separator", "continuationSeparator"):
                who = attribute(note, "author")
                label = f"[^{attribute(note, 'id')}]" if part != "comments" else f"Comment by {who or 'somebody'}"
                yield f"{label}: {text}"


def _around(archive: Zip, name: str, kind: str) -> Iterator[str]:
    """Yield headers or footers, each once: a document has one for every section."""
    seen: dict[str, None] = {}
    for relation, target in archive.relations(name).values():
        root = archive.xml(target) if relation == kind else None
        text = " ".join(_plain(root).split()) if root is not None else ""
        if any(c.isalpha() for c in text):
            seen[text] = None
    yield from seen


def _plain(element: Element) -> str:
    """Return the text of an element, paragraphs apart."""
    reader = _WordReader({}, is_rendered=True)
    return clean(" ".join(reader.blocks(element)))
