"""Key management for the operator: status, rotation and schedule of the keys of a site."""

from collections.abc import Callable
from pathlib import Path
from typing import Final, final

from sqlalchemy import update

from volens.consent import InputError
from volens.store.key_rotation import KeysStatus, Rotated, keys_status, rotate
from volens.store.keys.root_key.holder import root_keys
from volens.store.keys.root_key.holder_choice import holder_at
from volens.store.schema.keyring_tables import rotation_schedule
from volens.store.store import Store

MAX_EVERY_DAYS: Final = 1098


@final
class Keys:
    """Shows, schedules and rotates keys; see `volens.store.key_rotation`.

    `reissue` drops what this process derived from an older projection key.
    """

    def __init__(self, store: Store, reissue: Callable[[], None]) -> None:
        self._store = store
        self._reissue = reissue

    def status(self) -> KeysStatus:
        """Return epochs, times, and where the root key is."""
        return keys_status(self._store)

    def rotate(
        self, *, root: bool = False, signing: bool = False, progress: Callable[[int, int], None] | None = None
    ) -> Rotated:
        """Make new keys, with `root` a new root key and with `signing` a new signing key; destroy the old.

        Resumes an interrupted rotation.

        Raises:
            UnavailableError: the holder of the root key, the disk or another process refuses; the site works as
                before, call it again.
            TamperError: the keyring no longer opens.
        """
        try:
            return rotate(
                self._store, new_root=root, new_signing=signing, progress=progress or (lambda _done, _total: None)
            )
        finally:
            self._reissue()

    def schedule(self, every_days: int) -> None:
        """Set after how many days the keys must be rotated.

        Raises:
            InputError: not 1 to 1098 days.
        """
        if not 1 <= every_days <= MAX_EVERY_DAYS:
            raise InputError(f"got a rotation every {every_days} days; expected 1 to {MAX_EVERY_DAYS}")
        with self._store.keyring.write() as connection:
            connection.execute(update(rotation_schedule).values(every_days=every_days))


def ask_root_key_holder(home: Path) -> str:
    """Return the URL of a home's root key, after reading the key from its holder.

    Raises:
        UnavailableError, TamperError: the holder did not return a key.
    """
    # No key is made, so no randomness is needed.
    holder = holder_at(home, bytes)
    with root_keys(holder):
        return holder.url
