"""The relying party: the public address of a site's pages, to which passkeys and receipts are bound (WebAuthn)."""

import re
from dataclasses import dataclass
from typing import Final, Self, final
from urllib.parse import urlsplit

from volens.consent.errors import InputError
from volens.consent.typed_text import parse_text

_MAX_LENGTH: Final = 200
_HOST: Final = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)(\.(?!-)[a-z0-9-]{1,63}(?<!-))*")
_LOCAL: Final = "localhost"
_PORTS: Final = {"https": 443, "http": 80}
_EXPECTED: Final = (
    "expected https:// with a host name and no path, such as https://doors.example.com (http:// only for localhost)"
)


@final
@dataclass(frozen=True, slots=True)
class RelyingParty:
    """The site as browsers see it; see `parse`.

    Attributes:
        origin: ASCII serialization of the origin (RFC 6454 section 6.2), such as ``https://doors.example.com``. It is
            what a browser states in the client data of a signature.
    """

    origin: str

    @property
    def rp_id(self) -> str:
        """The relying party id: the host name, without the port (WebAuthn Level 3, section 5.1.2)."""
        return urlsplit(self.origin).hostname or ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the public address of a site.

        Raises:
            InputError: it is not https with a host name (browsers make no passkeys for IP addresses, and none without
                TLS, except for localhost), or it has a path, a query, a user or a fragment.
        """
        try:
            parts = urlsplit(parse_text(text, "a public address", _MAX_LENGTH))
            host, port = parts.hostname or "", parts.port
        except ValueError:
            raise InputError(f"got a public address that is not a URL; {_EXPECTED}") from None
        is_plain = parts.path in {"", "/"} and not (parts.query or parts.fragment or "@" in parts.netloc)
        is_allowed = parts.scheme == "https" or (parts.scheme == "http" and host == _LOCAL)
        is_name = _HOST.fullmatch(host) is not None and not host.rpartition(".")[2].isdigit()
        if not (is_plain and is_allowed and is_name):
            raise InputError(f"got a public address that browsers make no passkeys for; {_EXPECTED}")
        suffix = "" if port is None or port == _PORTS[parts.scheme] else f":{port}"
        return cls(f"{parts.scheme}://{host}{suffix}")
