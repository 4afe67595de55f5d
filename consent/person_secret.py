"""The person's half of a consent's key: 32 random bytes in a file or a QR in the person's hands, and nowhere else."""

import base64
import binascii
import hmac
from collections.abc import Callable
from hashlib import sha256
from typing import Final, NoReturn, Self, final

from volens.consent.errors import InputError
from volens.consent.ids import ReceiptId

SECRET_BYTES: Final = 32
TEXT_PREFIX: Final = "VOLENS-SECRET:"
_CHECK_BYTES: Final = 3
_TEXT_LENGTH: Final = (SECRET_BYTES + _CHECK_BYTES) * 8 // 5
_IGNORED: Final = str.maketrans("", "", "- \t\r\n")


@final
class PersonSecret:
    """A secret that the site never keeps. Use it as a context manager, or call `wipe` when it was used.

    Written down it is ``VOLENS-SECRET:`` and 56 letters and digits of base 32 (RFC 4648), the last of which tell a
    misread one.
    """

    __slots__ = ("_buffer",)

    def __init__(self, value: bytes | bytearray) -> None:
        """Copy `value`, exactly 32 bytes."""
        if len(value) != SECRET_BYTES:
            raise ValueError(f"got a secret of {len(value)} bytes; expected {SECRET_BYTES}")
        self._buffer = bytearray(value)

    @classmethod
    def generate(cls, random: Callable[[int], bytes]) -> Self:
        """Make a new one from `random`, a function that returns n random bytes."""
        return cls(random(SECRET_BYTES))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the text of the file or the QR.

        Raises:
            InputError: it is no such secret, or was misread. The message does not repeat it.
        """
        plain = text.strip().upper().removeprefix(TEXT_PREFIX).translate(_IGNORED)
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

    @property
    def buffer(self) -> bytearray:
        """The bytes themselves, not a copy."""
        return self._buffer

    def reveal(self) -> str:
        """Return the text for the person's file and QR only."""
        return TEXT_PREFIX + base64.b32encode(bytes(self._buffer) + _check(self._buffer)).decode("ascii")

    def commitment(self, receipt_id: ReceiptId) -> bytes:
        """Return the 32 bytes that the site keeps; no salt, for 256 random bits cannot be guessed."""
        return sha256(b"volens person secret v1\0" + receipt_id.encode("ascii") + b"\0" + self._buffer).digest()

    def matches(self, commitment: bytes, receipt_id: ReceiptId) -> bool:
        """Compare with a kept commitment in constant time."""
        return hmac.compare_digest(self.commitment(receipt_id), commitment)

    def wipe(self) -> None:
        """Overwrite the bytes with zeros."""
        self._buffer[:] = bytes(SECRET_BYTES)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.wipe()

    def __repr__(self) -> str:
        """Say nothing about the bytes."""
        return "PersonSecret(...)"

    def __reduce__(self) -> NoReturn:
        """Refuse pickling."""
        raise TypeError("a PersonSecret is not pickled; use reveal()")


def _check(value: bytes | bytearray) -> bytes:
    return sha256(b"volens person secret check v1\0" + value).digest()[:_CHECK_BYTES]
