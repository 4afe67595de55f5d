"""A process that overwrites all memory that it frees: its environment, and its restart with it.

Nothing else of Volens is imported here, so that a program restarts before it has imported everything once in vain.
"""

import os
import sys
from collections.abc import Mapping
from typing import Final

FILL: Final = 0x5A
"""The byte with which the C library fills freed memory."""

_TUNABLES: Final = "GLIBC_TUNABLES"
_WIPING: Final = f"glibc.malloc.perturb={FILL}:glibc.malloc.tcache_count=0"
_RESTARTED: Final = "VOLENS_RESTARTED_AS"


def wiping_environment(inherited: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the variables with which a process overwrites all memory that it frees; they count at its start only.

    1. glibc fills what is freed, and keeps no cache for each thread: what is freed into a cache is not filled (seven
       blocks of each size up to 1032 bytes, found by a search of our own memory).
    2. Python uses the C library for small objects too, instead of memory that it reuses itself.
    3. The dynamic linker looks all functions up at the start. At a first call it would save the vector registers on the
       stack, and with them a part of an embedding (found as above).

    Another C library, or another system, ignores them. Measured cost: docs/adr/0036.
    """
    before = inherited.get(_TUNABLES, "")
    tunables = before if _WIPING in before else ":".join(filter(None, (before, _WIPING)))
    return {_TUNABLES: tunables, "PYTHONMALLOC": "malloc", "LD_BIND_NOW": "1"}


def is_wiping() -> bool:
    """Return whether this process was started so."""
    return _WIPING in os.environ.get(_TUNABLES, "")


def restart_wiping() -> None:
    """Start this program again in this process (execve) so that it overwrites all memory that it frees.

    Call it first: the settings count at the start of a process only. The process keeps its id, so that systemd and
    others still know it; a child process inherits the settings.
    """
    if sys.platform != "linux" or os.environ.get(_RESTARTED) == str(os.getpid()):
        return
    environment = os.environ | wiping_environment() | {_RESTARTED: str(os.getpid())}
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)  # noqa: S606  this very program
