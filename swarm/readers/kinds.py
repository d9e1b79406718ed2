"""The kind of a file, by its bytes first and its name second.

A kind names the reader that makes text of it, a medium that models may accept, or the reason why
swarm reads none of it, with what to do instead.
"""

import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import PurePath
from typing import Literal

Reader = Literal["pdf", "sheets", "docx", "pptx", "odf", "epub", "html", "page", "notebook", "mail", "plain"]
NEEDS: Mapping[str, str] = {
    "pdf": "pypdfium2",
    "sheets": "python_calamine",
    "html": "selectolax",
    "page": "selectolax",
    "epub": "selectolax",
}
"""Package that a reader needs. All are in the extra `files`."""
DRAWN = "drawn"
"""The reader that draws the pages of a PDF."""
EXTRA = 'pip install "local-agent-swarm[files]"'
"""The command that installs all readers."""
PROBED = 4096
"""Bytes at the start of a file that show its kind."""


@dataclass(frozen=True)
class Kind:
    """A kind of file."""

    words: str
    """Name for people, with its article: `a PDF`."""
    reader: Reader | None = None
    """The reader that makes text of it; None if there is none."""
    medium: Literal["text", "image", "audio", "video"] = "text"
    mime: str = ""
    """MIME type of a medium; empty for texts."""
    advice: str = ""
    """What to do with a file that swarm cannot read."""

    @property
    def short(self) -> str:
        """The name without its article."""
        return self.words.partition(" ")[2]


PLAIN = Kind("a text", "plain")
PDF = Kind("a PDF", "pdf")
DOCX = Kind("a Word document", "docx")
PPTX = Kind("a PowerPoint presentation", "pptx")
XLSX = Kind("an Excel workbook", "sheets")
ODS = Kind("an OpenDocument spreadsheet", "sheets")
ODT = Kind("an OpenDocument text", "odf")
ODP = Kind("an OpenDocument presentation", "odf")
EPUB = Kind("an EPUB", "epub")
HTML = Kind("an HTML page", "html")
WEB_PAGE = Kind("a web page", "page")
"""HTML that was fetched: menus around its text are left out. A file is never of this kind."""
MAIL = Kind("an e-mail", "mail")
NOTEBOOK = Kind("a Jupyter notebook", "notebook")

_UNPACK = "unpack it, and name the folder"
_OFFICE = "open it in an office program, and save it as"


def _archive(name: str) -> Kind:
    return Kind(f"{'an' if name == 'xz' else 'a'} {name} archive", advice=_UNPACK)


def _program(words: str) -> Kind:
    return Kind(words, advice="name the source files instead")


def _medium(medium: Literal["image", "audio", "video"], mime: str) -> Kind:
    return Kind(f"{'a' if medium == 'video' else 'an'} {medium}", None, medium, mime)


_BOUND = "save it without a password"
PROTECTED = Kind("an encrypted office document", advice=f"open it in an office program, and {_BOUND}")
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_OLE_KINDS: tuple[tuple[str, Kind], ...] = (
    ("EncryptedPackage", PROTECTED),
    ("WordDocument", Kind("a Word document of before 2007", advice=f"{_OFFICE} .docx")),
    ("PowerPoint Document", Kind("a PowerPoint presentation of before 2007", advice=f"{_OFFICE} .pptx")),
    ("Workbook", XLSX),
    ("Book", XLSX),
    ("__nameid_version1.0", Kind("an Outlook message", advice="save it as text or .eml")),
)
"""Names in the directory of an OLE file, and what has them."""

_MAGIC: tuple[tuple[int, bytes, Kind], ...] = (
    (0, b"\x89PNG\r\n\x1a\n", _medium("image", "image/png")),
    (0, b"\xff\xd8\xff", _medium("image", "image/jpeg")),
    (0, b"GIF87a", _medium("image", "image/gif")),
    (0, b"GIF89a", _medium("image", "image/gif")),
    (8, b"WEBP", _medium("image", "image/webp")),
    (0, b"II*\0", _medium("image", "image/tiff")),
    (0, b"MM\0*", _medium("image", "image/tiff")),
    (4, b"ftypheic", _medium("image", "image/heic")),
    (4, b"ftypmif1", _medium("image", "image/heic")),
    (4, b"ftypavif", _medium("image", "image/avif")),
    (8, b"WAVE", _medium("audio", "audio/wav")),
    (0, b"ID3", _medium("audio", "audio/mpeg")),
    (0, b"fLaC", _medium("audio", "audio/flac")),
    (0, b"OggS", _medium("audio", "audio/ogg")),
    (4, b"ftypM4A", _medium("audio", "audio/mp4")),
    (4, b"ftyp", _medium("video", "video/mp4")),
    (0, b"\x1aE\xdf\xa3", _medium("video", "video/webm")),
    (8, b"AVI ", _medium("video", "video/x-msvideo")),
    (0, b"\x1f\x8b", _archive("gzip")),
    (0, b"BZh", _archive("bzip2")),
    (0, b"\xfd7zXZ\0", _archive("xz")),
    (0, b"\x28\xb5\x2f\xfd", _archive("Zstandard")),
    (0, b"7z\xbc\xaf\x27\x1c", _archive("7-Zip")),
    (0, b"Rar!\x1a\x07", _archive("RAR")),
    (0, b"MSCF\0\0\0\0", _archive("cabinet")),
    (0, b"!<arch>\n", _archive("Unix")),
    (257, b"ustar", _archive("tar")),
    (32769, b"CD001", _archive("disk image")),
    (0, b"\x7fELF", _program("a program")),
    (0, b"\xfe\xed\xfa", _program("a program")),
    (0, b"\xcf\xfa\xed\xfe", _program("a program")),
    (0, b"\xca\xfe\xba\xbe", _program("a program")),
    (0, b"\0asm", _program("a program")),
    (0, b"SQLite format 3\0", Kind("an SQLite database", advice="export its tables as CSV")),
    (0, b"PAR1", Kind("a Parquet file", advice="export it as CSV")),
    (0, b"{\\rtf", Kind("an RTF document", advice=f"{_OFFICE} .docx")),
    (0, b"%!PS", Kind("a PostScript file", advice="convert it to PDF: ps2pdf FILE")),
)
"""Signatures: offset, bytes, kind. Some end in less specific ones of the same family."""
MIMES: Mapping[str, str] = {
    ".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".gif": "image/gif", ".webp": "image/webp",
    ".bmp": "image/bmp", ".tif": "image/tiff", ".tiff": "image/tiff", ".heic": "image/heic", ".avif": "image/avif",
    ".wav": "audio/wav", ".mp3": "audio/mpeg", ".flac": "audio/flac", ".ogg": "audio/ogg", ".oga": "audio/ogg",
    ".opus": "audio/opus", ".m4a": "audio/mp4", ".aac": "audio/aac",
    ".mp4": "video/mp4", ".m4v": "video/mp4", ".mov": "video/quicktime", ".webm": "video/webm",
    ".mkv": "video/x-matroska", ".avi": "video/x-msvideo", ".mpeg": "video/mpeg", ".mpg": "video/mpeg",
    ".md": "text/markdown", ".csv": "text/csv", ".tsv": "text/tab-separated-values", ".html": "text/html",
    ".htm": "text/html", ".xml": "text/xml",
    ".json": "application/json", ".yaml": "application/yaml", ".yml": "application/yaml",
}  # fmt: skip
"""MIME type by file name ending, the same on every machine. Other endings are `text/plain`."""
_OPEN_DOCUMENTS: Mapping[bytes, Kind] = {
    b"application/vnd.oasis.opendocument.text": ODT,
    b"application/vnd.oasis.opendocument.text-template": ODT,
    b"application/vnd.oasis.opendocument.spreadsheet": ODS,
    b"application/vnd.oasis.opendocument.presentation": ODP,
    b"application/epub+zip": EPUB,
}
_DOCUMENTS = frozenset(
    {".pdf", ".docx", ".pptx", ".xlsx", ".xls", ".xlsb", ".ods", ".odt", ".odp", ".epub", ".ipynb", ".doc", ".ppt"}
    | {".rtf", ".zip", ".gz", ".7z"}
)
"""Endings of files that are never empty."""
_HTML_STARTS = (b"<!doctype html", b"<html")
_MAILS = (".eml", ".mht", ".mhtml")
_MAIL = re.compile(
    rb"(?:From [^\n]*\n)?(?:[a-z][\w-]{0,60}:[^\n]*\n(?:[ \t][^\n]*\n)*)*?"
    rb"(?:from|to|subject|date|message-id|mime-version|received|return-path):[ \t]",
    re.IGNORECASE,
)
"""The start of an e-mail: lines of headers, one of them of those that every mail has."""
_PAGES = (".html", ".htm", ".xhtml")


_POINTER = b"version https://git-lfs.github.com/spec/"
LFS = Kind("a pointer of Git LFS, and not the file itself", advice="get the file: `git lfs pull`")
_PRINT = "open it in its program, and save it as PDF"
_ZIPPED: Mapping[str, Kind] = {
    ".pages": Kind("an Apple Pages document", advice=_PRINT),
    ".numbers": Kind("an Apple Numbers document", advice="export it as CSV or .xlsx"),
    ".key": Kind("an Apple Keynote document", advice=_PRINT),
    ".vsdx": Kind("a Visio drawing", advice=_PRINT),
    ".odg": Kind("an OpenDocument drawing", advice=_PRINT),
}
"""Documents in ZIP files that have no reader, by the endings of their names."""


def kind_of(content: bytes, name: str) -> Kind:
    """Return the kind of a file. The name decides only between kinds that its bytes leave open."""
    head = content[:PROBED]
    if b"%PDF-" in head[:1024]:
        return PDF
    if head.startswith(_POINTER):
        return LFS
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _zipped(content, name)
    if head.startswith(_OLE):
        return _ole(content)
    for offset, magic, kind in _MAGIC:
        if content[offset : offset + len(magic)] == magic:
            return _named_medium(kind, name)
    if head.startswith(b"MZ") and b"\0" in head:
        return _program("a Windows program")
    return _text_or_medium(head, content, name)


def is_empty(content: bytes) -> bool:
    """Return whether a file has nothing in it: no bytes, a byte order mark, blanks."""
    return len(content) < PROBED and not content.strip(b" \t\r\n\xef\xbb\xbf\xff\xfe\0")


def is_cut_off(content: bytes, name: str) -> bool:
    """Return whether a file is empty although its name says that it cannot be: a download or copy that failed."""
    medium = mime_of(name).partition("/")[0]
    may_be = medium not in ("image", "audio", "video") and PurePath(name).suffix.lower() not in _DOCUMENTS
    return not may_be and is_empty(content)


def mime_of(name: str) -> str:
    """Return the MIME type that the ending of a name stands for."""
    return MIMES.get(PurePath(name).suffix.lower(), "text/plain")


def _named_medium(kind: Kind, name: str) -> Kind:
    """Return the kind with the more precise MIME type of its name, if that has the same medium."""
    mime = mime_of(name)
    if kind.medium in ("audio", "video") and mime.startswith(("audio/", "video/")):
        medium = "audio" if mime.startswith("audio/") else "video"
        return _medium(medium, mime)
    return kind


def _text_or_medium(head: bytes, content: bytes, name: str) -> Kind:
    """Return the kind of bytes without a signature: a page or a notebook by its bytes, a medium by its name."""
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    ending = PurePath(name).suffix.lower()
    if start.startswith(_HTML_STARTS) or (ending in _PAGES and start.startswith(b"<")):
        return HTML
    if start.startswith(b"{") and (ending == ".ipynb" or b'"nbformat"' in content[-PROBED:] + head):
        return NOTEBOOK if b'"cells"' in content else PLAIN
    if ending in _MAILS and _MAIL.match(head):
        return MAIL
    mime = mime_of(name)
    medium = mime.partition("/")[0]
    if medium in ("image", "audio", "video"):
        return Kind(f"{'a' if medium == 'video' else 'an'} {medium}", None, medium, mime)  # pyright: ignore[reportArgumentType]
    return PLAIN


def _zipped(content: bytes, name: str) -> Kind:
    """Return the kind of a ZIP file by the names in it. Nothing is unpacked but the short name of an OpenDocument."""
    try:
        with zipfile.ZipFile(BytesIO(content)) as archive:
            names = frozenset(archive.namelist()[:10_000])
            if "mimetype" in names and archive.getinfo("mimetype").file_size < 200:
                found = _OPEN_DOCUMENTS.get(archive.read("mimetype").strip())
                if found is not None:
                    return found
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, EOFError, ValueError):
        return Kind("a damaged ZIP file", advice="copy or download it again")
    if "word/document.xml" in names or any(name.startswith("word/document") for name in names):
        return DOCX
    if "ppt/presentation.xml" in names:
        return PPTX
    if any(name.startswith("xl/workbook.") for name in names):
        return XLSX
    return _ZIPPED.get(PurePath(name).suffix.lower(), _archive("ZIP"))


def _ole(content: bytes) -> Kind:
    """Return the kind of an OLE file by the names in its directory, which are UTF-16."""
    for name, kind in _OLE_KINDS:
        if name.encode("utf-16-le") + b"\0\0" in content:
            return kind
    return Kind("an office document of before 2007", advice=f"{_OFFICE} .docx, .xlsx or .pptx")
