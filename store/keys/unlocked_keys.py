"""The unlocked keys of a keyring: in buffers of our own, which are locked against swapping and zeroed when dropped."""

import threading
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, NamedTuple, final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from volens.consent import UnavailableError
from volens.store.keys.secrets import AuthenticationKey, BucketKey, ProjectionKey, RootKey, StoreKey


class KeyId(NamedTuple):
    """Which key wraps a grant secret: the bucket, and the number of its key. No two keys ever have the same."""

    bucket_id: int
    number: int


@final
@dataclass(frozen=True, slots=True)
class SiteKeys:
    """The keys of the site, which protect no single person. They are wrapped under the store key.

    Attributes:
        projection_epoch: the number of the projection key; with a new one, every sketch is computed again.
    """

    signing: Ed25519PrivateKey
    authentication: AuthenticationKey
    projection: ProjectionKey
    projection_epoch: int

    def copy(self) -> "SiteKeys":
        """Return a copy with buffers of its own."""
        return SiteKeys(
            self.signing,
            AuthenticationKey(self.authentication.buffer),
            ProjectionKey(self.projection.buffer),
            self.projection_epoch,
        )

    def wipe(self) -> None:
        """Zero the keys that are in buffers of our own; the signing key is inside OpenSSL."""
        self.authentication.wipe()
        self.projection.wipe()


@final
class UnlockedKeys:
    """The keys of one state of the keyring. `replace_by` is the only change; it zeroes what is dropped.

    Attributes:
        lock: hold it while a key is used, so that no other thread zeroes the key in the meantime.
        epoch: of the store key. A higher one replaces every key above the buckets.
    """

    def __init__(
        self,
        epoch: int,
        root_key: RootKey,
        store_key: StoreKey,
        site: SiteKeys,
        buckets: dict[KeyId, BucketKey],
    ) -> None:
        """Take over the keys: they are wiped with this object."""
        self.lock: Final = threading.RLock()
        self.epoch = epoch
        self.root_key = root_key
        self.store_key = store_key
        self.site = site
        self._buckets = buckets
        self._is_wiped = False

    def bucket_key(self, key_id: KeyId) -> BucketKey | None:
        """Return the key of a bucket; None if it is not the one that we have. Hold the lock."""
        return self._buckets.get(key_id)

    def keep_only(self, key_ids: Collection[KeyId]) -> None:
        """Zero and drop the other bucket keys."""
        with self.lock:
            for key_id in self._buckets.keys() - set(key_ids):
                self._buckets.pop(key_id).wipe()

    def key_ids(self) -> set[KeyId]:
        """Return which bucket keys are unlocked."""
        with self.lock:
            return set(self._buckets)

    def check_usable(self) -> None:
        """Refuse to seal under keys that are zeroed. Hold the lock.

        Raises:
            UnavailableError: the keyring was closed.
        """
        if self._is_wiped:
            raise UnavailableError("the keyring was closed meanwhile; open the site again")

    def copy(self) -> "UnlockedKeys":
        """Return a copy with buffers of its own, on which a change of the keys is prepared; the caller wipes it.

        Raises:
            UnavailableError: the keyring was closed.
        """
        with self.lock:
            self.check_usable()
            return UnlockedKeys(
                self.epoch,
                RootKey(self.root_key.buffer),
                StoreKey(self.store_key.buffer),
                self.site.copy(),
                {key_id: BucketKey(key.buffer) for key_id, key in self._buckets.items()},
            )

    def add(self, key_id: KeyId, key: BucketKey) -> None:
        """Take over the key of a bucket; of two keys of one bucket, the one with the higher number stays."""
        with self.lock:
            self._add(key_id, key)
            self._drop_superseded()

    def replace_by(self, other: "UnlockedKeys") -> bool:
        """Take over the keys of another state, unless it is older. Return whether any key is new.

        Of the same epoch, only the bucket keys are taken: one state may have been read before a bucket was made.
        """
        with self.lock:
            if other.epoch < self.epoch or self._is_wiped:
                other.wipe()
                return False
            before = set(self._buckets)
            if other.epoch == self.epoch:
                other.wipe_above_buckets()
            else:
                self.wipe_above_buckets()
                self.root_key, self.store_key, self.site = other.root_key, other.store_key, other.site
                self.keep_only(other.key_ids())
            for key_id in other.key_ids():
                bucket_key = other.bucket_key(key_id)
                if bucket_key is not None:
                    self._add(key_id, bucket_key)
            self._drop_superseded()
            is_newer, self.epoch = other.epoch > self.epoch, other.epoch
            return is_newer or set(self._buckets) != before

    def wipe(self) -> None:
        """Zero every key."""
        with self.lock:
            self._is_wiped = True
            self.wipe_above_buckets()
            for key in self._buckets.values():
                key.wipe()
            self._buckets.clear()

    def wipe_above_buckets(self) -> None:
        """Zero root key, store key and the keys of the site."""
        self.root_key.wipe()
        self.store_key.wipe()
        self.site.wipe()

    def _add(self, key_id: KeyId, key: BucketKey) -> None:
        if self._buckets.setdefault(key_id, key) is not key:
            key.wipe()

    def _drop_superseded(self) -> None:
        newest: dict[int, int] = {}
        for bucket_id, number in self._buckets:
            newest[bucket_id] = max(number, newest.get(bucket_id, 0))
        for key_id in [one for one in self._buckets if one.number < newest[one.bucket_id]]:
            self._buckets.pop(key_id).wipe()
