"""Addresses: which are on this machine, and which proxy leads to the others."""

import re
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
"""Hosts that are this machine: no key is asked for, no proxy is used, and nothing is paid."""


_LOOPBACK_ADDRESS = re.compile(r"127(\.\d{1,3}){3}")


def is_loopback(base_url: str) -> bool:
    """Tell whether a base URL is on this machine; a model file is."""
    if base_url.startswith("local:"):
        return True
    host = (urlsplit(base_url).hostname or "").lower()
    return host in LOOPBACK or host.endswith(".localhost") or _LOOPBACK_ADDRESS.fullmatch(host) is not None


def proxy_for(origin: str) -> str | None:
    """Name the proxy that this machine's settings ask for; none for this machine's own addresses.

    Reads `HTTPS_PROXY` and its family the way Python's own library does.
    """
    url = urlsplit(origin)
    if is_loopback(origin) or proxy_bypass(url.hostname or ""):
        return None
    proxies = getproxies()
    return proxies.get(url.scheme) or proxies.get("all")
