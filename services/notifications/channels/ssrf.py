"""The guard against requests to inside addresses (SSRF).

A webhook's host is resolved once; if any of its addresses is not public it is refused, and the request goes to the
very address that was checked. Registries: IANA IPv4 and IPv6 special-purpose addresses, RFC 6890.
"""

from __future__ import annotations

import asyncio
import re
import socket
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING

# httpx parses here exactly as it will when it sends: two parsers that differ are how such guards are fooled
import httpx

from services.notifications.channels.resolver import Resolver

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.notifications.settings import Net

Address = IPv4Address | IPv6Address
RESOLVE_SECONDS = 5.0

_GLOBAL_UNICAST = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")
_SIX_TO_FOUR = IPv6Network("2002::/16")
# not in the tables of every Python version in use
_NOT_PUBLIC_4 = tuple(
    map(IPv4Network, ("0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.88.99.0/24", "198.18.0.0/15", "240.0.0.0/4"))
)
_NOT_PUBLIC_6 = tuple(map(IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20")))
_LOCALHOST = IPv4Address("127.0.0.1")
_PORTS = frozenset({None, *range(1, 65_536)})
_AUTHORITY = re.compile(r"^[^/]*//([^/?#]*).*$", re.DOTALL)
_HOST = re.compile(r"(?<=^https://)[^/?#:@\[\]]+|(?<=^http://)[^/?#:@\[\]]+", re.IGNORECASE)


class Forbidden(Exception):  # noqa: N818 (an answer to a user, not a defect)
    """This URL may not be called; the text says why."""


class Unresolvable(Exception):  # noqa: N818
    """The host has no address just now."""


@dataclass(frozen=True, slots=True)
class Target:
    """A URL that may be called, and the address to connect to."""

    url: httpx.URL
    address: Address

    @property
    def host(self) -> str:
        """The host as it goes over the wire: ASCII, no brackets."""
        return self.url.raw_host.decode("ascii")


def embedded_address(address: Address) -> Address:
    """The IPv4 address inside an IPv6 one (mapped, NAT64, 6to4), else the address itself."""
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    if address in _SIX_TO_FOUR:
        return IPv4Address((int(address) >> 80) & 0xFFFF_FFFF)
    return address


def is_public(address: Address) -> bool:
    """Whether it can only be reached through the public internet."""
    inner = embedded_address(address)
    if isinstance(inner, IPv4Address):
        return inner.is_global and not inner.is_multicast and not any(inner in net for net in _NOT_PUBLIC_4)
    # Teredo lies in 2001::/23; IPv4-compatible, translated, site-local and multicast lie outside 2000::/3
    return inner in _GLOBAL_UNICAST and inner.is_global and not any(inner in net for net in _NOT_PUBLIC_6)


def literal(host: str) -> Address | None:
    """The address that a host text stands for in any of the spellings that resolvers accept (`127.1`, `0x7f000001`)."""
    try:
        return ip_address(host.partition("%")[0])
    except ValueError:
        pass
    try:
        return IPv4Address(socket.inet_aton(host))
    except (OSError, ValueError):
        return None


def _plain_host(found: re.Match[str]) -> str:
    """The dotted form of an IPv4 address in another spelling, which httpx would refuse; other hosts as they are."""
    address = literal(found[0])
    return str(address) if isinstance(address, IPv4Address) else found[0]


def _written(host: str) -> Address | None:
    """The address that the host itself says, without a resolver; `localhost` is 127.0.0.1 (RFC 6761)."""
    if host.rstrip(".").lower().rpartition(".")[2] == "localhost":
        return _LOCALHOST
    return literal(host)


@dataclass(frozen=True)
class Guard:
    """Judges URLs.

    `allowed` are networks that the operator opens; `http_allowed` lets plain http go to their addresses, written as
    such (embedded mode).
    """

    allowed: Sequence[Net] = ()
    http_allowed: bool = False
    resolver: Resolver = field(default_factory=Resolver, repr=False, compare=False)

    async def check(self, url: str) -> None:
        """For a registration. Raises `Forbidden`; a host that does not resolve now is judged at each send."""
        try:
            await self.target(url)
        except Unresolvable:
            return

    async def target(self, url: str) -> Target:
        """For a request. Raises `Forbidden` or `Unresolvable`."""
        parsed = self._parsed(url)
        host = parsed.raw_host.decode("ascii")
        written = _written(host)
        if parsed.scheme == "http" and (written is None or not self._is_allowed(written)):
            raise Forbidden("The URL must start with https://.")
        addresses = [written] if written is not None else await resolve(self.resolver, host)
        if any(not is_public(address) and not self._is_allowed(address) for address in addresses):
            raise Forbidden(f"{host} is not a public address.")
        return Target(parsed, addresses[0])

    def _parsed(self, url: str) -> httpx.URL:
        if any(ord(char) <= 0x20 or ord(char) == 0x7F or char == "\\" for char in url):  # noqa: PLR2004 (ASCII control)
            raise Forbidden("The URL holds a space, a control character or a backslash.")
        if "@" in _AUTHORITY.sub(r"\1", url):
            raise Forbidden("The URL must not hold a user name or password.")
        try:
            parsed = httpx.URL(_HOST.sub(_plain_host, url))
        except (httpx.InvalidURL, ValueError, TypeError) as error:
            raise Forbidden("This is not a URL.") from error
        if parsed.scheme not in ("https", "http") or (parsed.scheme == "http" and not self.http_allowed):
            raise Forbidden("The URL must start with https://.")
        if not parsed.raw_host or parsed.port not in _PORTS:
            raise Forbidden("The URL has no host or port that could be called.")
        return parsed

    def _is_allowed(self, address: Address) -> bool:
        inner = embedded_address(address)
        return any(inner in net for net in self.allowed)


async def resolve(resolver: Resolver, host: str) -> list[Address]:
    """All addresses of a host, asked once. Raises `Unresolvable`."""
    try:
        async with asyncio.timeout(RESOLVE_SECONDS):
            found = await resolver.ask(host)
    except TimeoutError as error:
        raise Unresolvable(f"{host} does not resolve: no answer within {RESOLVE_SECONDS:.0f} s"[:200]) from error
    except (OSError, UnicodeError) as error:
        raise Unresolvable(f"{host} does not resolve: {error}"[:200]) from error
    addresses = [ip_address(str(info[4][0]).partition("%")[0]) for info in found]
    if not addresses:
        raise Unresolvable(f"{host} has no address.")
    return list(dict.fromkeys(addresses))
