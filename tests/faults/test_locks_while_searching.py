"""An erasure reads the files of the database that it has open, and must not take away the locks that SQLite has there.

POSIX drops all locks of a process on a file when the process closes any descriptor of it. Whoever opens the site then
takes the shared memory for abandoned, empties it, and the two damage the database between them.
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

from tests.unit.store.raw import DATA
from volens import Site
from volens.store.files import readable

# Where SQLite says that somebody has the shared memory in use: byte UNIX_SHM_DMS of the file, os_unix.c.
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
    """Ask as another process would, for a lock of a process never stands in its own way."""
    asked = subprocess.run([sys.executable, "-c", ASK, str(home / f"{name}-shm"), str(IN_USE)], check=False)
    assert asked.returncode in {0, 3}
    return asked.returncode == 3


@pytest.mark.parametrize("search", [lambda house: house.withdraw(house.people[0]), None], ids=["withdrawal", "reading"])
def test_what_sqlite_has_in_use_stays_in_use(house: House, search: Callable[[House], object] | None) -> None:
    house.admit()
    home = house.site.home
    # A connection of the pool is in use for as long as anybody asks anything.
    with house.store.read(), house.store.keyring._database.read():
        for name in (DATA, "keyring.db"):
            assert is_in_use(home, name)
        if search is None:
            for path in home.glob("*.db*"):
                with readable(path) as descriptor:
                    assert os.preadv(descriptor, [bytearray(16)], 0) == 16
        else:
            # By a thread of its own, as in a service; this one's snapshot is in its way, and the rest waits for it.
            one = threading.Thread(target=lambda: search(house))
            one.start()
            one.join(0.5)
        for name in (DATA, "keyring.db"):
            assert is_in_use(home, name)


def test_a_process_that_opens_the_site_after_a_withdrawal_and_one_that_writes_meanwhile_damage_nothing(
    house: House,
) -> None:
    home, script = house.site.home, "import sys; from volens import Site; Site.open(sys.argv[1]).close()"
    for _ in range(3):
        person, other = house.admit(), house.admit()
        with house.store.read():
            pass
        house.withdraw(person)
        opened = subprocess.run(
            [sys.executable, "-c", script, str(home)],
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert opened.returncode == 0, opened.stderr
        assert house.sees(other)
        house.site.log.verify()
    with house.store.read() as connection:
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"


def test_what_was_kept_open_is_given_back_with_the_last_who_has_the_database_open(house: House) -> None:
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


def test_a_file_that_is_of_no_open_database_is_closed_again(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    with readable(path) as descriptor:
        assert os.pread(descriptor, 3, 0) == b"abc"
    with pytest.raises(OSError, match="Bad file descriptor"):
        fcntl.fcntl(descriptor, fcntl.F_GETFD)
