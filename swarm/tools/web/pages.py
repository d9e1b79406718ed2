"""The text of what was fetched: pages, PDF and office documents, plain texts."""

from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from swarm.readers.encodings import NotTextError, decode
from swarm.readers.extract import Extractor
from swarm.readers.html import main_text
from swarm.readers.kinds import HTML, PLAIN, kind_of
from swarm.readers.zips import UnreadableError
from swarm.tools.web.addresses import RefusedError
from swarm.tools.web.fetch import WebAnswer


def text_of(fetched: WebAnswer) -> str:
    """Return what was fetched as text, its title first. Raise RefusedError if it is none. Use a thread."""
    name = _name_of(fetched)
    kind = kind_of(fetched.content, name)
    if kind.reader is None:
        raise RefusedError(f"what is there is {kind.words}, and no text")
    try:
        if kind is HTML or "html" in fetched.kind:
            title, text = main_text(_decoded(fetched, name))
            return f"# {title}\n\n{text}" if title and not text.startswith(f"# {title}") else text
        if kind is PLAIN:
            return _decoded(fetched, name)
        with Extractor() as extractor:
            return extractor.read(kind.reader, fetched.content, name).text
    except (UnreadableError, NotTextError) as error:
        raise RefusedError(f"what is there cannot be read: {error}") from None


def _decoded(fetched: WebAnswer, name: str) -> str:
    """Return the text of bytes: the header says how they are encoded, else the page itself, else its bytes."""
    try:
        return fetched.content.decode(fetched.charset or "utf-8")
    except (LookupError, UnicodeDecodeError):
        return decode(fetched.content, name).text


def _name_of(fetched: WebAnswer) -> str:
    """Return the last part of an address, as the name of a file."""
    name = PurePosixPath(unquote(urlsplit(fetched.url).path)).name or "page"
    return name if "html" not in fetched.kind or name.endswith((".html", ".htm")) else f"{name}.html"
