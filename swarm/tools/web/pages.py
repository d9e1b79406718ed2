"""The text of what was fetched: pages, PDF and office documents, plain texts."""

from pathlib import PurePosixPath
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

from swarm.base.text import clip
from swarm.readers.encodings import NotTextError, decode, named
from swarm.readers.extract import Extractor
from swarm.readers.html import links_of, main_text
from swarm.readers.kinds import HTML, PLAIN, kind_of
from swarm.readers.zips import UnreadableError
from swarm.tools.web.addresses import MOST_CHARACTERS, SCHEMES, RefusedError
from swarm.tools.web.fetch import WebAnswer

MOST_LINKS = 50
"""Maximum links of a page that are shown."""


def text_of(fetched: WebAnswer) -> str:
    """Return what was fetched as text, its title first. Raise RefusedError if it is none. Use a thread."""
    name = _name_of(fetched)
    kind = kind_of(fetched.content, name)
    if kind.reader is None:
        raise RefusedError(f"what is there is {kind.words}, and no text")
    try:
        if kind is HTML or "html" in fetched.kind:
            page = _decoded(fetched, name)
            title, text = main_text(page)
            whole = f"# {title}\n\n{text}" if title and not text.startswith(f"# {title}") else text
            return "\n\n".join(filter(None, (whole, _shown_links(links_of(page), fetched.url))))
        if kind is PLAIN:
            return _decoded(fetched, name)
        with Extractor() as extractor:
            return extractor.read(kind.reader, fetched.content, name).text
    except (UnreadableError, NotTextError) as error:
        raise RefusedError(f"what is there cannot be read: {error}") from None


def _shown_links(links: list[tuple[str, str]], base: str) -> str:
    """Return the links of a page as a list of words and whole addresses: what can be fetched next."""
    found: dict[str, str] = {}
    for written, words in links:
        try:
            address = urldefrag(urljoin(base, written)).url
            scheme = urlsplit(address).scheme
        except ValueError:
            continue  # such as http://[
        if scheme in SCHEMES and address != base and len(address) <= MOST_CHARACTERS:
            found[address] = found.get(address) or words
    lines = [f"- {clip(words)}: {address}" if words else f"- {address}" for address, words in found.items()]
    more = [f"- and {len(lines) - MOST_LINKS:,} more"] if len(lines) > MOST_LINKS else []
    return "\n".join(["Links:", *lines[:MOST_LINKS], *more]) if lines else ""


def _decoded(fetched: WebAnswer, name: str) -> str:
    """Return the text of bytes: the header says how they are encoded, else the page itself, else its bytes."""
    said = named(fetched.content, fetched.charset or "utf-8")
    return decode(fetched.content, name).text if said is None else said.text


def _name_of(fetched: WebAnswer) -> str:
    """Return the last part of an address, as the name of a file."""
    name = PurePosixPath(unquote(urlsplit(fetched.url).path)).name or "page"
    return name if "html" not in fetched.kind or name.endswith((".html", ".htm")) else f"{name}.html"
