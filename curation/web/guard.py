"""Which addresses may be asked at all: http and https, no credentials, and nothing but the public internet."""

import ipaddress
import re
import socket

from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from curation.errors import ItemError

# https://www.iana.org/assignments/iana-ipv4-special-registry, with multicast and 6to4 relays. Written out, because
# what `is_global` says differs from one patch of Python to the next.
NOT_PUBLIC_4 = [
    ipaddress.IPv4Network(network)
    for network in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24"),
        *("203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
    )
]
# https://www.iana.org/assignments/iana-ipv6-special-registry: only 2000::/3 is given to the public; what is outside of
# it holds loopback, link-local, multicast, IPv4-mapped and NAT64. Teredo and 6to4 hide an IPv4 address inside of it.
PUBLIC_6 = ipaddress.IPv6Network("2000::/3")
NOT_PUBLIC_6 = [ipaddress.IPv6Network(network) for network in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")]

LABEL = r"[A-Za-z0-9_-]{1,63}"
HOST = re.compile(rf"(?=.{{1,253}}\.?$){LABEL}(?:\.{LABEL})*\.?|[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*(?:%[A-Za-z0-9]+)?")
# What some resolvers read as an IPv4 address: 127.1, 2130706433, 0x7f.1, 0177.0.0.1
NUMERIC_HOST = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)\.?", re.IGNORECASE | re.ASCII)


def is_public(address: str) -> bool:
    """Tell whether an IP address, as it would be connected to, belongs to the public internet."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv4Address):
        return not any(ip in network for network in NOT_PUBLIC_4)
    return ip in PUBLIC_6 and not any(ip in network for network in NOT_PUBLIC_6)


def is_allowed(host: str, port: int | None, allowed_hosts: frozenset[str]) -> bool:
    """Tell whether a host may be private."""
    return host in allowed_hosts or f"{host}:{port}" in allowed_hosts


def checked(address: str | URL, allowed_hosts: frozenset[str]) -> URL:
    """Return an address as it will be asked for; where its name leads is looked at when it is resolved.

    Raises:
        ItemError: "address_refused".
    """
    try:
        url = URL(address)
        host, port = url.host, url.port
    except ValueError:
        raise ItemError("address_refused", "it is no web address") from None  # it may hold a password: do not show it
    if url.scheme not in ("http", "https"):
        raise ItemError("address_refused", f"scheme {url.scheme!r}: expected http or https")
    if "@" in url.raw_authority:
        raise ItemError("address_refused", f"{host}: the address holds credentials")
    if not host or not HOST.fullmatch(url.raw_host or ""):
        raise ItemError("address_refused", "it names no host")
    if not is_allowed(host, port, allowed_hosts):
        is_literal = ":" in host or NUMERIC_HOST.fullmatch(host)
        if is_literal and not is_public(host):
            raise ItemError("address_refused", f"{host} is no public address")
    return url.with_fragment(None) if url.raw_fragment else url


class PublicResolver(AbstractResolver):
    """Resolves names to public addresses only; the others, of a sinkhole or of a second network card, are left out.

    The client connects to just what this returns, so that a name cannot be public while it is checked and private when
    it is used.
    """

    def __init__(self, inner: AbstractResolver, allowed_hosts: frozenset[str]) -> None:
        self._inner = inner
        self._allowed_hosts = allowed_hosts

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        try:
            results = await self._inner.resolve(host, port, family)
        except UnicodeError:  # what `getaddrinfo` says of some names instead of that it does not know them
            raise ItemError("address_refused", f"{host} is no name of a host") from None
        if is_allowed(host, port, self._allowed_hosts):
            return results
        public = [result for result in results if is_public(result["host"])]
        if results and not public:
            first = min(result["host"] for result in results)  # not in the order of this answer
            raise ItemError("address_refused", f"{host} leads to {first}, which is no public address")
        return public

    async def close(self) -> None:
        await self._inner.close()
