"""The content of an input file: text, the text of a document, or a medium; or why it cannot be read."""

import base64
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from swarm.base.beneath import NotRegularError, open_beneath, open_regular
from swarm.base.text import clip, listing
from swarm.readers.columns import columns_words
from swarm.readers.encodings import Decoded, NotTextError, decode
from swarm.readers.extract import Extractor
from swarm.readers.kinds import DRAWN, EXTRA, HTML, MIMES, NEEDS, PDF, WEB_PAGE, Kind, is_cut_off, kind_of, mime_of
from swarm.readers.read import version_of
from swarm.readers.result import Extract, Picture, pages_words
from swarm.readers.texts import Texts
from swarm.readers.zips import UnreadableError
from swarm.spec.chat import Medium
from swarm.spec.task import Input, InputSpec, UnreadInput

MOST_TEXT = 5_000_000
"""Maximum bytes of a text: more than a million tokens, which exceeds the context of every model."""
MOST_MEDIA = 100_000_000
"""Maximum bytes of a document, or of an image, audio or video file: the largest file that a provider stores. Most
models accept less (`swarm.spec.labels.INLINE_BYTES`)."""
STDIN = "-"
"""Path of an input that stands for standard input."""
PENDING = "not fetched yet"
"""Kind of an input that is an address, where nothing is sent."""


_AGAIN = "copy or download it again, or leave it out"
_SAVE = "open it in its program, save it there under a new name, and use that file"
_REMEDIES = (
    ("is damaged", f"{_AGAIN}; if it opens in its program, save it there under a new name"),
    ("is a damaged", _AGAIN),
    ("has no text", "leave it out"),
    ("unpacks to", _SAVE),
    ("has a document type", _SAVE),
    ("is nested", _SAVE),
    ("ends the program", "remove its unused rows and columns, or split it"),
    ("needs more than", "remove its unused rows and columns, or split it"),
    ("is protected", "get a copy without protection, or leave it out"),
    ("cannot be read: Permission", "let yourself read it: `chmod u+r FILE`"),
    ("is not a regular file", "copy it to a file; what a program writes is read by `… | swarm run … --input -`"),
)
"""What to do about a file that cannot be read, by the words that say why."""


def remedied(because: str) -> str:
    """Return why a file cannot be read, with what to do about it."""
    if "\nhint: " in because:
        return because
    advice = next((advice for start, advice in _REMEDIES if because.startswith(start)), "leave it out")
    return f"{because}\nhint: {advice}"


@dataclass(frozen=True)
class FetchedInput:
    """What an address gave."""

    content: bytes
    name: str
    """Name of a file with this content. Its ending may decide the kind."""
    url: str = ""
    """The address in its plain form; empty if that is how it was written."""
    because: str = ""
    """Why there is no content; empty if it was fetched."""
    is_pending: bool = False
    """Whether it is fetched later, when the run starts."""


@dataclass(frozen=True)
class NamedFile:
    """A file to be read as an input."""

    path: Path
    name: str
    entry: int
    spec: InputSpec
    by_glob: bool
    """Whether only globs and folders name it."""
    base: Path | None = None
    """The folder below which it is opened; None for a path that the user wrote."""
    content: bytes | None = None
    """Its bytes if they are not in a file: standard input."""
    outside: bool = False
    """Whether its name is not its path in the folder of the task."""
    fetched: FetchedInput | None = None
    """What its address gave, if it is not a file."""
    because: str = ""
    """Why it cannot be read, if that is known already."""

    @property
    def file_name(self) -> str:
        """Its name as a file: the ending may decide the kind, whatever name the user gave it."""
        return self.path.name


@dataclass
class Contents:
    """The reader of input files. It collects what was read and what was not."""

    extractor: Extractor
    texts: Texts
    pictures: bool = False
    """Whether a model accepts images, so that pages without text are pictures for it."""
    inputs: list[Input] = field(default_factory=list[Input])
    unread: list[tuple[NamedFile, UnreadInput]] = field(default_factory=list[tuple[NamedFile, UnreadInput]])
    needs_extra: set[int] = field(default_factory=set[int])
    """Places in `unread` of files whose reader is not installed."""
    notes: list[str] = field(default_factory=list[str])
    empty: list[str] = field(default_factory=list[str])
    """Names of texts without a word."""
    made: list[tuple[str, str, Extract]] = field(default_factory=list[tuple[str, str, Extract]])
    """Texts of documents that are not in the cache: hash, version of the reader, text."""

    def read(self, file: NamedFile) -> None:
        """Read a file."""
        size = 0
        try:
            content = _content(file)
            size = len(content)
            self.inputs += self._inputs(file, content)
        except UnreadableError as error:
            self._skip(file, remedied(str(error)), size)
        except NotTextError as error:
            self._skip(file, f"is not text: {error}\nhint: convert it to text, or leave it out", size)

    def _skip(self, file: NamedFile, because: str, size: int, name: str = "") -> None:
        self.unread.append((file, UnreadInput(name=name or file.name, because=because, size=size)))

    def _inputs(self, file: NamedFile, content: bytes) -> Sequence[Input]:
        """Return the inputs that a file becomes. Raise UnreadableError or NotTextError."""
        if file.fetched is not None and file.fetched.is_pending:
            return [_empty(file, b"", "text").model_copy(update={"kind": PENDING})]
        if is_cut_off(content, file.file_name):
            raise UnreadableError(f"is empty\nhint: {_AGAIN}")
        kind = _kind(file, content)
        medium = file.spec.as_ or kind.medium
        if medium == "text":
            return self._texts(file, content, kind)
        if medium == "image" and kind is PDF:
            return self._pages(file, content)
        return [_medium(file, content, medium, kind)]

    def _texts(self, file: NamedFile, content: bytes, kind: Kind) -> Sequence[Input]:
        """Return a text, or that of a document."""
        if kind.reader == "plain" or self._keeps_markup(file, kind) or kind.medium != "text":
            return [self._text(file, content)]
        if kind.reader is None:
            raise UnreadableError(f"is {kind.words}\nhint: {kind.advice}")
        return self._document(file, content, kind)

    def _keeps_markup(self, file: NamedFile, kind: Kind) -> bool:
        """Return whether a page or a notebook is read as it is: if the user wants that, or without its reader."""
        if kind.reader not in ("html", "page", "notebook", "mail"):
            return False
        if file.spec.as_ == "text":
            return True
        if _is_installed(kind):
            return False
        self.notes.append(f"`{clip(file.name)}` is read with its markup; to read its text only: {EXTRA}")
        return True

    def _text(self, file: NamedFile, content: bytes) -> Input:
        if len(content) > MOST_TEXT:
            raise UnreadableError(f"has more than {MOST_TEXT:,} bytes, the maximum for one input\nhint: split it")
        found = decode(content, file.file_name)
        if not found.text.strip():
            self.empty.append(file.name)
        mime = mime_of(file.file_name)
        update: dict[str, object] = {"text": found.text, "mime": mime if _is_text(mime) else "text/plain"}
        if found.encoding != "utf-8":
            update |= _converted(found)
        update["columns"] = columns_words(found.text, file.file_name)
        return _empty(file, content, "text").model_copy(update=update)

    def _pages(self, file: NamedFile, content: bytes) -> Sequence[Input]:
        """Return the pages of a PDF as images, as its entry wants it, whether they have text or not."""
        if not _is_installed(PDF):
            self.needs_extra.add(len(self.unread))
            raise UnreadableError(f"is {PDF.words}; to read it: {EXTRA}")
        found = self.extractor.read(DRAWN, content, file.file_name)
        self._skip_pages(file, found, len(content), "are not read")
        return [_drawn(file, picture) for picture in found.pictures]

    def _document(self, file: NamedFile, content: bytes, kind: Kind) -> Sequence[Input]:
        """Return the text of a document, and pages without text as images."""
        if not _is_installed(kind):
            self.needs_extra.add(len(self.unread))
            raise UnreadableError(f"is {kind.words}; to read it: {EXTRA}")
        found = self._extract(file, content, kind)
        text = found.text.encode("utf-8", "replace")
        if len(text) > MOST_TEXT:
            raise UnreadableError(
                f"has more than {MOST_TEXT:,} bytes of text, the maximum for one input\nhint: split it"
            )
        name = clip(file.name)
        self.notes += [f"`{name}`: {note}" for note in found.notes]
        made = [_drawn(file, picture) for picture in found.pictures]
        self._skip_pages(file, found, len(content))
        if not text.strip():
            if not found.unread and not found.damaged:
                raise UnreadableError("has no text")
            return made
        update = {
            "text": found.text,
            "size": len(text),
            "kind": kind.short,
            "unit": found.unit,
            "count": found.count,
            "reader": version_of(str(kind.reader)),
            "text_sha256": hashlib.sha256(text).hexdigest(),
            "mime": "text/plain",
            "columns": columns_words(found.text, file.file_name) if kind.reader == "sheets" else "",
        }
        return [_empty(file, content, "text").model_copy(update=update), *made]

    def _skip_pages(self, file: NamedFile, found: Extract, size: int, what: str = "are pictures without text") -> None:
        """Note the pages of a document that nothing reads."""
        drawn = {picture.page for picture in found.pictures}
        left = [page for page in found.unread if page not in drawn]
        if found.damaged:
            self._skip(file, f"has damaged pages that could not be read: {pages_words(found.damaged)}", size)
        if not left:
            return
        words = f"has pages that {what}: {pages_words(left)}"
        if drawn:
            advice = f"a model reads {len(drawn)} pages of a document as pictures; split it for more"
        else:
            advice = "recognise its text first, for example with `ocrmypdf`, or set a model that accepts images"
        self._skip(file, f"{words}\nhint: {advice}", size)

    def _extract(self, file: NamedFile, content: bytes, kind: Kind) -> Extract:
        reader, sha256 = str(kind.reader), hashlib.sha256(content).hexdigest()
        version = version_of(reader)
        known = self.texts.get(sha256, version)
        if known is not None and not (known.unread and self.pictures):
            return known
        found = self.extractor.read(reader, content, file.file_name, pictures=self.pictures)
        self.made.append((sha256, version, found))
        return found


def _kind(file: NamedFile, content: bytes) -> Kind:
    """Return the kind of a file, or of what an address gave."""
    kind = kind_of(content, file.file_name)
    return WEB_PAGE if kind is HTML and file.fetched is not None else kind


def _is_installed(kind: Kind) -> bool:
    """Return whether the package of a reader is there."""
    package = NEEDS.get(kind.reader or "")
    return package is None or find_spec(package) is not None


def _is_text(mime: str) -> bool:
    return mime.partition("/")[0] not in ("image", "audio", "video")


def _converted(found: Decoded) -> dict[str, object]:
    """Return the fields of a text that is not in UTF-8."""
    text = found.text.encode("utf-8", "replace")
    return {
        "size": len(text),
        "kind": f"text in {found.encoding}",
        "reader": "text-1",
        "text_sha256": hashlib.sha256(text).hexdigest(),
    }


def _empty(file: NamedFile, content: bytes, medium: Medium) -> Input:
    """Return an input without its content."""
    return Input(
        name=file.name,
        medium=medium,
        label=file.spec.label,
        sha256=hashlib.sha256(content).hexdigest(),
        size=len(content),
        path=_path(file),
    )


def _path(file: NamedFile) -> str:
    if file.fetched is not None:
        return file.fetched.url
    if file.content is not None:
        return STDIN
    return str(file.path.absolute()) if file.outside or file.spec.name is not None else ""


def _medium(file: NamedFile, content: bytes, medium: Medium, kind: Kind) -> Input:
    """Return an image, audio or video file. Raise UnreadableError if its format is unknown."""
    mime = kind.mime if kind.medium == medium else mime_of(file.file_name)
    if mime.partition("/")[0] != medium:
        endings = listing([ending for ending, each in MIMES.items() if each.startswith(f"{medium}/")])
        raise UnreadableError(f"has an unknown {medium} format\nhint: give its name one of these endings: {endings}")
    text = base64.b64encode(content).decode()
    return _empty(file, content, medium).model_copy(update={"base64": text, "mime": mime})


def _drawn(file: NamedFile, picture: Picture) -> Input:
    """Return a page of a document as an image."""
    name = f"{file.name}#page={picture.page}"
    update = {"name": name, "base64": base64.b64encode(picture.png).decode(), "mime": "image/png"}
    return _empty(file, picture.png, "image").model_copy(update={**update, "kind": "page of a PDF", "path": ""})


def _content(file: NamedFile) -> bytes:
    """Return the bytes of a file. Raise UnreadableError."""
    if file.because:
        raise UnreadableError(file.because)
    if file.fetched is not None:
        return _fetched(file.fetched)
    if file.content is not None:
        if not file.content.strip():
            raise UnreadableError("is empty\nhint: look at the command before the pipe")
        return file.content
    try:
        fd = _opened(file)
        with os.fdopen(fd, "rb") as opened:
            content = opened.read(MOST_MEDIA + 1)
    except NotRegularError:
        raise UnreadableError("is not a regular file") from None
    except OSError as error:
        raise UnreadableError(f"cannot be read: {error.strerror or error}") from None
    if len(content) > MOST_MEDIA:
        raise UnreadableError(f"has more than {MOST_MEDIA:,} bytes, the maximum for one input\nhint: split it")
    return content


def _fetched(fetched: FetchedInput) -> bytes:
    """Return the bytes that an address gave. Raise UnreadableError."""
    if fetched.because:
        raise UnreadableError(fetched.because)
    if not fetched.is_pending and not fetched.content.strip():
        raise UnreadableError("is empty\nhint: look at the address in a browser")
    return fetched.content


def _opened(file: NamedFile) -> int:
    if file.base is None:
        return open_regular(file.path)
    return open_beneath(file.base, file.path.relative_to(file.base).as_posix())
