"""Where messages may go: addresses that somebody typed must not lead into the house's own network (SSRF).

A name is looked up each time something is sent, every address it has is checked, and the connection is made to an
address that was checked, not to the name. So a name that changes its mind in between gains nothing.
"""

import ipaddress
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias, final
from urllib.parse import urlsplit

from volens.consent import InputError, RefusedError

IpAddress: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve: TypeAlias = Callable[[str, int], Sequence[str]]

_PORTS: Final = {"https": 443, "http": 80}
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
_NAT64_LOCAL: Final = ipaddress.IPv6Network("64:ff9b:1::/48")
_COMPATIBLE: Final = ipaddress.IPv6Network("::/96")


class AddressError(RefusedError):
    """The name leads to where nothing may be sent."""


@final
@dataclass(frozen=True, slots=True)
class Target:
    """An address of the web, taken apart. `path` has the query."""

    scheme: str
    host: str
    port: int
    path: str


def parse_target(url: str, *, allow_private: bool = False) -> Target:
    """Take a URL apart.

    Raises:
        InputError: it is no plain ``https`` URL; ``http`` needs `allow_private`, and stays in the private network.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise InputError("got an address that is no URL; expected https://host/path") from None
    if parts.scheme not in ({"https", "http"} if allow_private else {"https"}):
        raise InputError(
            "got an address that is not https; expected https://host/path (http only with --allow-private)"
        )
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise InputError("got an address with a user, a password or a fragment; leave them out")
    host = parts.hostname or ""
    if not host or not url.isascii() or not url.isprintable() or any(one in url for one in " \\"):
        raise InputError("got an address without a plain host; expected https://host/path, in ASCII")
    return Target(
        parts.scheme,
        host,
        _PORTS[parts.scheme] if port is None else port,
        (parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
    )


def look_up(host: str, port: int) -> Sequence[str]:
    """Return the addresses of a name, as the machine knows them.

    Raises:
        OSError: it has none.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return list(dict.fromkeys(str(one[4][0]) for one in found))


def checked_addresses(target: Target, *, allow_private: bool, resolve: Resolve = look_up) -> Sequence[IpAddress]:
    """Return the addresses to which a message may go now.

    Raises:
        AddressError: one of them is not public, or, with `allow_private`, neither public nor private; or ``http``
            would leave the private network.
        OSError: the name has no address.
    """
    addresses = [ipaddress.ip_address(one.partition("%")[0]) for one in resolve(target.host, target.port)]
    if not addresses:
        raise OSError("no address")
    for one in addresses:
        public, private = _is_public(one), _is_private(one)
        if not (public or (private and allow_private)):
            raise AddressError("the address leads into a private or reserved network; see --allow-private")
        if target.scheme == "http" and public:
            raise AddressError("http would leave the private network; use https")
    return addresses


def _is_public(address: IpAddress) -> bool:
    inner = _inside(address)
    if inner is not None:
        return _is_public(inner)
    if isinstance(address, ipaddress.IPv6Address) and (address in _NAT64_LOCAL or address.is_site_local):
        return False  # where an address of ours would be in the first, the network decides
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def _is_private(address: IpAddress) -> bool:
    inner = _inside(address)
    if inner is not None:
        return _is_private(inner)
    if address.is_loopback:
        return True
    if address.is_link_local or address.is_multicast or address.is_unspecified or address.is_reserved:
        return False  # where clouds answer questions about the machine, among others
    return address.is_private


def _inside(address: IpAddress) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address that an IPv6 address stands for: mapped, translated, tunnelled."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if address in _NAT64 or (address in _COMPATIBLE and int(address) > 1):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return None
