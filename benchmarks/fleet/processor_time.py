"""Processor time of groups of processes: nodes, database server, doors."""

import os
import time
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_TIMES: Final = slice(11, 15)
"""utime, stime, cutime and cstime, counted from the field after the name (proc(5))."""
_LOOK_S: Final = 0.5
_IDLE_LOOKS: Final = 3
_IDLE_SHARE: Final = 0.15
"""Of one core: nodes look for changes, and report, all the time."""

Groups = Mapping[str, Callable[[], Iterable[int]]]


def processor_s(pids: Iterable[int]) -> float:
    """Return the seconds that processes have computed, with those of their children that have ended."""
    ticks = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        except OSError:  # it has just ended, and is counted by its parent
            continue
        ticks += sum(map(int, fields[_TIMES]))
    return ticks / _TICKS_PER_S


@contextmanager
def counted(groups: Groups) -> Generator[dict[str, float]]:
    """Fill a dictionary with the seconds that each group computes during the block, and its wall time as ``wall``."""
    found: dict[str, float] = {}
    before, began = {name: processor_s(pids()) for name, pids in groups.items()}, time.monotonic()
    yield found
    found |= {name: processor_s(pids()) - before[name] for name, pids in groups.items()}
    found["wall"] = time.monotonic() - began


def wait_until_idle(groups: Groups, patience_s: float) -> None:
    """Wait until the processes compute next to nothing, a few times in a row: others may have had the processor once.

    Raises:
        TimeoutError: they go on.
    """
    until, idle = time.monotonic() + patience_s, 0
    while time.monotonic() < until:
        with counted(groups) as found:
            time.sleep(_LOOK_S)
        is_idle = sum(found[name] for name in groups) < _IDLE_SHARE * found["wall"] * len(groups)
        idle = idle + 1 if is_idle else 0
        if idle == _IDLE_LOOKS:
            return
    raise TimeoutError(f"processes still compute after {patience_s:.0f} s: {', '.join(groups)}")
