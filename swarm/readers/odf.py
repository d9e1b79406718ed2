"""The text of OpenDocument texts and presentations, in document order."""

from collections.abc import Iterator
from dataclasses import dataclass

from swarm.base.places import mark
from swarm.readers.result import Extract, clean, joined, table
from swarm.readers.zips import Element, UnreadableError, Zip, attribute, found, local

_SKIPPED = frozenset({"tracked-changes", "forms", "sequence-decls", "annotation-end", "settings"})
"""Elements that nobody sees in the document."""
_CHARACTERS = {"s": " ", "tab": "\t", "line-break": "\n"}
"""Elements that stand for a character. A blank may have a count."""
_BREAK = "\x1c"
"""Stands for the start of a page while a paragraph is built. No document has it: XML does not allow it."""
_FRAMES = frozenset({"text-box", "object"})
MOST_REPEATED = 100
"""Maximum copies of a cell that is stored once: programs fill sheets of 16,384 columns with empty ones."""


def read_odf(content: bytes) -> Extract:
    """Return the text of an OpenDocument text or presentation. Raise UnreadableError if it is damaged."""
    archive = Zip(content)
    manifest = archive.read("META-INF/manifest.xml")
    if b"encryption-data" in manifest:
        raise UnreadableError("is encrypted\nhint: save it without a password")
    root = archive.xml("content.xml")
    if root is None:
        raise UnreadableError("is damaged: it has no content in it")
    slides = [each for each in found(root, "page") if attribute(each, "name") or len(each)]
    if next(found(root, "presentation"), None) is not None:
        texts = [f"{mark('slide', n)}\n{joined(_OpenReader().blocks(slide))}" for n, slide in enumerate(slides, 1)]
        return Extract(joined(texts), "slide", len(texts))
    reader = _OpenReader()
    text = joined(reader.blocks(next(found(root, "text"), root)))
    if reader.page > 1:
        return Extract(f"{mark('page', 1)}\n{text}", "page", reader.page)
    return Extract(text)


@dataclass
class _OpenReader:
    """Reader of paragraphs, lists and tables."""

    page: int = 1

    def blocks(self, parent: Element) -> Iterator[str]:
        """Yield the blocks of an element in document order."""
        for child in parent:
            name = local(child)
            if name in ("h", "p"):
                yield from self._paragraph(child, name)
            elif name == "list":
                yield "\n".join(self._items(child))
            elif name == "table":
                yield table(self._rows(child))
            elif name == "soft-page-break":
                self._new_page()
                yield mark("page", self.page)
            elif name == "notes":
                said = joined(self.blocks(child))
                yield f"Notes: {said}" if said else ""
            elif name not in _SKIPPED:
                yield from self.blocks(child)

    def _paragraph(self, element: Element, name: str) -> Iterator[str]:
        """Yield a paragraph or a heading, then what is in its frames."""
        level = attribute(element, "outline-level")
        depth = min(int(level), 6) if level.isdigit() else 1
        text = self._text(element)
        yield f"{'#' * max(1, depth)} {text}" if name == "h" and text else text
        for frame in (each for each in element.iter() if local(each) in _FRAMES):
            yield from self.blocks(frame)

    def _items(self, element: Element, depth: int = 0) -> Iterator[str]:
        for item in element:
            for child in item:
                if local(child) == "list":
                    yield from self._items(child, depth + 1)
                elif text := joined(self.blocks(_holder(child))):
                    yield f"{'  ' * depth}- {text}"

    def _rows(self, element: Element) -> Iterator[list[str]]:
        for row in found(element, "table-row"):
            cells: list[str] = []
            for cell in row:
                if local(cell) in ("table-cell", "covered-table-cell"):
                    repeated = attribute(cell, "number-columns-repeated")
                    copies = min(int(repeated), MOST_REPEATED) if repeated.isdigit() else 1
                    cells += [" ".join(self.blocks(cell))] * copies
            while cells and not cells[-1]:
                cells.pop()
            if cells:
                yield cells

    def _text(self, element: Element) -> str:
        """Return the text of a paragraph, with the marks of pages that begin in it."""
        pieces = [clean(piece) for piece in "".join(self._runs(element)).split(_BREAK)]
        page = self.page - len(pieces) + 1
        marked = [f"\n\n{mark('page', page + n)}\n{each}" if n else each for n, each in enumerate(pieces)]
        return "".join(marked).strip("\n")

    def _runs(self, element: Element) -> Iterator[str]:
        yield element.text or ""
        for child in element:
            name = local(child)
            if name in _CHARACTERS:
                count = attribute(child, "c")
                yield _CHARACTERS[name] * (min(int(count), 100) if count.isdigit() else 1)
            elif name == "soft-page-break":
                yield self._new_page()
            elif name == "note":
                body = " ".join("".join(self._runs(each)) for each in found(child, "note-body"))
                yield f" ({' '.join(body.split())})"
            elif name not in _FRAMES and name not in _SKIPPED:
                yield from self._runs(child)
            yield child.tail or ""

    def _new_page(self) -> str:
        self.page += 1
        return _BREAK


def _holder(element: Element) -> Element:
    """Return an element that has only this one in it."""
    holder = Element("holder")
    holder.append(element)
    return holder
