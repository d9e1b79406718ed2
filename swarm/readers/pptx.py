"""The text of a PowerPoint presentation by its slides: titles, shapes, tables, diagrams, charts, notes."""

from collections.abc import Iterator
from itertools import zip_longest

from swarm.base.places import mark
from swarm.readers.result import Extract, clean, joined, table
from swarm.readers.zips import Element, UnreadableError, Zip, attribute, found, local

MAIN = "ppt/presentation.xml"
_TITLES = ("title", "ctrTitle")
_FOOTS = ("sldNum", "dt", "ftr")
"""Places of a slide that say its number, the date, and the same on each slide."""


def read_pptx(content: bytes) -> Extract:
    """Return the text of a presentation. Raise UnreadableError if it is damaged."""
    archive = Zip(content)
    root = archive.xml(MAIN)
    if root is None:
        raise UnreadableError("is damaged: it has no presentation in it")
    relations = archive.relations(MAIN)
    names = [relations.get(_id(each), ("", ""))[1] for each in found(root, "sldId")]
    slides = [_slide(archive, name, number) for number, name in enumerate(names, 1)]
    return Extract(joined(slides), "slide", len(slides))


def _id(element: Element) -> str:
    """Return the id of a relation, not the number of the slide, which has the same name without its namespace."""
    return next((value for key, value in element.attrib.items() if key.endswith("}id")), "")


def _slide(archive: Zip, name: str, number: int) -> str:
    root = archive.xml(name)
    blocks = list(_blocks(root)) if root is not None else []
    for kind, target in archive.relations(name).values():
        other = archive.xml(target) if kind in ("notesSlide", "diagramData", "chart") else None
        if other is None:
            continue
        if kind == "chart":
            blocks.append(_chart(other))
        else:
            said = joined(_blocks(other)) if kind == "notesSlide" else "\n".join(_paragraphs(other))
            blocks.append(f"Notes: {said}" if kind == "notesSlide" and said else said)
    shown = ", hidden" if root is not None and attribute(root, "show") == "0" else ""
    return f"{mark('slide', number, shown.strip(', '))}\n{joined(blocks)}"


def _blocks(element: Element) -> Iterator[str]:
    """Yield the texts and tables of shapes, in document order."""
    for child in element:
        name = local(child)
        if name == "sp":
            kind = next((attribute(each, "type") for each in found(child, "ph")), "")
            text = "\n".join(_paragraphs(child))
            if kind in _TITLES and text:
                yield f"## {' '.join(text.split())}"
            elif kind not in _FOOTS:
                yield text
        elif name == "tbl":
            yield table(_rows(child))
        elif name not in ("Fallback", "nvGrpSpPr"):
            yield from _blocks(child)


def _paragraphs(element: Element) -> Iterator[str]:
    for paragraph in found(element, "p"):
        text = clean("".join(_runs(paragraph)))
        level = next((attribute(each, "lvl") for each in found(paragraph, "pPr")), "")
        depth = int(level) if level.isdigit() else 0
        is_item = depth > 0 or next(found(paragraph, "buChar"), None) is not None
        if text:
            yield f"{'  ' * depth}{'- ' if is_item else ''}{text}"


def _runs(paragraph: Element) -> Iterator[str]:
    for each in paragraph.iter():
        match local(each):
            case "t":
                yield each.text or ""
            case "br":
                yield "\n"
            case _:
                continue


def _rows(element: Element) -> Iterator[list[str]]:
    for row in found(element, "tr"):
        yield [" ".join(_paragraphs(cell)) for cell in row if local(cell) == "tc"]


def _chart(root: Element) -> str:
    """Return the values of a chart, as its program stored them: a row for each category."""
    series = [_series(each) for each in found(root, "ser")]
    if not series:
        return ""
    names = [each.get("cat") or each.get("xVal") or [] for each in series]
    values = [each.get("val") or each.get("yVal") or [] for each in series]
    rows = zip_longest(max(names, key=len), *values, fillvalue="")
    return table([["", *(" ".join(each.get("tx", [])) for each in series)], *rows])


def _series(element: Element) -> dict[str, list[str]]:
    """Return the parts of a series, each as its values: `tx` is its name, `cat` has categories, `val` values."""
    return {local(child): [value.text or "" for value in found(child, "v")] for child in element}
