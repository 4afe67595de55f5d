"""A rollout on PostgreSQL: a schema of a later release is accepted if it was announced and has our definitions."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from postgres_server import PostgresServer
from sqlalchemy import Connection, Engine, create_engine, text

from volens.consent import RefusedError, TamperError, UnavailableError
from volens.store.catalogue_difference import catalogue_digest
from volens.store.engine import ExpectedCatalogue
from volens.store.postgres import DatabaseUrl, PostgresEngine
from volens.store.postgres import postgres_schema as module
from volens.store.postgres.expanded_schema import extends
from volens.store.postgres.postgres_catalogue import check_schema, entries_of
from volens.store.postgres.postgres_schema import PostgresSchema
from volens.store.schema.data_tables import REVISIONS
from volens.store.sqlite import SqliteEngine

NEXT = "next_expand"
MARK = "UPDATE v.alembic_version SET version_num = 'next_expand'"
TRUNCATE = "BEFORE TRUNCATE ON v.{table} EXECUTE FUNCTION v.volens_no_truncate()"
ADDITIONS = (
    'ALTER TABLE v.process ADD COLUMN host TEXT COLLATE "C" CHECK (length(host) < 9)',
    "ALTER TABLE v.process ADD COLUMN rank BIGINT",
    "CREATE TABLE v.node_note (id BIGSERIAL PRIMARY KEY, note TEXT NOT NULL DEFAULT '' CHECK (note <> '~'))",
    "CREATE INDEX ix_node_note ON v.node_note (note)",
    "CREATE FUNCTION v.node_notes() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
    "CREATE TRIGGER node_note_is_kept " + TRUNCATE.format(table="node_note"),
    "CREATE TRIGGER process_more " + TRUNCATE.format(table="process"),
    "ALTER TABLE v.node_note ENABLE ROW LEVEL SECURITY",
)
BAD = {
    "a rule less": "DROP TRIGGER process_before_update ON v.process",
    "a rule that is off": "ALTER TABLE v.receipt DISABLE TRIGGER receipt_before_update",
    "a foreign key that is off": "ALTER TABLE v.live_consent DISABLE TRIGGER ALL",
    "a constraint less": "ALTER TABLE v.access_request DROP CONSTRAINT access_request_check",
    "another function": "ALTER FUNCTION v.receipt_before_update() SECURITY DEFINER",
    "a view": "CREATE VIEW v.more AS SELECT 1 AS one",
    "a part of another table": "CREATE TABLE v.more () INHERITS (v.zone)",
    "a column with a default": "ALTER TABLE v.process ADD COLUMN more TEXT DEFAULT 'x'",
    "a column that must be filled": "ALTER TABLE v.process ADD COLUMN more TEXT NOT NULL",
    "a generated column": "ALTER TABLE v.process ADD COLUMN more TEXT GENERATED ALWAYS AS (version) STORED",
    "a unique column": "ALTER TABLE v.process ADD COLUMN more TEXT UNIQUE",
    "a column that refers to a table": "ALTER TABLE v.process ADD COLUMN more TEXT REFERENCES v.zone",
}


@dataclass
class Announcements:
    """A rollout without a keyring: it believes what was announced."""

    made: set[tuple[str, str, bytes]] = field(default_factory=set)
    step: str | None = NEXT
    extends_ours: bool = True

    def target(self, current: str, connection: Connection) -> str | None:
        del connection
        return self.step or current

    def is_expansion(self, revision: str) -> bool:
        return revision == NEXT

    def expected(self, engine: str, revision: str) -> ExpectedCatalogue | None:
        assert engine == "postgresql"
        digests = frozenset(one for it, before, one in self.made if it == revision and before != revision)
        return ExpectedCatalogue(digests, self.extends_ours) if digests else None

    def is_newer(self, revision: str) -> bool:
        return revision not in {*REVISIONS, NEXT}

    def announce(self, revision: str, extends: str, digest: bytes) -> None:
        self.made.add((revision, extends, digest))

    def was_found(self, revision: str, digest: bytes) -> bool:
        return (revision, revision, digest) in self.made


@pytest.fixture(scope="module")
def owner(server: PostgresServer) -> Iterator[Engine]:
    """Connections to a database with the data schema; every test undoes what it changed."""
    url = DatabaseUrl.parse(server.new_database(), schema="v")
    PostgresEngine(url, "data", REVISIONS, SqliteEngine, create=True).close()
    engine = create_engine(url.url)
    yield engine
    engine.dispose()


@pytest.fixture
def connection(owner: Engine) -> Iterator[Connection]:
    with owner.connect() as connection:
        connection.exec_driver_sql("SET LOCAL search_path = v")
        yield connection
        connection.rollback()


def change(connection: Connection, *statements: str) -> bytes:
    """Change the schema as a later release or another program would; return its digest."""
    for one in (*statements, MARK):
        connection.exec_driver_sql(one)
    return catalogue_digest(entries_of(connection, "v"))


def check(connection: Connection, rollout: Announcements) -> None:
    with connection.begin_nested() as trial:
        check_schema(connection, "db", "data", "v", rollout)
        trial.rollback()


def test_our_release_runs_on_an_announced_expansion(connection: Connection) -> None:
    rollout = Announcements({(NEXT, REVISIONS[-1], change(connection, *ADDITIONS))})
    check(connection, rollout)
    connection.exec_driver_sql("DROP INDEX v.ix_node_note")
    with pytest.raises(TamperError, match=r"additional column 'node_note\.id'"):
        check(connection, rollout)


@pytest.mark.parametrize("what", BAD)
def test_an_expansion_that_changes_a_definition_of_ours_is_refused(connection: Connection, what: str) -> None:
    ours = entries_of(connection, "v")
    digest = change(connection, *ADDITIONS)
    assert extends(entries_of(connection, "v"), ours)
    digest = change(connection, BAD[what])
    assert not extends(entries_of(connection, "v"), ours)
    with pytest.raises(TamperError, match=r"^integrity: db (lacks|has)"):
        check(connection, Announcements({(NEXT, REVISIONS[-1], digest)}))


def test_an_expansion_that_was_not_announced_is_refused(connection: Connection) -> None:
    change(connection, *ADDITIONS)
    with pytest.raises(TamperError, match="additional"):
        check(connection, Announcements())
    connection.exec_driver_sql("UPDATE v.alembic_version SET version_num = 'other'")
    with pytest.raises(UnavailableError, match="db was upgraded to the schema 'other' of a newer Volens"):
        check(connection, Announcements())


def test_a_view_does_not_answer_for_the_table_of_the_revision(connection: Connection) -> None:
    change(connection, *ADDITIONS)
    connection.exec_driver_sql("DROP TABLE v.alembic_version")
    connection.exec_driver_sql(f"CREATE VIEW v.alembic_version AS SELECT '{NEXT}'::text AS version_num")
    digest = catalogue_digest(entries_of(connection, "v"))
    with pytest.raises(TamperError, match="'alembic_version"):
        check(connection, Announcements({(NEXT, REVISIONS[-1], digest)}))


def expand(connection: Connection, monkeypatch: pytest.MonkeyPatch, rollout: Announcements, *statements: str) -> None:
    """Upgrade to the expansion of a later release with these statements."""

    def step(connection: Connection, schema: str) -> None:
        assert schema == "v"
        for one in statements:
            connection.exec_driver_sql(one)

    monkeypatch.setattr(module, "STEPS", {"data": {NEXT: step}})
    schema = PostgresSchema("db", "data", "v", (*REVISIONS, NEXT, "next"), rollout)
    schema.upgrade(connection, *schema.settle(connection))


def found(connection: Connection) -> tuple[str, str, bytes]:
    return REVISIONS[-1], REVISIONS[-1], catalogue_digest(entries_of(connection, "v"))


def test_an_expansion_is_announced_before_it_is_committed(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    rollout = Announcements({found(connection)}, extends_ours=False)
    expand(connection, monkeypatch, rollout, *ADDITIONS)
    digest = catalogue_digest(entries_of(connection, "v"))
    assert (NEXT, REVISIONS[-1], digest) in rollout.made
    assert connection.scalar(text("SELECT version_num FROM v.alembic_version")) == NEXT
    check(connection, Announcements({(NEXT, REVISIONS[-1], digest)}))


def test_a_schema_that_lost_a_rule_before_is_not_expanded(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    rollout = Announcements({found(connection)})
    connection.exec_driver_sql(BAD["a rule less"])
    with pytest.raises(TamperError, match="is not as the release before announced it; open the site once with that"):
        expand(connection, monkeypatch, rollout, *ADDITIONS)


def test_an_expansion_that_changes_a_rule_is_not_announced(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    rollout = Announcements({found(connection)})
    with pytest.raises(RefusedError, match="'next_expand' of this release changes what the one before needs"):
        expand(connection, monkeypatch, rollout, BAD["a rule less"])
    assert len(rollout.made) == 1


def test_only_the_role_that_owns_the_tables_upgrades(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    rollout = Announcements({found(connection)})
    for statement in ("CREATE ROLE rollout_app", "GRANT USAGE ON SCHEMA v TO rollout_app"):
        connection.exec_driver_sql(statement)
    connection.exec_driver_sql("GRANT SELECT, UPDATE ON v.alembic_version TO rollout_app")
    connection.exec_driver_sql("SET LOCAL ROLE rollout_app")
    with pytest.raises(UnavailableError, match="this role may not upgrade it to 'next_expand'; run 'volens upgrade'"):
        expand(connection, monkeypatch, rollout, *ADDITIONS)
