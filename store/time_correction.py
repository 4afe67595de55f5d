"""Correction of the log's time after a clock that was ahead: the only way back to an earlier time."""

from datetime import datetime
from typing import Final

from volens.consent import format_time
from volens.store.store import Store

TIME_CORRECTED: Final = "time.corrected"


def correct_time(store: Store) -> tuple[datetime | None, datetime]:
    """Go on with the clock's time although the newest log entry is later, and log that; return both times.

    For a clock that was ahead, and is right again. Terms that seemed to be over may then run again. The store was
    opened with `any_time`.
    """
    newest, clock = store.newest_time, store.now()
    if newest is not None and newest > clock:
        with store.write() as tx:
            tx.log(TIME_CORRECTED, {"from": format_time(newest), "to": format_time(clock)})
    return newest, clock
