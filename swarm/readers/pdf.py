"""The text of a PDF by its pages, and pages without text as pictures. Uses PDFium.

PDFium is not thread-safe, and a damaged file can end its process: call this in a process of its
own.
"""

import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from itertools import islice
from typing import Any

from swarm.base.places import mark
from swarm.readers.result import Extract, Picture, clean
from swarm.readers.zips import UnreadableError

SCALE = 1.5
"""Scale of a picture of a page: 108 dots per inch, at which print of 8 points is read without errors."""
MOST_PICTURES = 20
"""Maximum pages of one document as pictures: each costs about a thousand tokens."""
MOST_PIXELS = 12_000_000
"""Maximum pixels of one picture. A page of A4 has 1.1 million; a plan of A0 has 18 million."""
DRAWN = 12
"""Paths of a page that is a drawing. A frame and lines of a form have fewer."""
_ENCRYPTED = 4
"""Error code of PDFium for a wrong or missing password."""


def read_pdf(content: bytes, *, pictures: bool = False) -> Extract:
    """Return the text of a PDF. With `pictures`, pages without text are also returned as pictures.

    Raise UnreadableError if it is damaged or encrypted.
    """
    document = _opened(content)
    try:
        return _pages(document, len(document), pictures=pictures)
    finally:
        document.close()


def draw_pdf(content: bytes) -> Extract:
    """Return the pages of a PDF as pictures, without their text; those above the maximum as unread.

    Raise UnreadableError if it is damaged or encrypted.
    """
    document = _opened(content)
    try:
        pages = list(range(1, len(document) + 1))
        made = tuple(_pictures(document, pages))
        return Extract("", "page", len(pages), unread=tuple(pages[MOST_PICTURES:]), pictures=made)
    finally:
        document.close()


def _opened(content: bytes) -> Any:
    """Return a document of PDFium. Raise UnreadableError if it is damaged or encrypted."""
    pypdfium2 = _library()
    try:
        document = pypdfium2.PdfDocument(content)
        len(document)
    except pypdfium2.PdfiumError as error:
        if getattr(error, "err_code", None) == _ENCRYPTED or "password" in str(error).lower():
            raise UnreadableError(
                "is encrypted\nhint: save it without a password, for example `qpdf --decrypt IN.pdf OUT.pdf`"
            ) from None
        raise UnreadableError(
            "is damaged: it is not a complete PDF\nhint: copy or download it again; or open it in a browser, and print "
            "it to a PDF"
        ) from None
    return document


def _library() -> Any:
    import pypdfium2  # pyright: ignore[reportMissingTypeStubs]

    return pypdfium2


def _raw() -> Any:
    import pypdfium2.raw as raw  # pyright: ignore[reportMissingTypeStubs]

    return raw


def _pages(document: Any, count: int, *, pictures: bool) -> Extract:
    texts: list[str] = []
    scanned: list[int] = []
    damaged: list[int] = []
    with suppress(Exception):  # a damaged form is no reason to lose the pages
        document.init_forms()
    for number in range(1, count + 1):
        try:
            page = document[number - 1]
            text = clean("\n\n".join(filter(None, (_text(page), *_fields(document, page)))))
            if not text and _has_picture(page):
                scanned.append(number)
            page.close()
        except Exception:  # noqa: BLE001 - PDFium reports damage in many ways; the other pages are read
            damaged.append(number)
            continue
        if text:
            texts.append(f"{mark('page', number)}\n{text}")
    made = _pictures(document, scanned) if pictures else ()
    text = "\n\n".join(texts)
    return Extract(text, "page", count, (), tuple(scanned), tuple(damaged), tuple(made))


def _text(page: Any) -> str:
    """Return the text of a page, in the order in which it was written."""
    found = page.get_textpage()
    try:
        return found.get_text_range()
    finally:
        found.close()


def _fields(document: Any, page: Any) -> Iterator[str]:
    """Yield what is filled in a form, which is not in the text of its page: `name: value`."""
    raw = _raw()
    form = document.formenv
    if form is None:
        return
    for number in range(raw.FPDFPage_GetAnnotCount(page)):
        annotation = raw.FPDFPage_GetAnnot(page, number)
        try:
            name = _wide(partial(raw.FPDFAnnot_GetFormFieldName, form, annotation))
            value = _wide(partial(raw.FPDFAnnot_GetFormFieldValue, form, annotation))
        finally:
            raw.FPDFPage_CloseAnnot(annotation)
        if value and value != "Off":
            yield f"{name}: {value}" if name else value


def _wide(fill: Any) -> str:
    """Return a text of PDFium's that is copied into a buffer of a size that it says first."""
    import ctypes

    size = fill(None, 0)
    if size <= 2 or size > 1_000_000:
        return ""
    buffer = (ctypes.c_ushort * (size // 2 + 1))()
    fill(buffer, size)
    return bytes(buffer)[: size - 2].decode("utf-16-le", "replace")


def _has_picture(page: Any) -> bool:
    """Whether a page shows more than a frame and a line: a picture, or text that was drawn."""
    raw = _raw()
    pictures = page.get_objects(filter=[raw.FPDF_PAGEOBJ_IMAGE, raw.FPDF_PAGEOBJ_SHADING], max_depth=3)
    if next(iter(pictures), None) is not None:
        return True
    paths = page.get_objects(filter=[raw.FPDF_PAGEOBJ_PATH], max_depth=3)
    return sum(1 for _ in islice(paths, DRAWN)) == DRAWN


def _pictures(document: Any, pages: list[int]) -> Iterator[Picture]:
    for number in pages[:MOST_PICTURES]:
        page = document[number - 1]
        width, height = page.get_size()
        fits = (MOST_PIXELS / max(1.0, width * height)) ** 0.5
        bitmap = page.render(scale=min(SCALE, fits), rev_byteorder=True, may_draw_forms=True)
        yield Picture(number, png(bytes(bitmap.buffer), bitmap.width, bitmap.height, bitmap.stride, bitmap.n_channels))
        bitmap.close()
        page.close()


def png(pixels: bytes, width: int, height: int, stride: int, channels: int) -> bytes:
    """Return a PNG of pixels in rows: 1 channel is grey, 3 are colours, 4 are colours and one that is unused."""
    rows: list[bytes] = []
    for y in range(height):
        row = pixels[y * stride : y * stride + width * channels]
        if channels == 4:
            row = b"".join(row[x : x + 3] for x in range(0, len(row), 4))
        rows.append(b"\0" + row)
    colour = 0 if channels == 1 else 2
    head = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(b"".join(rows), 6)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in chunks)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
