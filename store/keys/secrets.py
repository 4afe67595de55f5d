"""Secrets as types: each in a buffer of its own that can be zeroed, none with a way into a log or a pickle.

Zeroing is best effort: Python and the libraries below may have made copies (LIMITATIONS.md).
"""

import hmac
from collections.abc import Callable
from typing import Final, NoReturn, Self, final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from volens.consent import PersonSecret
from volens.store.files.page_lock import lock_page

KEY_BYTES: Final = 32
_RECLAIMED: Final = 8
Random = Callable[[int], bytes]
"""A function that returns n cryptographically random bytes; `os.urandom` in production."""


class Secret:
    """32 secret bytes. Use as a context manager, or call `wipe`, so that they do not outlive their use."""

    __slots__ = ("_buffer",)

    def __init__(self, value: bytes | bytearray) -> None:
        """Copy `value`, exactly 32 bytes."""
        if len(value) != KEY_BYTES:
            raise ValueError(f"got a secret of {len(value)} bytes; expected {KEY_BYTES}")
        self._buffer = bytearray(value)

    @classmethod
    def generate(cls, random: Random) -> Self:
        """Make a new secret."""
        return cls(random(KEY_BYTES))

    @property
    def buffer(self) -> bytearray:
        """The bytes themselves, not a copy."""
        return self._buffer

    def wipe(self) -> None:
        """Overwrite the bytes with zeros."""
        self._buffer[:] = bytes(KEY_BYTES)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.wipe()

    def __eq__(self, other: object) -> bool:
        """Compare in constant time, with a secret of the same kind only."""
        if not isinstance(other, Secret) or type(other) is not type(self):
            return NotImplemented
        return hmac.compare_digest(self.buffer, other.buffer)

    __hash__ = None  # type: ignore[assignment]  # a secret is no dictionary key

    def __repr__(self) -> str:
        """Say nothing about the bytes."""
        return f"{type(self).__name__}(...)"

    def __reduce__(self) -> NoReturn:
        """Refuse pickling."""
        raise TypeError(f"a {type(self).__name__} is not pickled")


def _derive(key: bytearray, salt: bytes, info: bytes, into: bytearray) -> None:
    HKDF(SHA256(), KEY_BYTES, salt=salt, info=info).derive_into(key, into)
    # The library works in `bytes` objects of this size and frees them as they are. Whoever asks next for this size gets
    # the same memory, so we ask, for more than it used, and are given it zeroed (found by a search of our own memory).
    [bytes(KEY_BYTES) for _ in range(_RECLAIMED)]


class LongLivedSecret(Secret):
    """A secret that stays open as long as a process runs, and is therefore kept from the swap where that is allowed."""

    __slots__ = ()

    def __init__(self, value: bytes | bytearray) -> None:
        """Copy `value`, exactly 32 bytes, and lock the memory it lies in."""
        super().__init__(value)
        lock_page(self._buffer)


@final
class RootKey(LongLivedSecret):
    """Unlocks the store key. Lives outside the store: in a file, or later in a key service."""

    __slots__ = ()


@final
class StoreKey(LongLivedSecret):
    """Wraps grant secrets and the site's signing key; the gallery's projection is derived from it."""

    __slots__ = ()

    def projection_seed(self, model_id: str) -> bytes:
        """Return 32 bytes from which the keyed rotations of one model's gallery are made."""
        seed = bytearray(KEY_BYTES)
        _derive(self.buffer, b"", b"volens gallery projection v1|" + model_id.encode(), seed)
        return bytes(seed)


@final
class ReferenceKey(Secret):
    """Seals one person's embedding of one model."""

    __slots__ = ()


@final
class ProfileKey(Secret):
    """Seals one person's name."""

    __slots__ = ()


@final
class SnapshotKey(Secret):
    """Seals one snapshot of a gallery; destroyed with the next erasure."""

    __slots__ = ()


@final
class DerivedKey(Secret):
    """A key of the site for one use, derived from its signing key: the same after every rotation, and kept nowhere."""

    __slots__ = ()

    @classmethod
    def of(cls, signing_seed: bytes, use: str) -> Self:
        """Derive the key of a use, a text that no other use has (RFC 5869)."""
        key, seed = cls(bytes(KEY_BYTES)), bytearray(signing_seed)
        _derive(seed, b"", b"volens derived key v1|" + use.encode(), key.buffer)
        seed[:] = bytes(len(seed))
        return key


@final
class GrantSecret(Secret):
    """The 32 random bytes of one consent. Destroy them and nothing sealed under this consent opens again, anywhere.

    Where the person holds the key, this is the site's half: it opens the name, but no embedding.
    """

    __slots__ = ()

    def joined(self, person: PersonSecret) -> "GrantSecret":
        """Return the secret that both halves make; the caller wipes it. Either half alone says nothing about it."""
        halves = person.buffer + self.buffer
        whole = GrantSecret(bytes(KEY_BYTES))
        _derive(halves, b"", b"volens split grant secret v1", whole.buffer)
        halves[:] = bytes(len(halves))
        return whole

    def reference_key(self, receipt_sha256: bytes, model_id: str) -> ReferenceKey:
        """Derive the key for the embedding; another receipt or model means another key (RFC 5869)."""
        key = ReferenceKey(bytes(KEY_BYTES))
        _derive(self.buffer, receipt_sha256, b"volens reference key v1|" + model_id.encode(), key.buffer)
        return key

    def profile_key(self, receipt_sha256: bytes) -> ProfileKey:
        """Derive the key for the name."""
        key = ProfileKey(bytes(KEY_BYTES))
        _derive(self.buffer, receipt_sha256, b"volens profile key v1", key.buffer)
        return key
