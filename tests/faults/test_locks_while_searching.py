"""An erasure reads the files of the database that the process has open, and must not drop SQLite's locks on them.

POSIX drops all locks of a process on a file when the process closes any descriptor of it. The next process that opens
the site then treats the shared memory as abandoned and clears it, and the two processes damage the database.
"""

import fcntl
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from house import House
from patience import PATIENCE_S

from tests.unit.store.raw import DATA
from volens import Site
from volens.store.files import readable

# The byte that SQLite locks while the shared memory is in use: UNIX_SHM_DMS, os_unix.c.
IN_USE = 128
ASK = """
import fcntl, os, sys
with open(sys.argv[1], "r+b") as file:
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, int(sys.argv[2]))
    except BlockingIOError:
        sys.exit(3)
"""


def is_in_use(home: Path, name: str) -> bool:
    """Try the lock from another process, because a process is never blocked by its own locks."""
    asked = subprocess.run([sys.executable, "-c", ASK, str(home / f"{name}-shm"), str(IN_USE)], check=False)
    assert asked.returncode in {0, 3}
    return asked.returncode == 3


@pytest.mark.parametrize("search", [lambda house: house.withdraw(house.people[0]), None], ids=["withdrawal", "reading"])
def test_files_that_sqlite_has_locked_stay_locked(house: House, search: Callable[[House], object] | None) -> None:
    house.admit()
    home = house.site.home
    # In another thread, as in a service; the snapshot of this thread makes its scrub wait.
    one = threading.Thread(target=lambda: search and search(house))
    # A connection of the pool is in use as long as a query runs.
    with house.store.read(), house.store.keyring.engine.read():
        for name in (DATA, "keyring.db"):
            assert is_in_use(home, name)
        if search is None:
            for path in home.glob("*.db*"):
                with readable(path) as descriptor:
                    assert os.preadv(descriptor, [bytearray(16)], 0) == 16
        else:
            one.start()
            one.join(0.5)
        for name in (DATA, "keyring.db"):
            assert is_in_use(home, name)
    if search is not None:
        one.join()


def test_processes_that_open_and_write_after_a_withdrawal_damage_nothing(
    house: House,
) -> None:
    home, script = (
        house.site.home,
        (
            "import sys; from datetime import datetime; from volens import Site; "
            "Site.open(sys.argv[1], clock=lambda: datetime.fromisoformat(sys.argv[2])).close()"
        ),
    )
    for _ in range(3):
        person, other = house.admit(), house.admit()
        with house.store.read():
            pass
        house.withdraw(person)
        opened = subprocess.run(
            [sys.executable, "-c", script, str(home), house.clock.time.isoformat()],
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_S,
        )
        assert opened.returncode == 0, opened.stderr
        assert house.sees(other)
        house.site.log.verify()
    with house.store.read() as connection:
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"


def test_descriptors_are_closed_when_the_database_is_closed_last(house: House) -> None:
    home = house.site.home

    def descriptors() -> int:
        links = (Path(one).resolve() for one in Path("/proc/self/fd").iterdir())
        return sum(one.parent == home.resolve() for one in links)

    with Site.open(home, clock=house.clock, random=house.bits.randbytes) as second:
        second.status()
        with readable(home / DATA):
            pass
        kept = descriptors()
        house.site.close()
        assert 0 < descriptors() <= kept
    assert descriptors() == 0
    house.reopen()


def test_a_file_of_no_open_database_is_closed_again(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    with readable(path) as descriptor:
        assert os.pread(descriptor, 3, 0) == b"abc"
    with pytest.raises(OSError, match="Bad file descriptor"):
        fcntl.fcntl(descriptor, fcntl.F_GETFD)
