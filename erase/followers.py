"""Whether other processes have let go of somebody as well: they report how far they follow the store."""

import time
from typing import Final

from volens.store import Store
from volens.store.log import log_size
from volens.store.programs import Processes

CONFIRM_S: Final = 2.0
"""So long an erasure waits for processes that have reported lately. They look every quarter of a second."""

_AGAIN_S: Final = 0.05


def await_followers(store: Store) -> dict[str, int]:
    """Wait until the other processes that serve the site have applied all that is committed now, `CONFIRM_S` at most.

    Returns:
        How many ``others`` there are, and how many of them have ``confirmed``.

    Not checked: processes that serve nobody and report nothing, such as a command that is running.
    """
    with store.read() as connection:
        generation = log_size(connection)
    until = time.monotonic() + CONFIRM_S
    while True:
        others = Processes(store).others()
        confirmed = sum(one.generation >= generation for one in others)
        if confirmed == len(others) or time.monotonic() >= until:
            return {"others": len(others), "confirmed": confirmed}
        time.sleep(_AGAIN_S)
