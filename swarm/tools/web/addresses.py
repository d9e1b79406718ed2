"""Which addresses a fetch may reach: public ones, and what the task opens. Pure.

A name or a spelling says nothing: `127.1`, `0x7f000001` and a name of one's own all lead to this
machine. So what is checked is the address that a connection goes to, with every address that is
packed into it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import SplitResult, urlsplit

from swarm.base.settings import hidden_character

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

METADATA = frozenset(
    map(ip_address, ("169.254.169.254", "fd00:ec2::254", "168.63.129.16", "100.100.100.200", "192.0.0.192"))
)
"""Services that hand out the credentials of a machine in a cloud. Nothing opens them."""
_NAT64 = ip_network("64:ff9b::/96")
"""The range that leads to the IPv4 address in its last 32 bits (RFC 6052)."""
_ISATAP = frozenset({0x5EFE, 0x2005EFE})
"""Bits before an IPv4 address in the last 32 (RFC 5214)."""
_NOT_PUBLIC = tuple(map(ip_network, ("64:ff9b:1::/48", "fec0::/10", "3fff::/20", "192.88.99.0/24")))
"""Translation inside of a network, of which only that network knows where it leads (RFC 8215), old local addresses,
examples, and relays that nobody runs any more: Python calls some of these global."""
_COMPATIBLE = ip_network("::/96")
"""IPv4 addresses as they were first written in IPv6 (RFC 4291, obsolete)."""
SCHEMES = {"http": 80, "https": 443}
"""Schemes that are fetched, with their ports."""
MOST_CHARACTERS = 2_000
"""Maximum characters of an address."""


class RefusedError(Exception):
    """An address that is not fetched; the message is for the model."""


@dataclass(frozen=True)
class AddressRules:
    """What a task allows in addition to, or instead of, all public hosts."""

    hosts: tuple[str, ...] = ()
    """Hosts that are fetched, `*.example.org` with all below it; empty for all."""
    private: tuple[Network, ...] = ()
    """Networks that may be reached although they are not public."""

    def check_host(self, host: str) -> None:
        """Raise RefusedError for a host that the task does not list."""
        if self.hosts and not any(_matches(host, pattern) for pattern in self.hosts):
            raise RefusedError(f"{host} is not among the hosts that the task allows: {', '.join(self.hosts)}")

    def check_address(self, host: str, address: Address) -> None:
        """Raise RefusedError for an address that must not be reached."""
        for inner in packed(address):
            if inner in METADATA:
                raise RefusedError(f"{host} leads to {inner}, a service for the machine itself, which is never fetched")
            if not is_public(inner) and not any(
                inner in network for network in self.private if network.version == inner.version
            ):
                raise RefusedError(f"{host} leads to {inner}, which is not a public address")


def _matches(host: str, pattern: str) -> bool:
    pattern = pattern.lower().rstrip(".")
    if pattern.startswith("*."):
        return host == pattern[2:] or host.endswith(pattern[1:])
    return host == pattern


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Return networks: `127.0.0.1`, `10.0.0.0/8`. Raise ValueError with the text that is none."""
    found: list[Network] = []
    for text in texts:
        try:
            found.append(ip_network(text, strict=False))
        except ValueError:
            example = "such as 127.0.0.1 or 10.0.0.0/8"
            raise ValueError(f"`{text[:60]}` is not an address or a network, {example}") from None
    return tuple(found)


def packed(address: Address) -> Iterator[Address]:
    """Yield the addresses that must be allowed for one: those that it leads to, and those that it passes through."""
    if isinstance(address, IPv4Address):
        yield address
        return
    low = IPv4Address(int(address) & 0xFFFFFFFF)
    if address.ipv4_mapped is not None or address in _NAT64:
        yield low
        return
    yield address
    if address in _COMPATIBLE and int(address) > 1:
        yield low
    if int(address) >> 32 & 0xFFFFFFFF in _ISATAP:
        yield low
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo


def is_public(address: Address) -> bool:
    """Return whether an address is one of the public internet. Addresses in it are not looked at."""
    is_special = address.is_multicast or address.is_reserved or any(address in network for network in _NOT_PUBLIC)
    return address.is_global and not is_special


@dataclass(frozen=True)
class Target:
    """An address to fetch, taken apart."""

    scheme: str
    host: str
    """In lower case, in ASCII."""
    port: int
    path: str
    """Path and query."""

    @property
    def origin(self) -> str:
        """Scheme, host and port, without the usual port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" + ("" if self.port == SCHEMES[self.scheme] else f":{self.port}")

    @property
    def url(self) -> str:
        """The whole address."""
        return self.origin + self.path


def target_of(url: str) -> Target:
    """Return an address taken apart. Raise RefusedError with what is wrong with it."""
    url = url.strip()
    if len(url) > MOST_CHARACTERS:
        raise RefusedError(f"the address has more than {MOST_CHARACTERS:,} characters")
    hidden = hidden_character(url, blanks=True)
    if hidden is not None or "\\" in url:
        raise RefusedError(f"the address contains {hidden or 'a backslash'}")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise RefusedError(f"this is not an address: {error}") from None
    scheme = parts.scheme.lower()
    if scheme not in SCHEMES:
        raise RefusedError("only http:// and https:// addresses are fetched")
    if parts.username is not None or parts.password is not None:
        raise RefusedError("an address with a user or a password is not fetched")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(scheme, _host(parts), port or SCHEMES[scheme], path)


def _host(parts: SplitResult) -> str:
    host = (parts.hostname or "").rstrip(".")
    if not host:
        raise RefusedError("the address has no host")
    if "%" in host:
        raise RefusedError("an address of one network interface is not fetched")
    try:
        return host.lower() if host.isascii() else host.encode("idna").decode()
    except UnicodeError:
        raise RefusedError(f"{host[:60]} is not the name of a host") from None
