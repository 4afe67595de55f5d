"""Restores and backups in separate processes: killed after a chosen durable step, or without room on the disk."""

import os
import resource
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dying
from house import Clock, no_models

import volens.erase.procedure
import volens.erase.replay
import volens.store.backup.restore
import volens.store.sqlite.database_files
from volens import Site
from volens.consent import VolensError
from volens.erase import RestoreOrder
from volens.store.sqlite import SqliteEngine


def restore(home: Path, order: RestoreOrder) -> Any:  # noqa: ANN401  Restored, which a child process drops
    clock = Clock()
    clock.move(hours=2)  # the withdrawal since the backup was so much later; time never falls behind the log
    return Site.restore(home, order, clock=clock, random=os.urandom, progress=lambda _done, _total: None)


def _steps(happened: Callable[[], None]) -> None:
    """Call back after every durable step of this process."""
    write = SqliteEngine.write

    @contextmanager
    def counted(self: SqliteEngine, *, wait: bool = True) -> Any:  # noqa: ANN401  replaces `SqliteEngine.write`
        with write(self, wait=wait) as connection:
            yield connection
        happened()

    def around(function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401  replaces any function
            result = function(*arguments, **options)
            happened()
            return result

        return wrapped

    SqliteEngine.write = counted  # type: ignore[method-assign]
    places: tuple[tuple[Any, str], ...] = (
        (SqliteEngine, "scrub"),
        (Path, "replace"),
        (volens.store.backup.restore, "copy_private"),
        (volens.store.sqlite.database_files, "copy_private"),
        (volens.erase.replay, "write_public"),
    )
    for where, name in places:
        setattr(where, name, around(getattr(where, name)))


def count_steps(home: Path, order: RestoreOrder, result: Path) -> None:
    """Restore without a fault; record the number of durable steps."""
    seen: list[None] = []
    _steps(lambda: seen.append(None))
    restore(home, order)
    with result.open("w") as file:
        file.write(str(len(seen)))


def restore_and_die(home: Path, order: RestoreOrder, nth: int) -> None:
    """Restore, and be killed after the nth durable step, counted from 0."""
    left = [nth]

    def happened() -> None:
        if not left[0]:
            dying.die()
        left[0] -= 1

    _steps(happened)
    restore(home, order)


def back_up_on_a_full_disk(home: Path, folder: Path, size_bytes: int, result: Path) -> None:
    """Back up with a limit on the file size; record the error."""
    site = Site.open(home, load_extractor=no_models, clock=Clock())
    report = os.open(result, os.O_CREAT | os.O_WRONLY)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, resource.RLIM_INFINITY))
    try:
        site.backup(folder)
        said = "done"
    except VolensError as error:
        said = f"{type(error).__name__}: {error}"
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    os.write(report, said.encode())
