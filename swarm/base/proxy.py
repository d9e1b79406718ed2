"""The proxy for an address, from the environment, checked before anything is sent."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from swarm.base.errors import Problem, TaskError
from swarm.base.network import is_loopback
from swarm.base.settings import cleaned, hidden_character
from swarm.base.text import clip

NO_VARIABLES: Mapping[str, str] = MappingProxyType({})
_SCHEMES = ("http", "https", "socks5", "socks5h")
_OTHER_NAMES = {"socks": "socks5"}
"""Schemes as desktops write them."""


@dataclass(frozen=True)
class Proxy:
    """A proxy, and the variable that names it."""

    url: str
    variable: str

    @property
    def shown(self) -> str:
        """The proxy for people, without its user and password."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]} ({self.variable})"


def proxy_of(origin: str, environ: Mapping[str, str] = NO_VARIABLES) -> Proxy | None:
    """Return the proxy for an origin; None if there is none, and for this machine.

    Read `HTTPS_PROXY` and its family the way Python's standard library does. An address without a
    scheme is http, and `socks` is socks5. Raise TaskError with the name of the variable, as `environ`
    spells it, if the proxy cannot be used.
    """
    url = urlsplit(origin)
    if is_loopback(origin) or proxy_bypass(url.hostname or ""):
        return None
    proxies = {name: cleaned(value) for name, value in getproxies().items()}
    name = next((name for name in (url.scheme, "all") if proxies.get(name)), None)
    return None if name is None else _checked(Proxy(proxies[name], _variable(name, environ)))


def proxy_for(origin: str) -> str | None:
    """Return the URL of the proxy for an origin, or None. Raise what `proxy_of` raises."""
    proxy = proxy_of(origin)
    return None if proxy is None else proxy.url


def _variable(name: str, environ: Mapping[str, str]) -> str:
    """Return the variable that names a proxy: the standard library prefers the one in lower case."""
    lower = f"{name}_proxy"
    written = [each for each in environ if each.lower() == lower and environ[each]]
    return next((each for each in (lower, *written) if each in written), lower.upper())


def _checked(proxy: Proxy) -> Proxy:
    if "://" not in proxy.url:
        proxy = replace(proxy, url=f"http://{proxy.url}")
    scheme, _, rest = proxy.url.partition("://")
    scheme = _OTHER_NAMES.get(scheme.lower(), scheme.lower())
    proxy = replace(proxy, url=f"{scheme}://{rest}")
    wrong = _wrong(proxy.url, scheme)
    if wrong is not None:
        raise TaskError(Problem(wrong, key=proxy.variable))
    return proxy


def _wrong(url: str, scheme: str) -> str | None:
    """Return why a proxy cannot be used, without its user and password, or None."""
    hidden = hidden_character(url, blanks=True)
    if hidden is not None or any(quote in url for quote in "\"'`"):
        return f"the proxy has {hidden or 'quotation marks'} in its address\nhint: write http://HOST:PORT"
    if not _is_address(url) or scheme not in _SCHEMES:
        return f"this is not the address of a proxy\nhint: write http://HOST:PORT; schemes are {', '.join(_SCHEMES)}"
    if scheme.startswith("socks") and find_spec("socksio") is None:
        return f"a {scheme} proxy needs the package socksio\nhint: install it: pip install socksio"
    return None


def _is_address(url: str) -> bool:
    """Return whether a URL has a host, and a port that may be; `http//HOST` has lost its colon."""
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and (parts.port is None or parts.port > 0) and not parts.path.startswith("//")
    except ValueError:
        return False


def certificate_problems(environ: Mapping[str, str]) -> list[Problem]:
    """Return the errors of the variables that name certificates to trust."""
    problems: list[Problem] = []
    file, folder = environ.get("SSL_CERT_FILE", ""), environ.get("SSL_CERT_DIR", "")
    if file and not Path(file).is_file():
        problems.append(
            Problem(f"there is no file {clip(file, 200)}\nhint: correct it, or unset it", key="SSL_CERT_FILE")
        )
    elif file and not _holds_certificates(file):
        wrong = f"{clip(file, 200)} has no certificates in PEM\nhint: correct it, or unset it"
        problems.append(Problem(wrong, key="SSL_CERT_FILE"))
    if folder and not Path(folder).is_dir():
        wrong = f"there is no folder {clip(folder, 200)}\nhint: correct it, or unset it"
        problems.append(Problem(wrong, key="SSL_CERT_DIR"))
    return problems


def _holds_certificates(file: str) -> bool:
    try:
        ssl.create_default_context(cafile=file)
    except (OSError, ValueError):  # ssl.SSLError is an OSError
        return False
    return True
