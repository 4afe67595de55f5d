"""Descriptors of database files are closed once, and never while a thread reads by them or the database is open."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from volens.store.files import Identity, closed, identity_of, opened, readable

ROUNDS = 3000
COMPANIONS = ("-wal", "-shm")


def is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "volens.db"
    path.write_bytes(b"data")
    path.with_name("volens.db-wal").write_bytes(b"log")
    return path


@pytest.fixture
def identity(database: Path) -> Iterator[Identity]:
    found = identity_of(database)
    assert found is not None
    opened(found, COMPANIONS)
    yield found
    closed(found)


def renewed(log: Path) -> None:
    """Put another file in the place of a log, as SQLite does after the last connection was closed."""
    log.unlink()
    log.write_bytes(b"new log")


def test_a_log_removed_before_it_is_opened_again_is_closed_once(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, log = identity_of(database), database.with_name("volens.db-wal")
    assert found is not None
    opened(found, COMPANIONS)
    with readable(log):
        pass
    renewed(log)
    with monkeypatch.context() as patched:
        patched.setattr(os, "open", lambda *_: (_ for _ in ()).throw(FileNotFoundError))
        with pytest.raises(FileNotFoundError), readable(log):
            pass
    # These get every free number, also that of the first log if it was closed.
    others = [os.open(database, os.O_RDONLY) for _ in range(8)]

    closed(found)

    assert all(is_open(one) for one in others)
    for one in others:
        os.close(one)


def test_a_descriptor_stays_open_until_the_database_is_closed(database: Path, identity: Identity) -> None:
    with readable(database) as first:
        pass
    with readable(database) as second:
        assert second == first
    opened(identity, COMPANIONS)
    closed(identity)
    assert is_open(first)


@pytest.mark.usefixtures("identity")
def test_a_removed_log_is_closed_but_not_while_a_thread_reads_it(database: Path) -> None:
    log = database.with_name("volens.db-wal")
    with readable(log) as old:
        renewed(log)
        with readable(log) as new:
            assert os.pread(new, 9, 0) == b"new log"
        assert os.pread(old, 9, 0) == b"log"
    assert not is_open(old)
    assert is_open(new)


@pytest.mark.parametrize("again", [False, True], ids=["closed", "opened again"])
def test_a_thread_reading_while_the_database_closes_reads_the_same_file(database: Path, *, again: bool) -> None:
    found = identity_of(database)
    assert found is not None
    opened(found, COMPANIONS)
    with readable(database) as descriptor:
        closed(found)
        with database.with_name("other").open("wb"):
            assert os.pread(descriptor, 9, 0) == b"data"
        if again:
            opened(found, COMPANIONS)
    # Closing it would drop the locks of the database that was opened in the meantime.
    assert is_open(descriptor) == again
    if again:
        closed(found)
    assert not is_open(descriptor)


def test_threads_never_close_a_file_of_another_thread(database: Path) -> None:  # noqa: C901  six duties
    log, failures = database.with_name("volens.db-wal"), list[BaseException]()
    found = identity_of(database)
    assert found is not None
    ended = threading.Event()

    def reads() -> None:
        for path, contents in ((log, {b"log", b"new log", b""}), (database, {b"data"})) * (ROUNDS // 2):
            with suppress(FileNotFoundError), readable(path) as descriptor:
                assert os.pread(descriptor, 9, 0) in contents

    def opens_and_closes() -> None:
        for _ in range(ROUNDS):
            opened(found, COMPANIONS)
            closed(found)

    def renews() -> None:
        while not ended.is_set():
            renewed(log)

    def has_files_of_its_own() -> None:
        own = database.with_name(threading.current_thread().name)
        own.write_bytes(b"own")
        while not ended.is_set():
            descriptor = os.open(own, os.O_RDONLY)
            assert os.pread(descriptor, 9, 0) == b"own"
            os.close(descriptor)

    def noting(work: Callable[[], None]) -> Callable[[], None]:
        def run() -> None:
            try:
                work()
            except BaseException as error:  # noqa: BLE001  the test's own thread raises it
                failures.append(error)

        return run

    finite = [threading.Thread(target=noting(one)) for one in (reads, reads, opens_and_closes)]
    endless = [threading.Thread(target=noting(one)) for one in (renews, has_files_of_its_own, has_files_of_its_own)]
    for thread in finite + endless:
        thread.start()
    for thread in finite:
        thread.join()
    ended.set()
    for thread in endless:
        thread.join()

    assert not failures
    with suppress(FileNotFoundError), readable(log) as descriptor:
        pass
    assert not is_open(descriptor)
