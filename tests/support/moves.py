"""Moves of a site between files and a server: run in processes that are killed at a named step, and looked at."""

import os
import shutil
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dying import die
from house import Clock, no_models
from sqlalchemy import Connection

from volens import Site
from volens.consent import VolensError
from volens.site_moving import move_to
from volens.store import SiteDatabases
from volens.store.database_place import DatabasePlace
from volens.store.moving import Moved, site_move
from volens.store.postgres import PostgresEngine
from volens.store.site_databases import DATABASES_FILE, write_databases
from volens.store.sqlite import SqliteEngine

STEPS = (
    "made keyring",
    "made data",
    "marked data",
    "marked keyring",
    "scrubbed data",
    "recorded",
    "released keyring",
    "released data",
    "switched",
)
"""The durable steps of a move, in their order."""


def move(home: Path, to: SiteDatabases | None) -> Moved:
    return move_to(home, to, clock=Clock(), random=os.urandom)


def move_and_die(home: Path, to: SiteDatabases | None, at: str) -> None:
    """Move a site, and be killed just after a step."""
    _kill_after(at)
    move(home, to)


def shown(home: Path, aside: Path, databases: SiteDatabases | None) -> str:
    """Return what a home with these databases says when it is opened: serves, or an error."""
    shutil.copytree(home, aside)
    try:
        if databases is None:
            (aside / DATABASES_FILE).unlink(missing_ok=True)
        else:
            write_databases(aside, databases)
        Site.open(aside, load_extractor=no_models, clock=Clock()).close()
    except VolensError as error:
        return str(error)
    else:
        return "serves"
    finally:
        shutil.rmtree(aside)


def _kill_after(at: str) -> None:
    def step(name: str) -> None:
        if name == at:
            die()

    pending: dict[int, str] = {}
    for engine in (SqliteEngine, PostgresEngine):
        _watch_commits(engine, pending, step)

    put, revise = site_move.put_signpost, site_move.set_revision

    def put_signpost(connection: Connection, metadata: Any, post: Any) -> None:  # noqa: ANN401  replaces a function
        put(connection, metadata, post)
        pending[id(connection)] = "marked data" if "site" in metadata.tables else "marked keyring"

    def set_revision(connection: Connection, revision: str) -> None:
        revise(connection, revision)
        line = "data" if connection.dialect.has_table(connection, "site") else "keyring"
        pending[id(connection)] = f"released {line}"

    site_move.put_signpost, site_move.set_revision = put_signpost, set_revision
    for owner, name, said in (
        (DatabasePlace, "make", "made {}"),
        (DatabasePlace, "scrub_moved", "scrubbed {}"),
        (site_move._Move, "_record", "recorded"),
        (site_move, "write_databases", "switched"),
        (site_move, "sync_folder", "switched"),
    ):
        setattr(owner, name, _followed(getattr(owner, name), said, step))


def _watch_commits(engine: Any, pending: dict[int, str], step: Callable[[str], None]) -> None:  # noqa: ANN401  a class
    original = engine.write

    @contextmanager
    def write(self: Any, *, wait: bool = True) -> Generator[Connection]:  # noqa: ANN401  replaces a method
        with original(self, wait=wait) as connection:
            yield connection
        step(pending.pop(id(connection), ""))

    engine.write = write


def _followed(function: Callable[..., Any], said: str, step: Callable[[str], None]) -> Callable[..., Any]:
    def called(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401  replaces any function
        result = function(*arguments, **options)
        step(said.format(getattr(arguments[0], "line", "")) if arguments else said)
        return result

    return called
