"""The readers by name, and their versions. This runs in the child process: see `swarm.readers.extract`."""

import hashlib
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version

from swarm.readers.kinds import DRAWN, NEEDS
from swarm.readers.result import Extract

VERSION = 1
"""Version of these readers. It changes with their text, so that texts in the cache are not those of other readers."""


def read(reader: str, content: bytes, name: str, *, pictures: bool = False) -> Extract:
    """Return the text of a document. Raise UnreadableError if it cannot be read."""
    if reader == "pdf":
        from swarm.readers.pdf import read_pdf

        return read_pdf(content, pictures=pictures)
    if reader == DRAWN:
        from swarm.readers.pdf import draw_pdf

        return draw_pdf(content)
    return _readers()[reader](content, name)


def _readers() -> Mapping[str, Callable[[bytes, str], Extract]]:
    from swarm.readers.docx import read_docx
    from swarm.readers.encodings import decode
    from swarm.readers.epub import read_epub
    from swarm.readers.html import read_html, read_page
    from swarm.readers.mail import read_mail
    from swarm.readers.notebook import read_notebook
    from swarm.readers.odf import read_odf
    from swarm.readers.pptx import read_pptx
    from swarm.readers.sheets import read_sheets

    return {
        "docx": lambda content, _: read_docx(content),
        "pptx": lambda content, _: read_pptx(content),
        "odf": lambda content, _: read_odf(content),
        "sheets": lambda content, _: read_sheets(content),
        "epub": lambda content, _: read_epub(content),
        "html": lambda content, name: read_html(decode(content, name).text),
        "page": lambda content, name: read_page(decode(content, name).text),
        "mail": lambda content, _: read_mail(content),
        "notebook": lambda content, name: read_notebook(decode(content, name).text),
    }


def version_of(reader: str) -> str:
    """Return the version of a reader: of this code and of the package that it uses."""
    package = NEEDS.get(reader)
    if package is None:
        return f"{reader}-{VERSION}"
    try:
        found = version(package.replace("_", "-"))
    except PackageNotFoundError:
        found = "none"
    return f"{reader}-{VERSION}-{hashlib.sha256(found.encode()).hexdigest()[:8]}"
