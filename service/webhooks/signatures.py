"""Signatures of webhooks after the Standard Webhooks specification: ``v1`` (HMAC-SHA256) and ``v1a`` (Ed25519).

A message is an id, a time in whole seconds since 1970, and a body. What is signed is ``id.time.body``; three headers
carry id, time and signatures. Pure: bytes in, a verified message or an exception out.
"""

import base64
import binascii
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, NoReturn, Self, final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from volens.consent import InputError, RefusedError

ID_HEADER: Final = "webhook-id"
TIME_HEADER: Final = "webhook-timestamp"
SIGNATURE_HEADER: Final = "webhook-signature"

REPLAY_WINDOW: Final = timedelta(minutes=5)
"""How far a message's time may be from ours, either way."""

SECRET_PREFIX: Final = "whsec_"  # noqa: S105  what secrets begin with
PUBLIC_PREFIX: Final = "whpk_"
MIN_SECRET_BYTES: Final = 24
MAX_SECRET_BYTES: Final = 64
_SEED_BYTES: Final = 32
_MAX_SIGNATURES: Final = 16
# No full stop, which would let an id and a time be cut in another place than where the sender joined them.
_ID: Final = re.compile(r"[A-Za-z0-9_:-]{1,200}")
_TIME: Final = re.compile(r"[0-9]{1,12}")


class SignatureError(RefusedError):
    """The message is not by a sender that is known here. Missing, malformed and wrong signatures are one answer."""


class StaleError(RefusedError):
    """The message is rightly signed, but from another time: a replay, or a clock that is wrong."""


@final
class SymmetricKey:
    """A secret that sender and receiver share; ``v1``. Written down: ``whsec_`` and base64."""

    __slots__ = ("_buffer",)

    def __init__(self, value: bytes | bytearray) -> None:
        """Copy `value`, 24 to 64 bytes."""
        if not MIN_SECRET_BYTES <= len(value) <= MAX_SECRET_BYTES:
            raise ValueError(f"got a secret of {len(value)} bytes; expected {MIN_SECRET_BYTES} to {MAX_SECRET_BYTES}")
        self._buffer = bytearray(value)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a secret as senders show it.

        Raises:
            InputError: it is none. The message does not repeat it.
        """
        value = _decoded(text, SECRET_PREFIX)
        if value is None or not MIN_SECRET_BYTES <= len(value) <= MAX_SECRET_BYTES:
            raise InputError(
                f"got {len(text.strip())} characters that are no webhook secret; expected '{SECRET_PREFIX}' and "
                f"{MIN_SECRET_BYTES} to {MAX_SECRET_BYTES} bytes in base64"
            )
        return cls(value)

    @property
    def buffer(self) -> bytearray:
        """The bytes themselves, not a copy."""
        return self._buffer

    def reveal(self) -> str:
        """Return the text, for the other side only."""
        return SECRET_PREFIX + base64.b64encode(self._buffer).decode("ascii")

    def signature(self, signed: bytes) -> str:
        """Return the ``v1`` signature of some bytes."""
        return "v1," + base64.b64encode(hmac.digest(self._buffer, signed, "sha256")).decode("ascii")

    def matches(self, signature: str, signed: bytes) -> bool:
        """Compare in constant time."""
        return hmac.compare_digest(self.signature(signed).encode("ascii"), signature.encode("ascii", "replace"))

    def wipe(self) -> None:
        """Overwrite the bytes with zeros."""
        self._buffer[:] = bytes(len(self._buffer))

    def __repr__(self) -> str:
        """Say nothing about the bytes."""
        return "SymmetricKey(...)"

    def __reduce__(self) -> NoReturn:
        """Refuse pickling."""
        raise TypeError("a SymmetricKey is not pickled; use reveal()")


@final
class VerifyKey:
    """The public half of a key that signs ``v1a``. Written down: ``whpk_`` and base64 of 32 bytes."""

    __slots__ = ("_key", "raw")

    def __init__(self, raw: bytes) -> None:
        """Take the 32 bytes of a public key."""
        self._key = Ed25519PublicKey.from_public_bytes(raw)
        self.raw = raw

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a public key as senders show it.

        Raises:
            InputError: it is none.
        """
        raw = _decoded(text, PUBLIC_PREFIX)
        if raw is None or len(raw) != _SEED_BYTES:
            raise InputError(
                f"got {len(text.strip())} characters that are no public key of a webhook; expected '{PUBLIC_PREFIX}' "
                f"and {_SEED_BYTES} bytes in base64"
            )
        return cls(raw)

    def text(self) -> str:
        """Return the key as others read it."""
        return PUBLIC_PREFIX + base64.b64encode(self.raw).decode("ascii")

    def matches(self, signature: str, signed: bytes) -> bool:
        """Verify a ``v1a`` signature; False where it is none."""
        version, _, encoded = signature.partition(",")
        if version != "v1a":
            return False
        try:
            self._key.verify(base64.b64decode(encoded, validate=True), signed)
        except (InvalidSignature, ValueError):
            return False
        return True


@final
class SigningKey:
    """A key that signs ``v1a``."""

    __slots__ = ("_key",)

    def __init__(self, key: Ed25519PrivateKey) -> None:
        """Use `from_seed`."""
        self._key = key

    @classmethod
    def from_seed(cls, seed: bytes | bytearray) -> Self:
        """Make the key of 32 secret bytes."""
        return cls(Ed25519PrivateKey.from_private_bytes(bytes(seed)))

    @property
    def public(self) -> VerifyKey:
        """What receivers verify with."""
        return VerifyKey(self._key.public_key().public_bytes_raw())

    def signature(self, signed: bytes) -> str:
        """Return the ``v1a`` signature of some bytes."""
        return "v1a," + base64.b64encode(self._key.sign(signed)).decode("ascii")

    def __repr__(self) -> str:
        """Say nothing about the key."""
        return "SigningKey(...)"

    def __reduce__(self) -> NoReturn:
        """Refuse pickling."""
        raise TypeError("a SigningKey is not pickled")


@final
@dataclass(frozen=True, slots=True)
class VerifiedMessage:
    """A message by a sender that is known.

    Attributes:
        at: when the sender says it was sent; within `REPLAY_WINDOW`.
        key: which of the keys signed it, as an index; the first, if several did.
    """

    message_id: str
    at: datetime
    body: bytes
    key: int


def sign(message_id: str, at: datetime, body: bytes, keys: Sequence[SymmetricKey | SigningKey]) -> dict[str, str]:
    """Return the three headers of a message, with a signature by each key.

    Raises:
        ValueError: the id has other characters than letters, digits, ``_``, ``:`` and ``-``, or more than 200.
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
    """Return the message if one of the keys signed it, just now.

    1. The three headers are there and well formed.
    2. A signature is by one of the keys. All keys are tried, whichever holds.
    3. Its time is within `REPLAY_WINDOW` of `now`. Only the true sender learns that it is not.

    Args:
        headers: by their names in lower case.
        body: as it came, byte for byte.
        keys: of all senders, the old ones of a rotation too.
        now: aware.

    Raises:
        SignatureError: 1 or 2 fails.
        StaleError: 3 fails.

    Not checked: that a message came before. Whoever acts on it asks for its id.
    """
    # 1.
    message_id, seconds = headers.get(ID_HEADER, ""), headers.get(TIME_HEADER, "")
    signatures = headers.get(SIGNATURE_HEADER, "").split(" ")
    if _ID.fullmatch(message_id) is None or _TIME.fullmatch(seconds) is None or len(signatures) > _MAX_SIGNATURES:
        raise _unknown_sender()
    # 2.
    signed = _signed(message_id, seconds, body)
    held = [any([key.matches(one, signed) for one in signatures]) for key in keys]  # noqa: C419  all, not until one holds
    if True not in held:
        raise _unknown_sender()
    # 3.
    apart_s, window_s = abs(int(now.timestamp()) - int(seconds)), int(REPLAY_WINDOW.total_seconds())
    if apart_s > window_s:
        raise StaleError(
            f"got a message signed {apart_s} s from now; expected at most {window_s}; set the clocks, and send it "
            "signed anew"
        )
    return VerifiedMessage(message_id, datetime.fromtimestamp(int(seconds), UTC), body, held.index(True))


def _signed(message_id: str, seconds: str, body: bytes) -> bytes:
    return f"{message_id}.{seconds}.".encode("ascii") + body


def _decoded(text: str, prefix: str) -> bytes | None:
    plain = text.strip()
    if not plain.startswith(prefix):
        return None
    try:
        return base64.b64decode(plain.removeprefix(prefix), validate=True)
    except (binascii.Error, ValueError):
        return None


def _unknown_sender() -> SignatureError:
    return SignatureError(
        "got a message that no sender known here has signed; check its secret, and that it is sent whole"
    )
