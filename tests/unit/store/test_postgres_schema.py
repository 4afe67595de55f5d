"""The schema of a PostgreSQL database: any change of a definition is noticed, and rules cannot be turned off."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from postgres_server import PostgresServer
from sqlalchemy import Connection, create_engine, select, text
from sqlalchemy.exc import IntegrityError

from volens.consent import TamperError, UnavailableError
from volens.store.postgres import DatabaseUrl, PostgresEngine, check_refusals
from volens.store.postgres.postgres_catalogue import check_schema
from volens.store.postgres.postgres_engine import CHECK_EVERY_S
from volens.store.postgres.schema_steps import STEPS
from volens.store.prepared_query import PreparedQuery
from volens.store.schema import data_tables, keyring_tables
from volens.store.sqlite import SqliteEngine

LINES = {"data": data_tables, "keyring": keyring_tables}
NOTHING = "BEGIN RETURN NEW; END"
FUNCTION = "FUNCTION v.receipt_before_update()"
CHANGES = {
    "DROP TRIGGER receipt_before_update ON v.receipt": "lacks the trigger 'receipt.receipt_before_update'",
    "ALTER TABLE v.receipt DISABLE TRIGGER receipt_before_update": "another trigger 'receipt.receipt_before_update'",
    "ALTER TABLE v.receipt ENABLE TRIGGER receipt_before_update": "another trigger 'receipt.receipt_before_update'",
    "DROP TRIGGER zone_is_not_truncated ON v.zone": "lacks the trigger 'zone.zone_is_not_truncated'",
    "CREATE TRIGGER a AFTER DELETE ON v.zone EXECUTE FUNCTION v.volens_no_truncate()": "an additional trigger 'zone.a'",
    "ALTER TABLE v.live_consent DISABLE TRIGGER ALL": "an additional disabled constraint trigger",
    f"CREATE OR REPLACE {FUNCTION} RETURNS trigger LANGUAGE plpgsql AS '{NOTHING}'": "another function 'receipt_before",
    f"ALTER {FUNCTION} RESET search_path": "another function 'receipt_before_update'",
    f"ALTER {FUNCTION} SET search_path = elsewhere": "another function 'receipt_before_update'",
    f"ALTER {FUNCTION} SECURITY DEFINER": "another function 'receipt_before_update'",
    "CREATE FUNCTION v.more() RETURNS int LANGUAGE sql AS 'SELECT 1'": "an additional function 'more'",
    "ALTER TABLE v.access_request DROP CONSTRAINT access_request_check": "lacks the constraint 'access_request.",
    "ALTER TABLE v.zone ADD CHECK (true)": "an additional constraint 'zone.",
    "ALTER TABLE v.live_consent DROP CONSTRAINT live_consent_receipt_id_fkey": "lacks the constraint 'live_consent.",
    "ALTER TABLE v.zone ADD COLUMN more TEXT": "an additional column 'zone.more'",
    "ALTER TABLE v.zone DROP COLUMN custody CASCADE": "lacks the ",
    "ALTER TABLE v.zone ALTER COLUMN retention_days DROP NOT NULL": "another column 'zone.retention_days'",
    "ALTER TABLE v.zone ALTER COLUMN custody SET DEFAULT 'operator'": "another column 'zone.custody'",
    "ALTER TABLE v.zone ALTER COLUMN custody TYPE varchar(80)": "another column 'zone.custody'",
    "CREATE TABLE v.more (one int)": "an additional column 'more.one'",
    "CREATE VIEW v.more AS SELECT 1 AS one": "an additional column 'more.one'",
    "CREATE INDEX more ON v.zone (custody)": "an additional index 'more'",
    "CREATE SEQUENCE v.more": "an additional relation 'more'",
    "CREATE RULE more AS ON DELETE TO v.zone DO INSTEAD NOTHING": "another relation 'zone'",
    "ALTER TABLE v.score_counts SET UNLOGGED": "another relation 'score_counts'",
    "DROP TABLE v.process": "lacks the ",
    "ALTER TABLE v.zone ENABLE ROW LEVEL SECURITY; ALTER TABLE v.zone FORCE ROW LEVEL SECURITY": "row-level security",
    "ALTER TABLE v.consent_end ENABLE ROW LEVEL SECURITY": "row-level security of 'consent_end'",
}


def url_of(database: str) -> DatabaseUrl:
    return DatabaseUrl.parse(database, schema="v")


def opened(
    database: str, line: str = "data", *, create: bool = False, monotonic: Callable[[], float] = time.monotonic
) -> PostgresEngine:
    revisions = LINES[line].REVISIONS
    return PostgresEngine(url_of(database), line, revisions, SqliteEngine, create=create, monotonic=monotonic)


@pytest.fixture(scope="module")
def made(server: PostgresServer) -> str:
    """A database with the data schema, which no test changes."""
    database = server.new_database()
    opened(database, create=True).close()
    return database


@pytest.fixture
def copy(server: PostgresServer, made: str) -> Iterator[str]:
    copy = server.copy_of(made)
    yield copy
    server.drop(copy)


@contextmanager
def undone(database: str) -> Iterator[Connection]:
    """Give a transaction of the owner of the schema; what it did is undone."""
    engine = create_engine(url_of(database).url)
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql("SET LOCAL search_path = v")
            yield connection
            connection.rollback()
    finally:
        engine.dispose()


@pytest.mark.parametrize("change", CHANGES)
def test_any_change_of_a_definition_is_noticed(made: str, change: str) -> None:
    with undone(made) as connection:
        connection.exec_driver_sql(change)
        with pytest.raises(TamperError, match=f"^integrity: db has {CHANGES[change]}|^integrity: db {CHANGES[change]}"):
            check_schema(connection, "db", "data", "v")


def test_a_changed_database_is_not_opened(server: PostgresServer, copy: str) -> None:
    server.run("DROP TRIGGER receipt_before_update ON v.receipt", copy)

    with pytest.raises(TamperError, match=r"/v lacks the trigger 'receipt.receipt_before_update'; another program"):
        opened(copy)


def test_an_open_engine_notices_a_change_within_a_second(server: PostgresServer, copy: str) -> None:
    now = [0.0]
    engine = opened(copy, monotonic=lambda: now[0])
    query = PreparedQuery(select(data_tables.zone.c.purpose))
    server.run("ALTER TABLE v.receipt DISABLE TRIGGER receipt_before_update", copy)
    with engine.read():
        pass

    now[0] += CHECK_EVERY_S
    for _again in range(2):
        for use in (engine.read, engine.read_prepared, engine.write):
            with pytest.raises(TamperError, match=r"another trigger 'receipt\.receipt_before_update'"), use():
                pass
        with pytest.raises(TamperError, match="another trigger"):
            engine.read_value(query)

    server.run("ALTER TABLE v.receipt ENABLE ALWAYS TRIGGER receipt_before_update", copy)
    with engine.write():
        pass
    engine.close()


@pytest.mark.parametrize(
    ("trigger", "accepted"),
    [
        ("consent_end_before_update", "a changed consent_end row"),
        ("audit_checkpoint_before_delete", "a deleted audit_checkpoint row"),
        ("audit_event_before_insert", "a gap in audit_event"),
        ("live_consent_after_delete", "row that outlives its consent"),
        ("score_counts_is_not_truncated", "the statement TRUNCATE score_counts CASCADE"),
    ],
)
def test_the_self_check_names_what_is_accepted_without_a_trigger(made: str, trigger: str, accepted: str) -> None:
    table = trigger.partition("_before")[0].partition("_after")[0].removesuffix("_is_not_truncated")
    with undone(made) as connection:
        connection.exec_driver_sql(f"DROP TRIGGER {trigger} ON {table}")
        with pytest.raises(TamperError, match=f"integrity: the database accepts .*{accepted}"):
            check_refusals(connection)


def test_the_self_check_passes_on_a_new_database_and_leaves_nothing(made: str) -> None:
    with undone(made) as connection:
        check_refusals(connection)
        assert connection.scalar(text("SELECT count(*) FROM zone")) == 0


@pytest.mark.parametrize("line", LINES)
def test_no_table_can_be_truncated(server: PostgresServer, line: str) -> None:
    database = server.new_database()
    opened(database, line, create=True).close()
    with undone(database) as connection:
        for table in LINES[line].metadata.sorted_tables:
            with pytest.raises(IntegrityError, match="rows are deleted one by one"), connection.begin_nested():
                connection.exec_driver_sql(f"TRUNCATE {table.name} CASCADE")


def test_a_temporary_table_does_not_answer_for_one_of_the_schema(made: str) -> None:
    """The rule asks whether a consent is in force; a temporary table says that it is."""
    with undone(made) as connection:
        connection.exec_driver_sql("CREATE TEMP TABLE live_consent AS SELECT * FROM v.live_consent")
        connection.exec_driver_sql(
            "INSERT INTO live_consent (receipt_id, subject_id, purpose, expires_at) "
            "VALUES ('r', 's', 'p', '2999-01-01T00:00:00Z')"
        )
        with pytest.raises(IntegrityError, match="volens: subject_profile needs live consent"):
            connection.exec_driver_sql(
                "INSERT INTO subject_profile SELECT (json_populate_record(NULL::v.subject_profile, "
                """'{"receipt_id": "r", "subject_id": "s", "purpose": "p"}')).*"""
            )


def test_no_session_setting_turns_the_rules_off(made: str) -> None:
    with undone(made) as connection:
        connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
        with pytest.raises(IntegrityError, match="rows are deleted one by one"), connection.begin_nested():
            connection.exec_driver_sql("TRUNCATE zone CASCADE")
        with pytest.raises(IntegrityError, match="volens: subject_profile needs live consent"):
            connection.exec_driver_sql(
                "INSERT INTO subject_profile SELECT (json_populate_record(NULL::v.subject_profile, "
                """'{"receipt_id": "r", "subject_id": "s", "purpose": "p"}')).*"""
            )


def test_a_database_of_another_schema_version_is_refused(server: PostgresServer, copy: str) -> None:
    server.run("UPDATE v.alembic_version SET version_num = '0000'", copy)

    with pytest.raises(UnavailableError, match=r"was written by a newer Volens \(schema '0000'.*upgrade Volens"):
        opened(copy)


@pytest.mark.parametrize("line", LINES)
def test_each_revision_after_the_baseline_has_its_step(line: str) -> None:
    assert tuple(STEPS[line]) == LINES[line].REVISIONS[1:]


def test_a_database_without_tables_has_no_site(server: PostgresServer) -> None:
    with pytest.raises(UnavailableError, match=r"there is no site in volens_\w+/v; run 'volens init', or check"):
        opened(server.new_database())


def test_a_schema_with_tables_is_never_overwritten(made: str) -> None:
    with pytest.raises(UnavailableError, match=r"already has tables; nothing was changed\. Choose another database"):
        opened(made, create=True)

    opened(made).close()
