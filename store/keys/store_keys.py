"""The unlocked store keys: one, or two during a rotation. The row of a secret states which key wraps it."""

import threading
from collections.abc import Mapping
from typing import Final, Self, final

from volens.consent import TamperError
from volens.store.keys import sealing
from volens.store.keys.secrets import KEY_BYTES, RootKey, StoreKey


def store_key_context(site_id: str, epoch: int) -> bytes:
    """Return the associated data of a wrapped store key."""
    return sealing.context("store key", site_id, str(epoch))


@final
class StoreKeys:
    """Store keys by epoch; they are zeroed when they are dropped.

    Attributes:
        lock: hold it while a key is used, so that no other thread zeroes the key in the meantime.
    """

    def __init__(self, keys: Mapping[int, StoreKey]) -> None:
        self.lock: Final = threading.RLock()
        self._keys = dict(keys)

    @classmethod
    def unlock(cls, site_id: str, wrapped: Mapping[int, bytes], root_key: RootKey) -> Self | None:
        """Unwrap store keys, by epoch; None if this root key does not open them all."""
        keys: dict[int, StoreKey] = {}
        try:
            for epoch, box in wrapped.items():
                keys[epoch] = StoreKey(bytes(KEY_BYTES))
                sealing.open_into(box, root_key, store_key_context(site_id, epoch), keys[epoch].buffer)
        except TamperError:
            cls(keys).wipe()
            return None
        return cls(keys)

    def __contains__(self, epoch: int) -> bool:
        """Return whether the key of an epoch is unlocked."""
        with self.lock:
            return epoch in self._keys

    def __getitem__(self, epoch: int) -> StoreKey:
        """Return the key of an epoch; KeyError if it is not unlocked."""
        with self.lock:
            return self._keys[epoch]

    def epochs(self) -> set[int]:
        """Return the epochs whose keys are unlocked."""
        with self.lock:
            return set(self._keys)

    def take(self, others: "StoreKeys") -> None:
        """Add the keys of others, of epochs that are not here yet."""
        with self.lock:
            for epoch in others.epochs() - self._keys.keys():
                self._keys[epoch] = others[epoch]

    def keep_only(self, epochs: set[int]) -> None:
        """Zero and drop the keys of all other epochs."""
        with self.lock:
            for epoch in self._keys.keys() - epochs:
                self._keys.pop(epoch).wipe()

    def wipe(self) -> None:
        """Zero every key."""
        with self.lock:
            for key in self._keys.values():
                key.wipe()
