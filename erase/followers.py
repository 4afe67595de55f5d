"""Confirmation by other processes: they report which generation of the store, and which store key, they hold."""

import time
from typing import Final

from volens.store import Store
from volens.store.log import log_size
from volens.store.programs import Processes

CONFIRM_S: Final = 2.0
"""An erasure waits at most this long for processes that have reported lately. They poll every quarter of a second."""

_AGAIN_S: Final = 0.05


def await_followers(store: Store) -> dict[str, int]:
    """Wait until the other processes that serve the site have applied all commits so far, `CONFIRM_S` at most.

    A process has confirmed when it has dropped the sketches of ended consents, and holds the store key of now or a
    newer one: the older ones are zeroed in its memory.

    Returns:
        The number of other processes (``others``), and how many of them have ``confirmed``.

    Not checked: processes that report nothing because they serve no requests, such as a running command.
    """
    with store.read() as connection:
        generation, key_epoch = log_size(connection), store.keyring.epoch
    until = time.monotonic() + CONFIRM_S
    while True:
        others = Processes(store).others()
        confirmed = sum(one.generation >= generation and one.key_epoch >= key_epoch for one in others)
        if confirmed == len(others) or time.monotonic() >= until:
            return {"others": len(others), "confirmed": confirmed}
        time.sleep(_AGAIN_S)
