"""Signatures of the Standard Webhooks specification: ``v1`` (HMAC-SHA256) and ``v1a`` (Ed25519).

A message is an id, a time in whole seconds since 1970, and a body. The signature covers ``id.time.body``; three headers
carry id, time and signatures. Pure: bytes in, a verified message or an exception out.
"""

import base64
import hmac
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, NoReturn, Self, final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from volens.consent import InputError, RefusedError

ID_HEADER: Final = "webhook-id"
TIME_HEADER: Final = "webhook-timestamp"
SIGNATURE_HEADER: Final = "webhook-signature"

REPLAY_WINDOW: Final = timedelta(minutes=5)
"""Largest difference between a message's time and ours, in both directions."""

SECRET_PREFIX: Final = "whsec_"  # noqa: S105  the prefix of secrets
PUBLIC_PREFIX: Final = "whpk_"
MIN_SECRET_BYTES: Final = 24
MAX_SECRET_BYTES: Final = 64
_KEY_BYTES: Final = 32
_MAX_SIGNATURES: Final = 16
# No full stop, because then the signed text could be split into id and time in more than one way.
_ID: Final = re.compile(r"[A-Za-z0-9_:-]{1,200}")
_TIME: Final = re.compile(r"[0-9]{1,12}")


class SignatureError(RefusedError):
    """The message is not signed by a registered sender. Missing, malformed and wrong signatures give the same error."""


class StaleError(RefusedError):
    """The signature is valid, but the time is too far from ours: a replay, or a wrong clock."""


@final
class SymmetricKey:
    """A shared secret for ``v1`` signatures. As text: ``whsec_`` and base64."""

    __slots__ = ("_buffer",)

    def __init__(self, value: bytes | bytearray) -> None:
        """Copy `value`, 24 to 64 bytes."""
        if not MIN_SECRET_BYTES <= len(value) <= MAX_SECRET_BYTES:
            raise ValueError(f"got a secret of {len(value)} bytes; expected {MIN_SECRET_BYTES} to {MAX_SECRET_BYTES}")
        self._buffer = bytearray(value)

    @property
    def buffer(self) -> bytearray:
        """The secret bytes, not a copy."""
        return self._buffer

    def reveal(self) -> str:
        """Return the secret as text, for the other party only."""
        return SECRET_PREFIX + base64.b64encode(self._buffer).decode("ascii")

    def signature(self, signed: bytes) -> str:
        """Return the ``v1`` signature of the bytes."""
        return "v1," + base64.b64encode(hmac.digest(self._buffer, signed, "sha256")).decode("ascii")

    def matches(self, signature: str, signed: bytes) -> bool:
        """Compare in constant time."""
        return hmac.compare_digest(self.signature(signed).encode("ascii"), signature.encode("ascii", "replace"))

    def wipe(self) -> None:
        """Overwrite the bytes with zeros."""
        self._buffer[:] = bytes(len(self._buffer))

    def __repr__(self) -> str:
        """Hide the bytes."""
        return "SymmetricKey(...)"

    def __reduce__(self) -> NoReturn:
        """Refuse pickling."""
        raise TypeError("a SymmetricKey is not pickled; use reveal()")


@final
class VerifyKey:
    """A public key that verifies ``v1a`` signatures. As text: ``whpk_`` and base64 of 32 bytes."""

    __slots__ = ("_key", "raw")

    def __init__(self, raw: bytes) -> None:
        """Take the 32 bytes of a public key."""
        self._key = Ed25519PublicKey.from_public_bytes(raw)
        self.raw = raw

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse the text of a public key.

        Raises:
            InputError: it is not a valid public key.
        """
        plain = text.strip()
        if plain.startswith(PUBLIC_PREFIX):
            with suppress(ValueError):  # not base64, or not 32 bytes
                return cls(base64.b64decode(plain.removeprefix(PUBLIC_PREFIX), validate=True))
        raise InputError(
            f"got {len(plain)} characters that are not a webhook public key; expected '{PUBLIC_PREFIX}' and "
            f"{_KEY_BYTES} bytes in base64"
        )

    def matches(self, signature: str, signed: bytes) -> bool:
        """Verify a ``v1a`` signature; False for any other version."""
        version, _, encoded = signature.partition(",")
        if version != "v1a":
            return False
        try:
            self._key.verify(base64.b64decode(encoded, validate=True), signed)
        except (InvalidSignature, ValueError):
            return False
        return True


@final
@dataclass(frozen=True, slots=True)
class VerifiedMessage:
    """A message with a valid signature.

    Attributes:
        at: the time in the message; within `REPLAY_WINDOW`.
        key: index of the key that signed it; the first one, if there are several.
    """

    message_id: str
    at: datetime
    body: bytes
    key: int


def sign(message_id: str, at: datetime, body: bytes, keys: Sequence[SymmetricKey]) -> dict[str, str]:
    """Return the three headers of a message, with one signature for each key.

    Raises:
        ValueError: the id has characters other than letters, digits, ``_``, ``:`` and ``-``, or more than 200.
    """
    if _ID.fullmatch(message_id) is None:
        raise ValueError("got an id that cannot be signed; expected 1 to 200 letters, digits, '_', ':' or '-'")
    seconds = str(int(at.timestamp()))
    signed = _signed(message_id, seconds, body)
    return {
        ID_HEADER: message_id,
        TIME_HEADER: seconds,
        SIGNATURE_HEADER: " ".join(key.signature(signed) for key in keys),
    }


def verify(
    headers: Mapping[str, str], body: bytes, keys: Sequence[SymmetricKey | VerifyKey], now: datetime
) -> VerifiedMessage:
    """Verify a message: signed by one of the keys, and recent.

    1. The three headers are present and well-formed.
    2. One signature is by one of the keys. All keys are tried, also after a match (constant time).
    3. Its time is within `REPLAY_WINDOW` of `now`. Only the true sender learns that it is not.

    Args:
        headers: with names in lower case.
        body: the received bytes, unchanged.
        keys: the keys of all senders, including the old ones of a rotation.
        now: aware.

    Raises:
        SignatureError: 1 or 2 fails.
        StaleError: 3 fails.

    Not checked: whether the message was received before. The caller compares its id.
    """
    # 1.
    message_id, seconds = headers.get(ID_HEADER, ""), headers.get(TIME_HEADER, "")
    signatures = headers.get(SIGNATURE_HEADER, "").split(" ")
    if _ID.fullmatch(message_id) is None or _TIME.fullmatch(seconds) is None or len(signatures) > _MAX_SIGNATURES:
        raise _unknown_sender()
    # 2.
    signed = _signed(message_id, seconds, body)
    matched = [any([key.matches(one, signed) for one in signatures]) for key in keys]  # noqa: C419  all of them, not only up to the first match
    if True not in matched:
        raise _unknown_sender()
    # 3.
    apart_s, window_s = abs(int(now.timestamp()) - int(seconds)), int(REPLAY_WINDOW.total_seconds())
    if apart_s > window_s:
        raise StaleError(
            f"got a message signed {apart_s} s from now; expected at most {window_s}; correct the clocks, and send it "
            "with a new signature"
        )
    return VerifiedMessage(message_id, datetime.fromtimestamp(int(seconds), UTC), body, matched.index(True))


def _signed(message_id: str, seconds: str, body: bytes) -> bytes:
    return f"{message_id}.{seconds}.".encode("ascii") + body


def _unknown_sender() -> SignatureError:
    return SignatureError(
        "got a message that is not signed by a registered sender; check the secret, and that the body is sent unchanged"
    )
