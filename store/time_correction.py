"""Correction of the log's time after a clock that was ahead: the only way back to an earlier time."""

import os
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Final

from volens.consent import format_time
from volens.store.keys.secrets import Random
from volens.store.site_home import open_home
from volens.store.system_clock import Clock, utc_now

TIME_CORRECTED: Final = "time.corrected"


def correct_time(
    home: Path | str, *, clock: Clock = utc_now, random: Random = os.urandom
) -> tuple[datetime | None, datetime]:
    """Let a site go on with the clock's time although its newest log entry is later; return both times.

    For a clock that was ahead, and is right again. Terms that seemed to be over may then run again. It is logged.

    Raises:
        UnavailableError, TamperError: the site does not open; see `open_home`.
    """
    with closing(open_home(Path(home), clock=clock, random=random, any_time=True)) as store:
        newest, now = store.newest_time, store.now()
        if newest is not None and newest > now:
            with store.write() as tx:
                tx.log(TIME_CORRECTED, {"from": format_time(newest), "to": format_time(now)})
        return newest, now
