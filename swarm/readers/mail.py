"""The text of an e-mail, or of a page that a browser saved as one file: who, when, about what, and the words.

The body of most mails is packed (base64, quoted-printable), so that as a text nobody can read it. Attachments are
named, not read.
"""

from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from importlib.util import find_spec
from typing import cast

from swarm.base.text import clip, listing
from swarm.readers.result import Extract, clean, joined
from swarm.readers.zips import UnreadableError

HEADERS = ("From", "To", "Cc", "Date", "Subject")
"""Headers that people see."""
HEADER_CHARACTERS = 5_000
"""Maximum characters of a header: some hundred addresses."""


def read_mail(content: bytes) -> Extract:
    """Return the text of an e-mail. Raise UnreadableError if its parts are inside of each other without end."""
    try:
        return _read(message_from_bytes(content, policy=policy.default))
    except RecursionError:
        raise UnreadableError("is damaged: its parts are nested too deeply") from None


def _read(mail: EmailMessage) -> Extract:
    head = "\n".join(f"{name}: {words}" for name in HEADERS if (words := _header(mail, name)))
    attached = [clip(part.get_filename() or part.get_content_type()) for part in mail.iter_attachments()]
    notes = (f"attachments are not read: {listing(attached, 5)}",) if attached else ()
    return Extract(joined([head, *_bodies(mail)]), notes=notes)


def _header(mail: EmailMessage, name: str) -> str:
    """Return what a header says; a long one, and one that the parser has an error with, as it is written."""
    raw = next((str(value) for key, value in mail.raw_items() if key.lower() == name.lower()), "")
    if len(raw) > HEADER_CHARACTERS:  # the parser of addresses takes the square of its length
        return clip(clean(raw), HEADER_CHARACTERS)
    try:
        return clean(str(mail[name] or ""))
    except (AttributeError, IndexError, LookupError, TypeError, ValueError):
        return clean(raw)


def _bodies(mail: EmailMessage) -> Iterator[str]:
    """Yield the body: as plain text if there is one, else as a page."""
    body = mail.get_body(("plain", "html"))
    if body is None:
        return
    try:
        text = str(body.get_content())
    except (LookupError, ValueError):  # an encoding that does not exist
        text = cast("bytes", body.get_payload(decode=True)).decode("utf-8", "replace")
    if body.get_content_type() == "text/html" and find_spec("selectolax") is not None:
        from swarm.readers.html import html_text

        text = html_text(text)
    yield clean(text)
