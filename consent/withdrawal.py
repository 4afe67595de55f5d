"""The withdrawal code: a one-time secret that ends a consent without any login (GDPR 7(3))."""

import hmac
from collections.abc import Callable
from enum import StrEnum
from hashlib import sha256
from typing import Final, Self, final

from volens.consent.errors import InputError
from volens.consent.in_process import InProcess
from volens.consent.relying_party import RelyingParty
from volens.consent.typed_text import parse_code

_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford: no I, L, O, U
_BITS: Final = 130
_LENGTH: Final = _BITS // 5
_BETWEEN: Final = "- \t\r\n"
_MISREAD: Final = str.maketrans("ILO", "110")
QR_PREFIX: Final = "VOLENS-WITHDRAW:"
MY_DATA_PATH: Final = "/me"
"""The page of a site on which a person sees and ends a consent. The code is in the fragment of its address."""
_FRAGMENT: Final = f"{MY_DATA_PATH}#"


class EndReason(StrEnum):
    """Why a consent ended: the person's act, an expiry clock, a renewal, an order, a lost key, or a removed zone.

    The person's own act is a withdrawal with receipt or code (GDPR 7(3)), or a request for erasure at the desk
    (GDPR 17(1)(b)), such as after losing both.
    """

    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    RETENTION = "retention"
    INACTIVE = "inactive"
    LEFT = "left"
    SUPERSEDED = "superseded"
    RENEWED = "renewed"
    ORDERED = "ordered"
    LOST = "lost"
    REQUESTED = "requested"
    ZONE_REMOVED = "zone_removed"


@final
class WithdrawalCode(InProcess):
    """26 Crockford base-32 characters with 130 random bits. The site keeps only `digest`."""

    __slots__ = ("_text",)

    def __init__(self, canonical: str) -> None:
        """Wrap canonical text; call `generate` or `parse` instead."""
        self._text = canonical

    @classmethod
    def generate(cls, random: Callable[[int], bytes]) -> Self:
        """Return a new code from `random`, a function that returns n random bytes."""
        number = int.from_bytes(random(17)) >> (17 * 8 - _BITS)
        return cls("".join(_ALPHABET[(number >> (5 * i)) & 31] for i in reversed(range(_LENGTH))))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a code as a person types it, or the text of the QR: the code with its prefix, or the address of a page.

        Any case, O for 0, I or L for 1, and what `volens.consent.typed_text.parse_code` reads. Of an address only the
        fragment counts; which site it is of is not checked, because a site may have moved.

        Raises:
            InputError: the text is not a withdrawal code. The message does not repeat it.
        """
        code = parse_code(_without_address(text), _BETWEEN).upper()
        plain = code.removeprefix(parse_code(QR_PREFIX)).translate(_MISREAD)
        if len(plain) != _LENGTH or any(c not in _ALPHABET for c in plain):
            raise InputError(
                f"got a withdrawal code of {len(plain)} characters; expected {_LENGTH} letters and digits, as on the "
                "receipt that the person took home"
            )
        return cls(plain)

    def reveal(self) -> str:
        """Return the code in groups of up to five, for the person's receipt only."""
        return "-".join(self._text[i : i + 5] for i in range(0, _LENGTH, 5))

    def qr_text(self, site: RelyingParty | None = None) -> str:
        """Return the text of the QR code on the receipt: `address`, or the code with its prefix without a site."""
        return QR_PREFIX + self._text if site is None else self.address(site)

    def address(self, site: RelyingParty) -> str:
        """Return the address of the person's own page.

        The code is in the fragment, which browsers do not send (RFC 3986 section 3.5), so that no log has it.
        """
        return f"{site.origin}{_FRAGMENT}{self._text}"

    def digest(self) -> bytes:
        """Return the 32 bytes that the site keeps; unsalted, because 130 random bits cannot be guessed."""
        return sha256(b"volens withdrawal code v1\0" + self._text.encode("ascii")).digest()

    def matches(self, digest: bytes) -> bool:
        """Compare with a stored digest in constant time."""
        return hmac.compare_digest(self.digest(), digest)


def is_code_text(text: str) -> bool:
    """Return whether the text of a QR code is that of a withdrawal code, to tell it from other codes in a picture."""
    return text.upper().startswith(QR_PREFIX) or _without_address(text) != text


def _without_address(text: str) -> str:
    """Return the fragment of the address of a person's page, and any other text as it is."""
    address, found, code = text.partition("#")
    path = address.partition("?")[0].rstrip("/").lower()
    is_page = path.lstrip().startswith(("https://", "http://")) and path.endswith(MY_DATA_PATH)
    return code if found and is_page else text
