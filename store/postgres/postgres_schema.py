"""The schema of a PostgreSQL database at its opening: a new one is made, an older one upgraded, a newer one refused."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, final

from sqlalchemy import Connection, text

from volens.consent import RefusedError, TamperError, UnavailableError
from volens.store.catalogue_difference import catalogue_digest
from volens.store.engine import SchemaRollout
from volens.store.postgres.expanded_schema import extends
from volens.store.postgres.postgres_catalogue import check_schema, declared, entries_of
from volens.store.postgres.schema_steps import STEPS
from volens.store.schema.keyring_tables import first_schedule
from volens.store.signpost import MOVED, set_revision, unknown_revision

_OLDEST_SERVER: Final = 150000
_IS_OWNER: Final = (
    "SELECT pg_has_role(current_user, relowner, 'USAGE') FROM pg_class WHERE oid = CAST(:one AS regclass)"
)


@final
@dataclass(frozen=True, slots=True)
class PostgresSchema:
    """One schema, and what this release makes of it.

    Attributes:
        database: what errors call it.
        line: of the schema: data or keyring.
        schema: its name.
        revisions: that this release knows, oldest first.
        rollout: decides about the revision while two releases use the schema; None: this release alone does.
    """

    database: str
    line: str
    schema: str
    revisions: tuple[str, ...]
    rollout: SchemaRollout | None

    def make(self, connection: Connection, fill: Callable[[Connection], None] | None) -> None:
        """Make the schema, as of the newest revision; `fill` inserts rows before there are rules.

        Raises:
            UnavailableError: there are tables already.
        """
        is_there = connection.scalar(text("SELECT to_regnamespace(:schema) IS NOT NULL"), {"schema": self.schema})
        if is_there and connection.scalar(
            text("SELECT count(*) FROM pg_class WHERE relnamespace = CAST(:schema AS regnamespace)"),
            {"schema": self.schema},
        ):
            raise UnavailableError(
                f"{self.database} already has tables; nothing was changed. Choose another database or schema, or "
                "join the site that is there with 'volens store join'"
            )
        if not is_there:
            connection.exec_driver_sql(f"CREATE SCHEMA {self.schema}")
        expected = declared(self.line)
        for statement in expected.table_statements():
            connection.exec_driver_sql(statement)
        if fill is not None:
            fill(connection)
        for statement in expected.rule_statements(self.schema):
            connection.exec_driver_sql(statement)
        mark = text("INSERT INTO alembic_version (version_num) VALUES (:revision)")
        connection.execute(mark, {"revision": self.revisions[-1]})
        if self.line == "keyring" and fill is None:
            connection.execute(first_schedule())

    def settle(self, connection: Connection) -> tuple[str, str]:
        """Return the revision that the schema has, and the one on which this release works.

        Raises:
            UnavailableError: there is no schema, it is of a newer release, or a process of an older one uses it.
            RefusedError: to expand was ordered, and this release cannot run beside the one before.
        """
        there = connection.scalar(text("SELECT to_regclass(:name)"), {"name": f"{self.schema}.alembic_version"})
        if there is None:
            raise UnavailableError(
                f"there is no site in {self.database}; run 'volens init', or check the database and the schema"
            )
        current = str(connection.scalar(text("SELECT version_num FROM alembic_version")))
        if current == MOVED:
            return current, current  # the tables of a schema that was moved are those of a signpost
        wanted: str | None = self.revisions[-1]
        if self.rollout is not None:
            wanted = self.rollout.target(current, connection)
        if wanted is None or (self.rollout is None and current not in self.revisions):
            raise unknown_revision(self.database, current, self.revisions[-1])
        return current, wanted

    def upgrade(self, connection: Connection, current: str, wanted: str) -> None:
        """Bring the schema to a later revision, in the transaction of the connection.

        1. Before an expansion, the schema is exactly what the release before announced.
        2. The steps of the revisions run.
        3. An expansion has only added to the schema. It is announced.
        4. The schema is compared with what this release expects.

        Raises:
            TamperError: 1 or 4 does not hold.
            RefusedError: 3 does not hold: the fault is in this release.
            UnavailableError: this role does not own the tables, a table is in use, or the keyring cannot be written.
        """
        if not connection.scalar(text(_IS_OWNER), {"one": f"{self.schema}.alembic_version"}):
            raise UnavailableError(
                f"{self.database} has the schema {current!r}, and this role may not upgrade it to {wanted!r}; run "
                "'volens upgrade' with a home that names the role that owns its tables"
            )
        rollout = self.rollout if self.rollout is not None and self.rollout.is_expansion(wanted) else None
        before = entries_of(connection, self.schema)
        # 1.
        if rollout is not None and not rollout.was_found(current, catalogue_digest(before)):
            raise TamperError(
                f"integrity: {self.database} is not as the release before announced it; open the site once with that "
                "release, which says what differs, then run this again"
            )
        # 2.
        at = self.revisions.index
        for revision in self.revisions[at(current) + 1 : at(wanted) + 1]:
            STEPS[self.line][revision](connection, self.schema)
        set_revision(connection, wanted)
        # 3.
        if rollout is not None:
            after = entries_of(connection, self.schema)
            if not extends(after, before):
                raise RefusedError(
                    f"the expansion {wanted!r} of this release changes what the one before needs; end every process of "
                    "that one, then start this one, which upgrades the schema"
                )
            rollout.announce(wanted, current, catalogue_digest(after))
        # 4.
        with connection.begin_nested() as trial:
            self.check(connection)
            trial.rollback()

    def check(self, connection: Connection) -> bytes:
        """Compare the schema inside a transaction that the caller rolls back; see `check_schema`."""
        return check_schema(connection, self.database, self.line, self.schema, self.rollout)

    def remember(self, revision: str, digest: bytes) -> None:
        """Announce the schema as it was found at the opening, if it is what this release declares.

        Raises:
            UnavailableError: the keyring cannot be written now.
        """
        if self.rollout is not None and revision == self.revisions[-1] and not self.rollout.was_found(revision, digest):
            self.rollout.announce(revision, revision, digest)


def check_server(connection: Connection, database: str) -> None:
    """Check that a server is new enough, and that a database can hold every text; UnavailableError if not."""
    if int(connection.exec_driver_sql("SHOW server_version_num").scalar() or 0) < _OLDEST_SERVER:
        raise UnavailableError("the PostgreSQL server is older than version 15; upgrade it")
    if connection.exec_driver_sql("SHOW server_encoding").scalar() != "UTF8":
        raise UnavailableError(f"{database} is not encoded as UTF8; make it with 'createdb --encoding=UTF8'")
