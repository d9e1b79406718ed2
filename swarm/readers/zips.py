"""ZIP files whose members are unpacked with limits, and XML in them without declarations of its own.

A ZIP of 42 kB can unpack to terabytes, and XML of 1 kB to gigabytes. What headers say is not
believed: bytes are counted while they are unpacked, and a document type, which only attacks have in
office files, is refused.
"""

import posixpath
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from io import BytesIO
from xml.etree import ElementTree

MOST_MEMBERS = 10_000
MOST_MEMBER = 100_000_000
"""Maximum bytes of one unpacked member."""
MOST_BYTES = 200_000_000
"""Maximum bytes of all members together."""
MOST_RATIO = 200
"""Maximum unpacked bytes per packed byte, of members over `SMALL`. Text has 3 to 20, repeated cells 100."""
SMALL = 1_000_000
"""Bytes below which the ratio does not matter."""
_CHUNK = 1 << 20
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, NotImplementedError, ValueError)
"""What unpacking a damaged member raises."""
Element = ElementTree.Element


class UnreadableError(Exception):
    """A file that cannot be read, in words that follow its name: `is encrypted`."""


class Zip:
    """A ZIP file, read with limits."""

    def __init__(self, content: bytes) -> None:
        try:
            self._archive = zipfile.ZipFile(BytesIO(content))
        except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError, EOFError):
            raise UnreadableError("is damaged: its ZIP directory cannot be read") from None
        infos = self._archive.infolist()
        if len(infos) > MOST_MEMBERS:
            raise UnreadableError(f"has {len(infos):,} files inside; maximum {MOST_MEMBERS:,}")
        self._infos: Mapping[str, zipfile.ZipInfo] = {info.filename: info for info in infos}
        self._left = MOST_BYTES

    def __contains__(self, name: str) -> bool:
        return name in self._infos

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the members, in the order of the directory."""
        return tuple(self._infos)

    def read(self, name: str) -> bytes:
        """Return the bytes of a member, empty if there is none. Raise UnreadableError at a limit."""
        info = self._infos.get(name)
        if info is None:
            return b""
        if info.flag_bits & 1:
            raise UnreadableError("is encrypted\nhint: save it without a password")
        chunks: list[bytes] = []
        size = 0
        try:
            with self._archive.open(info) as member:
                while chunk := member.read(_CHUNK):
                    size += len(chunk)
                    self._left -= len(chunk)
                    self._check(size, info)
                    chunks.append(chunk)
        except _DAMAGED:
            raise UnreadableError(f"is damaged: `{name[:80]}` in it cannot be unpacked") from None
        return b"".join(chunks)

    def _check(self, size: int, info: zipfile.ZipInfo) -> None:
        packed = max(1, info.compress_size)
        if size > MOST_MEMBER or self._left < 0 or (size > SMALL and size > MOST_RATIO * packed):
            raise UnreadableError("unpacks to far more than an office document has, as an attack would")

    def check_all(self) -> None:
        """Unpack everything once, and keep nothing: for readers of other people that set no limits."""
        for name in self.names:
            self.read(name)

    def xml(self, name: str) -> Element | None:
        """Return the root of a member of XML, or None if there is none. Raise UnreadableError if it cannot be read."""
        content = self.read(name)
        return parse_xml(content, name) if content else None

    def relations(self, name: str) -> dict[str, tuple[str, str]]:
        """Return the relations of a part of an office file: by id, the last word of the type, and the target."""
        folder, _, file = name.rpartition("/")
        root = self.xml(f"{folder}/_rels/{file}.rels" if folder else f"_rels/{file}.rels")
        found: dict[str, tuple[str, str]] = {}
        for each in root if root is not None else ():
            target = each.get("Target", "")
            if each.get("TargetMode") != "External":
                target = posixpath.normpath(posixpath.join(folder, target)) if target[:1] != "/" else target[1:]
            found[each.get("Id", "")] = (each.get("Type", "").rpartition("/")[2], target)
        return found


def parse_xml(content: bytes, name: str = "") -> Element:
    """Return the root of XML. Raise UnreadableError for a document type, which could expand without end."""
    if any("<!DOCTYPE".encode(encoding) in content for encoding in ("utf-8", "utf-16-le", "utf-16-be")):
        raise UnreadableError("has a document type in its XML, as an attack would")
    parser = ElementTree.XMLParser()  # noqa: S314 - no document type, so no entities
    try:
        parser.feed(content)
        return parser.close()
    except (ElementTree.ParseError, ValueError, LookupError):
        raise UnreadableError(f"is damaged: invalid XML in `{name[:80]}`") from None


def local(element: Element) -> str:
    """Return the name of an element without its namespace."""
    return str(element.tag).rpartition("}")[2]


def attribute(element: Element, name: str) -> str:
    """Return an attribute by its name without a namespace; empty if there is none."""
    for key, value in element.attrib.items():
        if key.rpartition("}")[2] == name:
            return value
    return ""


def found(element: Element, name: str) -> Iterator[Element]:
    """Yield the elements below one that have a name, in document order."""
    return (each for each in element.iter() if local(each) == name)
