"""The withdrawal code: a one-time secret that ends a consent without any login (GDPR 7(3))."""

import hmac
from collections.abc import Callable
from enum import StrEnum
from hashlib import sha256
from typing import Final, Self, final

from volens.consent.errors import InputError
from volens.consent.in_process import InProcess
from volens.consent.typed_text import parse_code

_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford: no I, L, O, U
_BITS: Final = 130
_LENGTH: Final = _BITS // 5
_BETWEEN: Final = "- \t\r\n"
_MISREAD: Final = str.maketrans("ILO", "110")
QR_PREFIX: Final = "VOLENS-WITHDRAW:"


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
        """Read a code as a person types it, or the text of the QR.

        Any case, O for 0, I or L for 1, and what `volens.consent.typed_text.parse_code` reads.

        Raises:
            InputError: the text is not a withdrawal code. The message does not repeat it.
        """
        plain = parse_code(text, _BETWEEN).upper().removeprefix(parse_code(QR_PREFIX)).translate(_MISREAD)
        if len(plain) != _LENGTH or any(c not in _ALPHABET for c in plain):
            raise InputError(
                f"got a withdrawal code of {len(plain)} characters; expected {_LENGTH} letters and digits, as on the "
                "receipt that the person took home"
            )
        return cls(plain)

    def reveal(self) -> str:
        """Return the code in groups of up to five, for the person's receipt only."""
        return "-".join(self._text[i : i + 5] for i in range(0, _LENGTH, 5))

    def qr_text(self) -> str:
        """Return the text of the QR code on the receipt."""
        return QR_PREFIX + self._text

    def digest(self) -> bytes:
        """Return the 32 bytes that the site keeps; unsalted, because 130 random bits cannot be guessed."""
        return sha256(b"volens withdrawal code v1\0" + self._text.encode("ascii")).digest()

    def matches(self, digest: bytes) -> bool:
        """Compare with a stored digest in constant time."""
        return hmac.compare_digest(self.digest(), digest)
