"""How many processors this process may use: the CPU affinity and the CPU quota of its control group (cgroup).

`os.cpu_count` counts those of the machine. In a container with a quota of 2 CPUs on a machine with 64, 64 threads would
share 2 CPUs, and the kernel would stop all of them for the rest of each period (throttling).
"""

import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Final

_PROC: Final = Path("/proc/self/cgroup")
_MOUNT: Final = Path("/sys/fs/cgroup")


def usable_cpus(own_groups: Path = _PROC, mount: Path = _MOUNT) -> int:
    """Return the number of processors that this process may use, from 1: the number of threads that can compute.

    It is the smallest of the affinity (`sched_setaffinity`, cpusets), and the quotas of the process's control group and
    of all groups above it, rounded up. Control groups of version 2 (``cpu.max``) and 1 (``cpu.cfs_quota_us``) are read.
    What cannot be read is no limit. The arguments are other paths, for tests.

    Source: the kernel's Documentation/admin-guide/cgroup-v2.rst and scheduler/sched-bwc.rst.
    """
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quotas = [quota for folder in _folders(own_groups, mount) if (quota := _quota(folder)) is not None]
    return max(1, min([affinity, *map(math.ceil, quotas)]))


def _folders(own_groups: Path, mount: Path) -> Iterator[Path]:
    """Yield the folders of this process's control groups, and of those above them.

    A line is ``id:controllers:path``; version 2 has no controllers. In a container the path may be that of the host,
    which is not mounted; then the mount itself is the container's group.
    """
    for line in _text(own_groups).splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        names = controllers.split(",")
        if controllers and "cpu" not in names:
            continue
        own = PurePosixPath(path.lstrip("/"))
        for root in [mount] if not controllers else [mount / controllers, mount / "cpu"]:
            yield from (root / part for part in (own, *own.parents) if ".." not in part.parts)


def _quota(folder: Path) -> float | None:
    """Return the CPUs that a control group may use, or None if it has no limit."""
    # "max 100000" or "200000 100000"; in version 1 two files, and -1 for no limit.
    quota, period = [*_text(folder / "cpu.max").split(), "", ""][:2]
    if not quota:
        quota, period = (_text(folder / f"cpu.cfs_{one}_us").strip() for one in ("quota", "period"))
    if not (quota.isdecimal() and period.isdecimal() and int(quota) and int(period)):
        return None
    return int(quota) / int(period)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
