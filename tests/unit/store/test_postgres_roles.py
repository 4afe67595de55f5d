"""`volens store roles`: an application role can do what a site does and no more; a door role reads its zones only."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from house import House
from postgres_server import PostgresServer
from sqlalchemy import create_engine, make_url, text

from volens.consent import TamperError, UnavailableError
from volens.store import role_sql, server_databases
from volens.store.postgres.postgres_policies import check_policies
from volens.store.site_databases import write_databases

POLICY = "ALTER POLICY volens_door_{door} ON volens.zone USING"


class Roles:
    """A site on a server, and the roles that were made for it."""

    def __init__(self, server: PostgresServer, house: House, database: str) -> None:
        self.server, self.house, self.database = server, house, database
        mark = secrets.token_hex(4)
        self.app, self.door = f"app_{mark}", f"door_{mark}"
        self.make()

    def make(self, *zones: str) -> None:
        """Run what `volens store roles` prints, for nodes, or for doors of some zones."""
        databases = server_databases(self.database)
        lines = role_sql(databases, self.app, self.door, zones) if zones else role_sql(databases, self.app)
        self.server.run("\n".join(lines), self.database)

    def connect_as(self, role: str) -> None:
        """Let the home use the databases as this role."""
        url = make_url(self.database).set(username=role).render_as_string(hide_password=False)
        write_databases(self.house.site.home, server_databases(url))

    def remove(self) -> None:
        for role in (self.app, self.door):
            if self.server.run(f"SELECT to_regrole('{role}')") != [(None,)]:
                self.server.run(f"DROP OWNED BY {role}", self.database)
                self.server.run(f"DROP ROLE {role}")


@contextmanager
def with_roles(server: PostgresServer, template: tuple[Path, str], home: Path) -> Iterator[Roles]:
    database = server.copy_of(template[1])
    house = House.copied(template[0], home, database)
    roles = Roles(server, house, database)
    yield roles
    house.site.close()
    roles.remove()
    server.drop(database)


@pytest.fixture
def roles(server: PostgresServer, server_template: tuple[Path, str], tmp_path: Path) -> Iterator[Roles]:
    with with_roles(server, server_template, tmp_path / "home") as roles:
        yield roles


@pytest.fixture(scope="module")
def zoned(
    server: PostgresServer, server_template: tuple[Path, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Roles]:
    """Roles of nodes and of doors, which no test changes."""
    with with_roles(server, server_template, tmp_path_factory.mktemp("zoned") / "home") as roles:
        roles.make("lobby", "office")
        yield roles


def check_as(roles: Roles, role: str | None, change: str = "SELECT 1") -> None:
    """Change something in a transaction that is undone, and compare row-level security as this role would."""
    engine = create_engine(make_url(roles.database))
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql(change.format(door=roles.door, app=roles.app))
            space = connection.scalar(text("SELECT 'volens'::regnamespace::oid"))
            if role is not None:
                connection.exec_driver_sql(f"SET LOCAL ROLE {role}")
            check_policies(connection, "db", int(space))
            connection.rollback()
    finally:
        engine.dispose()


@contextmanager
def session(roles: Roles, role: str) -> Iterator[psycopg.Connection]:
    plain = make_url(roles.database).set(drivername="postgresql", username=role)
    with psycopg.connect(plain.render_as_string(hide_password=False), options="-c search_path=volens") as connection:
        yield connection


def refused(connection: psycopg.Connection, statement: str) -> bool:
    try:
        with connection.transaction():
            connection.execute(statement.encode())
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.ActiveSqlTransaction):
        return True
    return False


def test_the_application_role_does_all_that_a_site_does(roles: Roles) -> None:
    roles.connect_as(roles.app)
    roles.house.reopen()
    leaver, stayer = roles.house.admit(), roles.house.admit()
    roles.house.withdraw(leaver)
    roles.house.clock.move(days=1)
    roles.house.site.sweep()
    roles.house.visit(stayer)

    assert roles.house.sees(stayer)
    assert not roles.house.sees(leaver)
    roles.house.clock.move(days=91)
    roles.house.site.sweep()
    assert not roles.house.sees(stayer)
    assert roles.house.store.scrub().complete
    roles.house.site.log.verify()


def test_the_application_role_cannot_change_what_is_only_added_to_nor_any_rule(roles: Roles) -> None:
    roles.house.admit()
    with session(roles, roles.app) as connection:
        accepted = [
            statement
            for statement in (
                "UPDATE audit_event SET leaf = leaf",
                "DELETE FROM audit_event",
                "DELETE FROM audit_checkpoint",
                "UPDATE receipt SET subject_id = subject_id",
                "DELETE FROM zone",
                "TRUNCATE score_counts",
                "DROP TRIGGER receipt_before_update ON receipt",
                "ALTER TABLE receipt DISABLE TRIGGER ALL",
                "ALTER TABLE receipt ADD COLUMN more INT",
                "CREATE OR REPLACE FUNCTION receipt_before_update() RETURNS trigger LANGUAGE plpgsql AS ''",
                "CREATE TABLE volens.more (one INT)",
                "ALTER TABLE zone ENABLE ROW LEVEL SECURITY",
                "DROP TABLE process",
                "UPDATE alembic_version SET version_num = ''",
            )
            if not refused(connection, statement)
        ]
        assert accepted == []
        assert not refused(connection, "SELECT count(*) FROM audit_event")


def test_a_door_role_sees_the_rows_of_its_zones_and_writes_nothing(roles: Roles) -> None:
    roles.house.declare("office")
    here, there = roles.house.admit("lobby"), roles.house.admit("office")
    roles.make("lobby")

    with session(roles, roles.door) as connection:
        for table in (b"zone", b"live_consent", b"biometric_reference"):
            assert {one for (one,) in connection.execute(b"SELECT purpose FROM " + table)} == {"lobby"}
        assert not refused(connection, "SELECT * FROM restriction")
        for table in ("receipt", "subject_profile", "audit_event", "row_seal"):
            assert refused(connection, f"LOCK TABLE {table} IN ACCESS SHARE MODE")
        for change in ("UPDATE zone SET custody = custody", "DELETE FROM live_consent", "DELETE FROM score_counts"):
            assert refused(connection, change)
        assert refused(connection, "SELECT * FROM volens_keyring.grant_secret")

    roles.make("lobby", "office")
    with session(roles, roles.door) as connection:
        seen = connection.execute("SELECT receipt_id FROM live_consent").fetchall()
        assert {one for (one,) in seen} == {here.receipt_id, there.receipt_id}


def test_nodes_go_on_with_the_policies_of_door_roles(roles: Roles) -> None:
    person = roles.house.admit()
    roles.connect_as(roles.app)
    roles.house.reopen()
    roles.make("lobby")
    roles.make()
    roles.make("lobby", "office")

    roles.house.reopen()
    assert roles.house.sees(person)
    roles.house.withdraw(person)
    with roles.house.store.read() as connection:
        assert connection.scalar(text("SELECT count(*) FROM live_consent")) == 0


@pytest.mark.parametrize(
    "change",
    [
        f"{POLICY} (true)",
        f"{POLICY} (purpose = 'lobby' OR custody = 'operator')",
        f"{POLICY} (purpose = current_setting('volens.zone'))",
        "ALTER POLICY volens_door_{door} ON volens.zone TO public",
        "ALTER POLICY volens_door_{door} ON volens.zone TO {app}",
        "ALTER POLICY volens_app ON volens.zone USING (purpose <> 'lobby')",
        "ALTER POLICY volens_app ON volens.zone WITH CHECK (false)",
        "ALTER POLICY volens_app ON volens.zone TO public",
        "ALTER TABLE volens.zone DISABLE ROW LEVEL SECURITY",
        "ALTER TABLE volens.zone FORCE ROW LEVEL SECURITY",
        "CREATE POLICY more ON volens.zone USING (true)",
        "CREATE POLICY more ON volens.zone AS RESTRICTIVE USING (false)",
        "ALTER TABLE volens.collection_stop ENABLE ROW LEVEL SECURITY",
        "CREATE POLICY volens_app ON volens.consent_end TO {app} USING (true) WITH CHECK (true)",
        "DROP POLICY volens_app ON volens.live_consent",
        "ALTER POLICY volens_app ON volens.live_consent TO {door}",
    ],
)
def test_any_other_policy_is_noticed(zoned: Roles, change: str) -> None:
    with pytest.raises(TamperError, match=r"^integrity: db (has row-level security of '\w+'|hides rows) "):
        check_as(zoned, zoned.app, change)


def test_the_printed_policies_are_accepted_and_must_let_a_node_see_all(zoned: Roles) -> None:
    check_as(zoned, None)
    check_as(zoned, zoned.app)
    with pytest.raises(TamperError, match="hides rows of 'biometric_reference' from this role; run what 'vol"):
        check_as(zoned, zoned.door)


def test_a_role_without_rights_is_told_which_command_helps(roles: Roles) -> None:
    roles.make("lobby")
    roles.connect_as(roles.door)

    with pytest.raises(UnavailableError, match="refuses this role; check the rights with 'volens store roles'"):
        roles.house.reopen()


def test_the_rules_can_be_checked_as_the_role_of_nodes(roles: Roles) -> None:
    roles.connect_as(roles.app)
    roles.house.reopen()

    roles.house.site.check_rules()
