"""The text of an EPUB by its chapters, in the order of reading."""

import posixpath
from urllib.parse import unquote

from swarm.base.places import mark
from swarm.readers.encodings import decode
from swarm.readers.html import html_text
from swarm.readers.result import Extract, joined
from swarm.readers.zips import UnreadableError, Zip, attribute, found


def read_epub(content: bytes) -> Extract:
    """Return the text of an EPUB. Raise UnreadableError if it is damaged or protected."""
    archive = Zip(content)
    if "META-INF/encryption.xml" in archive and b"EncryptedData" in archive.read("META-INF/encryption.xml"):
        names = archive.read("META-INF/encryption.xml")
        if b".xhtml" in names or b".html" in names:
            raise UnreadableError("is protected against copying")
    container = archive.xml("META-INF/container.xml")
    package = next((attribute(each, "full-path") for each in found(container, "rootfile")), "") if container else ""
    root = archive.xml(package)
    if root is None:
        raise UnreadableError("is damaged: it has no package in it")
    folder = package.rpartition("/")[0]
    items = {attribute(each, "id"): unquote(attribute(each, "href")) for each in found(root, "item")}
    chapters: list[str] = []
    for reference in found(root, "itemref"):
        name = posixpath.normpath(posixpath.join(folder, items.get(attribute(reference, "idref"), "")))
        text = html_text(decode(archive.read(name), name).text) if name in archive else ""
        if text:
            chapters.append(f"{mark('chapter', len(chapters) + 1, _title(text))}\n{text}")
    return Extract(joined(chapters), "chapter", len(chapters))


def _title(text: str) -> str:
    """Return the first heading of a chapter, or nothing."""
    return next((line.lstrip("# ") for line in text.splitlines()[:20] if line.startswith("#")), "")
