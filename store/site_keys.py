"""The keys of a site as its operator sees them."""

from collections.abc import Callable
from pathlib import Path
from typing import final

from volens.store.key_rotation import KeysStatus, Rotated, keys_status, rotate, schedule_rotation
from volens.store.keys.root_key.holder import root_keys
from volens.store.keys.root_key.holder_choice import holder_at
from volens.store.store import Store


@final
class Keys:
    """Shows, schedules and rotates keys; see `volens.store.key_rotation`."""

    def __init__(self, store: Store, home: Path, reissue: Callable[[], None]) -> None:
        """Work on an open store; `reissue` lets go of what was derived from an older store key in this process."""
        self._store = store
        self._home = home
        self._reissue = reissue

    def status(self) -> KeysStatus:
        """Return epochs, times, and where the root key is."""
        return keys_status(self._store, holder_at(self._home, self._store.random))

    def rotate(self, *, root: bool = False, progress: Callable[[int, int], None] | None = None) -> Rotated:
        """Make a new store key, and with `root` a new root key; destroy the old. Finishes what was cut short.

        Raises:
            UnavailableError: the holder of the root key, the disk or another process refuses; the site works as
                before, call it again.
            TamperError: a secret does not open under the key that it should.
        """
        holder = holder_at(self._home, self._store.random)
        try:
            return rotate(self._store, holder, new_root=root, progress=progress or (lambda _done, _total: None))
        finally:
            self._reissue()

    def schedule(self, every_days: int) -> None:
        """Set after how many days, 1 to 1098, the store key is to be rotated."""
        schedule_rotation(self._store, every_days)


def ask_root_key_holder(home: Path) -> str:
    """Return the URL of a home's root key, after its holder has answered.

    Raises:
        UnavailableError, TamperError: it has not.
    """
    # Nothing is made, so that nothing random is needed.
    holder = holder_at(home, bytes)
    with root_keys(holder):
        return holder.url
