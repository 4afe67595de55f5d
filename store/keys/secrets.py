"""Secret types: each secret is in its own buffer that can be zeroed, and cannot be logged or pickled.

Zeroing is best effort: Python and the libraries below may have made copies (LIMITATIONS.md).
"""

import hmac
from collections.abc import Callable
from typing import Final, Self, TypeVar, final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from volens.consent import PersonSecret
from volens.consent.in_process import WipedBuffer
from volens.store.files.page_lock import lock_page

KEY_BYTES: Final = 32
_ALLOCATIONS: Final = 8
Random = Callable[[int], bytes]
"""A function that returns n cryptographically random bytes; `os.urandom` in production."""


class Secret(WipedBuffer):
    """32 secret bytes, copied. Use it as a context manager, or call `wipe`: they must not remain after their use."""

    __slots__ = ()

    def __init__(self, value: bytes | bytearray) -> None:
        if len(value) != KEY_BYTES:
            raise ValueError(f"got a secret of {len(value)} bytes; expected {KEY_BYTES}")
        super().__init__(value)

    @classmethod
    def generate(cls, random: Random) -> Self:
        """Make a new secret."""
        secret = cls(random(KEY_BYTES))
        _reuse_freed_memory()
        return secret

    def __eq__(self, other: object) -> bool:
        """Compare in constant time, with a secret of the same kind only."""
        if not isinstance(other, Secret) or type(other) is not type(self):
            return NotImplemented
        return hmac.compare_digest(self.buffer, other.buffer)

    __hash__ = None  # type: ignore[assignment]  # a secret is no dictionary key


Derived = TypeVar("Derived", bound=Secret)


def _derived(kind: type[Derived], key: bytearray, salt: bytes, info: bytes) -> Derived:
    derived = kind(bytes(KEY_BYTES))
    HKDF(SHA256(), KEY_BYTES, salt=salt, info=info).derive_into(key, derived.buffer)
    _reuse_freed_memory()
    return derived


def _reuse_freed_memory() -> None:
    """Overwrite `bytes` objects of the size of a key, which a library has just freed without wiping.

    The next allocations of this size get the same memory, so we allocate more zeroed objects than it used (found by a
    search of our own memory).
    """
    [bytes(KEY_BYTES) for _ in range(_ALLOCATIONS)]


class LongLivedSecret(Secret):
    """A secret that a process keeps as long as it runs; its memory is locked against swapping where that is allowed."""

    __slots__ = ()

    def __init__(self, value: bytes | bytearray) -> None:
        super().__init__(value)
        lock_page(self._buffer)


@final
class RootKey(LongLivedSecret):
    """Unlocks the store key. It is kept outside the store: in a file, an OS keyring or a key service."""

    __slots__ = ()


@final
class StoreKey(LongLivedSecret):
    """Wraps the bucket keys and the keys of the site. Each erasure makes a new one and destroys the old one."""

    __slots__ = ()


@final
class BucketKey(LongLivedSecret):
    """Wraps the grant secrets of one bucket: of at most 256 consents."""

    __slots__ = ()


@final
class ProjectionKey(LongLivedSecret):
    """The key from which the projections of the galleries are derived."""

    __slots__ = ()

    def projection_seed(self, model_id: str) -> bytes:
        """Return 32 bytes from which the keyed rotations of one model's gallery are generated."""
        return bytes(_derived(Secret, self.buffer, b"", b"volens gallery projection v1|" + model_id.encode()).buffer)


@final
class AuthenticationKey(LongLivedSecret):
    """The key from which the site's HMAC keys are derived, one for each use."""

    __slots__ = ()

    def derived_key(self, use: str) -> "DerivedKey":
        """Derive the key of a use; the text must be unique to that use (RFC 5869). The caller wipes it."""
        return _derived(DerivedKey, self.buffer, b"", b"volens derived key v1|" + use.encode())


@final
class LeaseKey(LongLivedSecret):
    """Seals the references of one lease, for the door that holds it; the site does not keep it."""

    __slots__ = ()


@final
class ReferenceKey(Secret):
    """Seals one person's embedding of one model."""

    __slots__ = ()


@final
class ProfileKey(Secret):
    """Seals one person's name, and their badge number at a panel."""

    __slots__ = ()


@final
class CountsKey(Secret):
    """Seals the counts of one person's comparison scores with one model."""

    __slots__ = ()


@final
class SnapshotKey(Secret):
    """Seals one snapshot of a gallery; destroyed with the next erasure."""

    __slots__ = ()


@final
class DerivedKey(Secret):
    """A key of the site for one use: the same after every rotation, and never stored."""

    __slots__ = ()


@final
class GrantSecret(Secret):
    """The 32 random bytes of one consent. Once destroyed, nothing that is sealed under this consent opens again.

    Where the person holds the key, this is the site's half: it opens the name, but no embedding.
    """

    __slots__ = ()

    def joined(self, person: PersonSecret) -> "GrantSecret":
        """Return the secret made of both halves; the caller wipes it. One half alone reveals nothing about it."""
        halves = person.buffer + self.buffer
        whole = _derived(GrantSecret, halves, b"", b"volens split grant secret v1")
        halves[:] = bytes(len(halves))
        return whole

    def reference_key(self, receipt_sha256: bytes, model_id: str) -> ReferenceKey:
        """Derive the key of the embedding; another receipt or model gives another key (RFC 5869)."""
        return _derived(ReferenceKey, self.buffer, receipt_sha256, b"volens reference key v1|" + model_id.encode())

    def profile_key(self, receipt_sha256: bytes) -> ProfileKey:
        """Derive the key of the name and of the badge number."""
        return _derived(ProfileKey, self.buffer, receipt_sha256, b"volens profile key v1")

    def counts_key(self, receipt_sha256: bytes, model_id: str) -> CountsKey:
        """Derive the key of the score counts of one model."""
        return _derived(CountsKey, self.buffer, receipt_sha256, b"volens score counts key v1|" + model_id.encode())
