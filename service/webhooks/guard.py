"""Where outbound webhooks may go: which URLs are kept, and which addresses are connected to. Pure but for the resolver.

Whoever may add an endpoint must not be able to make the service knock inside the house (server-side request forgery).
The name is resolved anew for each attempt, every address that it has is judged, and the connection goes to the very
address that was judged (`service.webhooks.sending`): a name that changes its mind after the check changes nothing.
"""

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final, final
from urllib.parse import urlsplit

from consent import InputError, RefusedError, UnavailableError

MAX_URL_LENGTH: Final = 500

Resolve = Callable[[str, int], Sequence[str]]
"""Addresses of a host name, as text; raises OSError where there are none."""

_PORTS: Final = {"https": 443, "http": 80}
# Unicast that is handed out. Mapped, translated (NAT64), unique local, link-local and multicast all lie outside of it.
_HANDED_OUT: Final = ip_network("2000::/3")
# Inside, but leading elsewhere (Teredo, 6to4) or nowhere (documentation, relays).
_REFUSED: Final = tuple(
    ip_network(one)
    for one in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "192.0.0.0/24", "192.88.99.0/24")
)
_INSIDE: Final = tuple(
    ip_network(one)
    for one in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8", "::1/128", "fc00::/7")
)
# Where machines of a cloud ask for their credentials. 169.254.169.254 is link-local, and refused as such.
_METADATA: Final = frozenset({ip_address("fd00:ec2::254"), ip_address("100.100.100.200")})


class RefusedAddressError(RefusedError):
    """The name leads to where no webhook may go."""


@final
@dataclass(frozen=True, slots=True)
class Target:
    """A URL that may be kept, taken apart.

    Attributes:
        host: a name, or an address without brackets.
        path: with the query, as it stands in the request.
        inside: True if addresses of the house's own network are allowed.
    """

    secure: bool
    host: str
    port: int
    path: str
    inside: bool

    @property
    def authority(self) -> str:
        """What the request says in ``Host``."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS["https" if self.secure else "http"] else f"{host}:{self.port}"


def parse_target(url: str, *, allow_private: bool = False) -> Target:
    """Return where a URL leads.

    Args:
        url: ``https`` with a host; no name and password in it, no fragment, printable ASCII.
        allow_private: also ``http``, which then goes to addresses inside the house only.

    Raises:
        InputError: it is none of that. The message does not repeat it.

    Not checked: where its name leads, which only counts at the time of sending.
    """
    schemes = ("https", "http") if allow_private else ("https",)
    problem = f"got {len(url)} characters that no webhook goes to; expected {' or '.join(schemes)}://host/path"
    if len(url) > MAX_URL_LENGTH or not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise InputError(problem)
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise InputError(problem) from None
    if parts.scheme not in schemes or not host or "@" in parts.netloc or "#" in url or "%" in host or port == 0:
        raise InputError(problem + ", without a password, a fragment or a zone of an address")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme == "https", host, port or _PORTS[parts.scheme], path, allow_private)


def may_connect(address: str, *, inside: bool) -> bool:
    """Tell whether a webhook may go to an address.

    Args:
        address: IPv4 or IPv6, as text.
        inside: whether also loopback and private networks; link-local, multicast, reserved addresses, those that wrap
            another address and those of cloud metadata never.
    """
    try:
        found = ip_address(address)
    except ValueError:
        return False
    return _is_public(found) or (inside and _is_inside(found))


def addresses_of(target: Target, resolve: Resolve) -> list[str]:
    """Return the addresses to try, in the order of the resolver, all of them judged.

    Raises:
        RefusedAddressError: one of them is where no webhook may go. One is enough: an honest name has none.
        UnavailableError: the name has no address now.
    """
    try:
        found = list(resolve(target.host, target.port))
    except (OSError, UnicodeError):
        found = []
    if not found:
        raise UnavailableError("the endpoint's name has no address; look at the name servers, or mend the URL")
    for address in found:
        if not may_connect(address, inside=target.inside):
            raise RefusedAddressError(
                "the endpoint's name leads into a network that webhooks do not go to; give another, or allow private "
                "addresses for it"
            )
        if not target.secure and not _is_inside(ip_address(address)):
            raise RefusedAddressError("the endpoint has no TLS, and its name leads out of the house; use https")
    return found


def ask_the_machine(host: str, port: int) -> list[str]:
    """Resolve as the machine does. How long that takes is for the machine's resolver to say."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(where[0]) for *_, where in found))


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    if any(address in one for one in _REFUSED if one.version == address.version):
        return False
    if isinstance(address, IPv6Address) and address not in _HANDED_OUT:
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved) and address not in _METADATA


def _is_inside(address: IPv4Address | IPv6Address) -> bool:
    return address not in _METADATA and any(address in one for one in _INSIDE if one.version == address.version)
