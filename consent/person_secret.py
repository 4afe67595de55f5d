"""The person's half of a consent's key: 32 random bytes in a file or a QR that only the person has."""

import base64
import binascii
import hmac
from collections.abc import Callable
from hashlib import sha256
from typing import Final, Self, final

from volens.consent.errors import InputError
from volens.consent.ids import ReceiptId
from volens.consent.in_process import WipedBuffer
from volens.consent.typed_text import parse_code

SECRET_BYTES: Final = 32
TEXT_PREFIX: Final = "VOLENS-SECRET:"
_CHECK_BYTES: Final = 3
_BETWEEN: Final = "- \t\r\n"
_TEXT_LENGTH: Final = (SECRET_BYTES + _CHECK_BYTES) * 8 // 5


@final
class PersonSecret(WipedBuffer):
    """A secret that the site never keeps.

    As text it is ``VOLENS-SECRET:`` and 56 letters and digits of base 32 (RFC 4648), the last of which are a checksum.
    """

    __slots__ = ()

    def __init__(self, value: bytes | bytearray) -> None:
        if len(value) != SECRET_BYTES:
            raise ValueError(f"got a secret of {len(value)} bytes; expected {SECRET_BYTES}")
        super().__init__(value)

    @classmethod
    def generate(cls, random: Callable[[int], bytes]) -> Self:
        """Return a new secret from `random`, a function that returns n random bytes."""
        return cls(random(SECRET_BYTES))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the text of the file or the QR.

        Raises:
            InputError: the text is not such a secret, or was misread. The message does not repeat it.
        """
        plain = parse_code(text, _BETWEEN).upper().removeprefix(parse_code(TEXT_PREFIX))
        try:
            data = base64.b32decode(plain) if len(plain) == _TEXT_LENGTH else b""
        except (binascii.Error, ValueError):
            data = b""
        value, check = data[:SECRET_BYTES], data[SECRET_BYTES:]
        if not data or check != _check(value):
            raise InputError(
                f"got a secret of {len(plain)} characters that is cut off or misread; expected {_TEXT_LENGTH} letters "
                "and digits, as in the file or QR that the person took home"
            )
        return cls(value)

    def reveal(self) -> str:
        """Return the text, for the person's file and QR only."""
        return TEXT_PREFIX + base64.b32encode(bytes(self._buffer) + _check(self._buffer)).decode("ascii")

    def commitment(self, receipt_id: ReceiptId) -> bytes:
        """Return the 32 bytes that the site keeps; unsalted, because 256 random bits cannot be guessed."""
        return sha256(b"volens person secret v1\0" + receipt_id.encode("ascii") + b"\0" + self._buffer).digest()

    def matches(self, commitment: bytes, receipt_id: ReceiptId) -> bool:
        """Compare with a stored commitment in constant time."""
        return hmac.compare_digest(self.commitment(receipt_id), commitment)


def _check(value: bytes | bytearray) -> bytes:
    return sha256(b"volens person secret check v1\0" + value).digest()[:_CHECK_BYTES]
