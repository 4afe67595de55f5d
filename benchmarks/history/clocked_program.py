"""`volens` with a clock that can be set while it runs, as an administrator or NTP sets that of a machine.

`python -m benchmarks.history.clocked_program FILE serve ...` adds the seconds in FILE to the store's time. Monotonic
clocks are untouched, as on a machine whose time is set.
"""

import sys
from datetime import datetime, timedelta, tzinfo
from pathlib import Path

from volens.memory_wiping import restart_wiping
from volens.quick_imports import quick_imports


def main() -> None:
    """Set the clock of the store, and run the command line."""
    restart_wiping()  # as the program does, before anything else is imported
    offset = Path(sys.argv.pop(1))
    with quick_imports():
        from volens.store import system_clock  # noqa: PLC0415  after the restart

    class SetClock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) + timedelta(seconds=float(offset.read_text(encoding="ascii")))

    vars(system_clock)["datetime"] = SetClock  # the name that `utc_now` looks up at each call
    from volens.program import main as run  # noqa: PLC0415  likewise

    run()


if __name__ == "__main__":
    main()
