"""Protection against SSRF: a configured URL must not lead into the site's own network.

The name is resolved for each request, every address of it is checked, and the connection goes to a checked address,
not to the name. So a name that changes its address in between (DNS rebinding) gains nothing.
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
# Interface identifiers of ISATAP (RFC 5214), upper 32 of 64 bits; the lower 32 are an IPv4 address.
_ISATAP: Final = frozenset({0x0000_5EFE, 0x0200_5EFE})
_INSTANCE_METADATA: Final = ipaddress.IPv4Address("169.254.169.254")
_CLOUD_SERVICES: Final = tuple(
    ipaddress.ip_network(one)
    for one in (
        "169.254.0.0/16",  # instance metadata of most clouds, credentials of containers
        "168.63.129.16/32",  # Azure's platform channel (WireServer): a public address that is answered by the host
        "100.100.100.200/32",  # Alibaba
        "192.0.0.192/32",  # Oracle
        "fd00:ec2::/32",  # AWS: metadata (::254), credentials of pods (::23), name server, time server
        "fd20:ce::254/128",  # Google
        "fd00:c1::a9fe:a9fe/128",  # Oracle
        "fd00:100::100:200/128",  # Alibaba
        "fd00:42::42/128",  # Scaleway
        "fd00:a9fe:a9fe::1/128",  # Akamai
    )
)
"""Addresses at which a cloud gives the credentials of a machine to any program on it. They lie in private and public
networks, so no range of addresses covers them."""


class AddressError(RefusedError):
    """The name resolves to an address that is not allowed."""


@final
@dataclass(frozen=True, slots=True)
class Target:
    """The parts of a URL. `path` includes the query."""

    scheme: str
    host: str
    port: int
    path: str


def parse_target(url: str, *, allow_private: bool = False) -> Target:
    """Parse a URL.

    Raises:
        InputError: it is not a plain ``https`` URL; ``http`` needs `allow_private` and stays in the private network.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise InputError("got an address that is not a URL; expected https://host/path") from None
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
    """Resolve a name with the resolver of the machine.

    Raises:
        OSError: the name has no address.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return list(dict.fromkeys(str(one[4][0]) for one in found))


def checked_addresses(target: Target, *, allow_private: bool, resolve: Resolve = look_up) -> Sequence[IpAddress]:
    """Resolve the name and return its addresses, all of which are allowed.

    Raises:
        AddressError: an address is a metadata service of a cloud, or not public (with `allow_private`: neither public
            nor private), or ``http`` would leave the private network.
        OSError: the name has no address.

    Not checked: whether a private network has metadata at an address of its own choice, or translates an IPv6 prefix of
    its own to IPv4.
    """
    addresses = [ipaddress.ip_address(one.partition("%")[0]) for one in resolve(target.host, target.port)]
    if not addresses:
        raise OSError("no address")
    for one in addresses:
        if _is_cloud_service(one):
            raise AddressError("the address is a cloud's metadata service; it is refused also with --allow-private")
        public, private = _is_public(one), _is_private(one)
        if not (public or (private and allow_private)):
            raise AddressError("the address is in a private or reserved network; see --allow-private")
        if target.scheme == "http" and public:
            raise AddressError("http would leave the private network; use https")
    return addresses


def _is_cloud_service(address: IpAddress) -> bool:
    embedded = _embedded_ipv4(address)
    if embedded is not None and _is_cloud_service(embedded):
        return True
    # A network may translate any prefix of 96 bits to IPv4 (RFC 6052).
    translated = address.version == 6 and int(address) & 0xFFFFFFFF == int(_INSTANCE_METADATA)  # noqa: PLR2004  IPv6
    return translated or any(address in network for network in _CLOUD_SERVICES)


def _is_public(address: IpAddress) -> bool:
    embedded = _embedded_ipv4(address)
    if embedded is not None:
        return _is_public(embedded)
    if isinstance(address, ipaddress.IPv6Address) and (address in _NAT64_LOCAL or address.is_site_local):
        return False  # in the first, the network decides where the IPv4 address is embedded
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def _is_private(address: IpAddress) -> bool:
    embedded = _embedded_ipv4(address)
    if embedded is not None:
        return _is_private(embedded)
    if address.is_loopback:
        return True
    if address.is_link_local or address.is_multicast or address.is_unspecified or address.is_reserved:
        return False  # among others, clouds serve credentials at link-local addresses
    return address.is_private


def _embedded_ipv4(address: IpAddress) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address that an IPv6 address embeds (mapped, translated or tunnelled)."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    is_isatap = int(address) >> 32 & 0xFFFFFFFF in _ISATAP
    if address in _NAT64 or is_isatap or (address in _COMPATIBLE and int(address) > 1):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return None
