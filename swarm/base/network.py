"""Addresses: which are on this machine, and the proxy for the others."""

import re
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
"""Names of this machine. Its endpoints need no key and no proxy, and are free."""

_LOOPBACK_ADDRESS = re.compile(r"127(\.\d{1,3}){3}")


def is_loopback(base_url: str) -> bool:
    """Return True if a base URL is on this machine. A model file (`local:`) is."""
    if base_url.startswith("local:"):
        return True
    host = (urlsplit(base_url).hostname or "").lower()
    if host in LOOPBACK or host.endswith(".localhost"):
        return True
    return _LOOPBACK_ADDRESS.fullmatch(host) is not None


def proxy_for(origin: str) -> str | None:
    """Return this machine's proxy for an origin; None for its own addresses.

    Read `HTTPS_PROXY` and its family the way Python's standard library does.
    """
    url = urlsplit(origin)
    if is_loopback(origin) or proxy_bypass(url.hostname or ""):
        return None
    proxies = getproxies()
    return proxies.get(url.scheme) or proxies.get("all")
