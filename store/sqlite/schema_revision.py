"""The revision of an SQLite file at its opening: a new file is made, an older one is migrated, a newer one refused."""

from collections.abc import Callable

from sqlalchemy import Connection, text

from volens.consent import TamperError
from volens.store.engine import SchemaRollout
from volens.store.signpost import MOVED, unknown_revision


def settle_revision(
    connection: Connection,
    name: str,
    line: str,
    revisions: tuple[str, ...],
    *,
    create: bool,
    rollout: SchemaRollout | None,
    fill: Callable[[Connection], None] | None = None,
) -> tuple[str | None, str]:
    """Bring a file to the revision that this release works on; return the one before, None if new, and the one now.

    Raises:
        UnavailableError: it was written by a newer version, or a process of an older one uses it.
        TamperError: it is not a database of Volens.
    """
    current = revision_of(connection)
    if current is None and not create:
        raise TamperError(f"integrity: {name} is no Volens file; restore it from a backup")
    if current == MOVED:
        return current, current  # the catalogue of a moved file is that of a signpost
    wanted: str | None = revisions[-1]
    if current is not None:
        if rollout is not None:
            wanted = rollout.target(current, connection)
        if wanted is None or (rollout is None and current not in revisions):
            raise unknown_revision(name, current, revisions[-1])
    if wanted != current:
        from volens.store.sqlite import migrator  # noqa: PLC0415  Alembic costs 0.2 s, needed once in a file's life

        if current is None:
            migrator.create(connection, line, fill)
        else:
            migrator.upgrade(connection, line, wanted or revisions[-1])
    return current, wanted or revisions[-1]


def revision_of(connection: Connection) -> str | None:
    """Return the revision that Alembic wrote; None if it wrote none."""
    known = connection.scalar(text("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'alembic_version'"))
    return connection.scalar(text("SELECT version_num FROM alembic_version")) if known else None
