"""Addresses: which are on this machine, and which are none."""

import re
from urllib.parse import urlsplit

from swarm.base.settings import hidden_character

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
"""Names of this machine. Its endpoints need no key and no proxy, and are free."""

_LOOPBACK_ADDRESS = re.compile(r"127(\.\d{1,3}){3}")


def is_loopback(base_url: str) -> bool:
    """Return True if a base URL is on this machine. A model file (`local:`) is."""
    if base_url.startswith("local:"):
        return True
    host = host_of(base_url)
    if host in LOOPBACK or host.endswith(".localhost"):
        return True
    return _LOOPBACK_ADDRESS.fullmatch(host) is not None


def host_of(url: str) -> str:
    """Return the host of a URL in lower case; empty if it has none, or is not a URL."""
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""


def wrong_address(url: str) -> str | None:
    """Return why a text is not the address of an endpoint, or None."""
    hidden = hidden_character(url, blanks=True)
    if hidden is not None:
        return f"the address contains {hidden}"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        return f"this is not an address: {error}"
    if not parts.hostname:
        return "the address has no host"
    return "the address has port 0" if port == 0 else None
