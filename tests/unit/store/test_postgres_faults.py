"""Faults of a PostgreSQL server: one clear sentence, exit code 6, and a change is there whole or not at all."""

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import psycopg
import pytest
from command_line import exit_code_of, run_captured
from connections import lock_timeout
from faulty_server import FaultyServer, LossyProxy, faulty_server
from house import House, server_home
from sqlalchemy import Connection, event, make_url, text
from sqlalchemy.exc import IntegrityError

from volens.consent import UnavailableError
from volens.store import server_databases
from volens.store.postgres import DatabaseUrl, left_in_schema, remove_schema
from volens.store.postgres.postgres_connections import TRANSACTION_ID
from volens.store.postgres.postgres_errors import translated
from volens.store.postgres.postgres_snapshot import driver_of
from volens.store.schema.data_tables import REVISIONS
from volens.store.site_databases import write_databases

NOT_DONE = r"volens_\w+/volens(_keyring)? does not answer or closed the connection; this step was not done, check its"
IN_DOUBT = r"was lost while a change was being confirmed, .* look whether the change was made before you do it again"
RETRY = r" was changed by another transaction at the same time; this step was not done, try again"
WRONG, RIGHT = "wr0ng", "r1ght"
REFUSED = "does not accept the password, or got none; write it into ~/.pgpass or the file that PGPASSFILE names"


@pytest.fixture(scope="module")
def broken() -> Iterator[FaultyServer]:
    with faulty_server() as running:
        yield running


@pytest.fixture(scope="module")
def site_template(broken: FaultyServer, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    return server_home(broken, tmp_path_factory.mktemp("faulty"))


@pytest.fixture
def database(broken: FaultyServer, site_template: tuple[Path, str]) -> Iterator[str]:
    database = broken.copy_of(site_template[1])
    yield database
    broken.drop(database)


@pytest.fixture
def remote(site_template: tuple[Path, str], database: str, tmp_path: Path) -> Iterator[House]:
    """A site on the server that breaks."""
    house = House.copied(site_template[0], tmp_path / "home", database)
    yield house
    house.site.close()


@contextmanager
def session(database: str) -> Iterator[psycopg.Connection]:
    """Connect as a program that is not ours."""
    plain = make_url(database).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain, options="-c search_path=volens", autocommit=True) as connection:
        yield connection


def moved(house: House, database: str) -> None:
    """Let the home name another database."""
    write_databases(house.site.home, server_databases(database))


def require_password(server: FaultyServer, role: str) -> None:
    """Let the server ask this role for its password, which is `RIGHT`."""
    server.run(f"ALTER ROLE {role} LOGIN PASSWORD '{RIGHT}'")
    rules = server.folder / "pg_hba.conf"
    rules.write_text(f"local all {role} scram-sha-256\n{rules.read_text()}")
    server.run("SELECT pg_reload_conf()")


def people_in(house: House) -> int:
    with house.store.read() as connection:
        return int(connection.scalar(text("SELECT count(*) FROM receipt")) or 0)


def test_a_restart_between_transactions_is_not_noticed(broken: FaultyServer, remote: House) -> None:
    person = remote.admit()
    broken.stop("fast")
    broken.start()

    assert remote.sees(person)
    broken.stop()
    broken.start()
    remote.withdraw(person)
    assert not remote.sees(person)


def test_a_stopped_server_is_said_and_serves_again_when_started(
    broken: FaultyServer, remote: House, capsys: pytest.CaptureFixture[str]
) -> None:
    person = remote.admit()
    broken.stop()
    try:
        with pytest.raises(UnavailableError, match=NOT_DONE) as said:
            remote.invite()
        with pytest.raises(UnavailableError, match=NOT_DONE):
            remote.store.generation()
        assert exit_code_of(said.value) == 6
        cli = run_captured(capsys, "status", "--home", remote.site.home)
        assert (cli.code, "closed the connection" in cli.err, cli.err.count("\n")) == (6, True, 1)
    finally:
        broken.start()

    assert people_in(remote) == 1
    assert remote.sees(person)


def test_a_server_that_stops_during_a_transaction_has_nothing_of_it(broken: FaultyServer, remote: House) -> None:
    def write_while_it_stops() -> None:
        with remote.store.write() as tx:
            tx.log("test.first", {})
            broken.stop()
            broken.start()
            tx.log("test.second", {})

    with pytest.raises(UnavailableError, match=NOT_DONE):
        write_while_it_stops()

    with remote.store.read() as connection:
        assert connection.scalar(text("SELECT count(*) FROM audit_opening WHERE details LIKE '%test.%'")) == 0
    remote.site.log.verify()


def test_a_connection_killed_at_its_commit_was_not_committed(remote: House, database: str) -> None:
    @event.listens_for(remote.store.data._engine, "commit")  # type: ignore[attr-defined]
    def kill(connection: Connection) -> None:
        with session(database) as other:
            pid = driver_of(connection.connection).info.backend_pid
            other.execute("SELECT pg_terminate_backend(%s, 10000)", [pid])

    with pytest.raises(UnavailableError, match=NOT_DONE):
        remote.invite()
    event.remove(remote.store.data._engine, "commit", kill)  # type: ignore[attr-defined]

    assert people_in(remote) == 0
    remote.invite()
    remote.site.log.verify()


@pytest.mark.parametrize(("loses", "people"), [("request", 0), ("answer", 1)])
def test_a_commit_whose_answer_is_lost_is_looked_up(
    broken: FaultyServer, remote: House, database: str, loses: str, people: int
) -> None:
    with closing(LossyProxy(broken, database)) as proxy:
        moved(remote, proxy.url)
        remote.reopen()

        @event.listens_for(remote.store.data._engine, "commit")  # type: ignore[attr-defined]
        def lose(connection: Connection) -> None:
            if connection.info.get(TRANSACTION_ID) is not None and not done.is_set():
                done.set()
                proxy.loses = loses

        done = threading.Event()
        if people:
            remote.invite()
        else:
            with pytest.raises(UnavailableError, match=NOT_DONE):
                remote.invite()

        assert done.is_set()
        assert people_in(remote) == people
        remote.site.log.verify()
        remote.site.close()


def test_a_commit_that_cannot_be_looked_up_is_said_to_be_in_doubt(
    broken: FaultyServer, remote: House, database: str
) -> None:
    with closing(LossyProxy(broken, database)) as proxy:
        moved(remote, proxy.url)
        remote.reopen()
        engine, now = remote.store.data, [0.0]
        engine._monotonic, engine._sleep = lambda: now[0], lambda seconds: now.__setitem__(0, now[0] + seconds)  # type: ignore[attr-defined]

        @event.listens_for(engine._engine, "commit")  # type: ignore[attr-defined]
        def lose(connection: Connection) -> None:
            if connection.info.get(TRANSACTION_ID) is not None:
                proxy.loses, proxy.refuses = "answer", True

        with pytest.raises(UnavailableError, match=IN_DOUBT):
            remote.invite()
        remote.site.close()


def test_a_restarted_server_is_not_asked_about_a_transaction(broken: FaultyServer, remote: House) -> None:
    """Its ids may have been given to other transactions, on a standby that took over."""
    engine, now = remote.store.data, [0.0]
    engine._monotonic, engine._sleep = lambda: now[0], lambda seconds: now.__setitem__(0, now[0] + seconds)  # type: ignore[attr-defined]

    def write_while_it_restarts() -> None:
        with engine.write():
            broken.stop()
            broken.start()

    with pytest.raises(UnavailableError, match=IN_DOUBT):
        write_while_it_restarts()


def test_a_lock_of_another_program_is_waited_for_and_then_said(remote: House, database: str) -> None:
    with session(database) as other, other.transaction():
        other.execute("LOCK TABLE receipt")
        with lock_timeout(0.05), pytest.raises(UnavailableError, match="is locked by another process; try again"):
            remote.invite()

    assert people_in(remote) == 0
    remote.invite()


def test_an_optional_write_does_not_wait_for_another_writer(remote: House) -> None:
    engine = remote.store.data
    with engine.write(), ThreadPoolExecutor(1) as other:

        def write_at_once() -> None:
            with engine.write(wait=False):
                raise AssertionError("two writers at a time")

        with pytest.raises(UnavailableError, match="is locked by another process"):
            other.submit(write_at_once).result()
    with engine.write(wait=False):
        pass


def test_a_deadlock_with_another_program_undoes_this_step(remote: House, database: str) -> None:
    with session(database) as other, ThreadPoolExecutor(1) as thread, other.transaction():
        other.execute("SET LOCAL deadlock_timeout = '60s'")
        other.execute("LOCK TABLE receipt")

        def lock_the_other_way_round() -> None:
            with remote.store.data.write() as connection:
                connection.execute(text("LOCK TABLE zone"))
                waiting.append(thread.submit(other.execute, "LOCK TABLE zone"))
                # The server looks for a deadlock once, soon after this transaction begins to wait.
                asked = text("SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = CAST('zone' AS regclass)")
                while not connection.scalar(asked):
                    time.sleep(0.01)
                connection.execute(text("SELECT count(*) FROM receipt"))

        waiting: list[Future[object]] = []
        with pytest.raises(UnavailableError, match=RETRY):
            lock_the_other_way_round()
        waiting[0].result()


def test_a_serialization_failure_is_said_as_a_step_to_be_repeated(database: str) -> None:
    with session(database) as one, session(database) as other:
        for each in (one, other):
            each.execute("BEGIN ISOLATION LEVEL SERIALIZABLE")
            each.execute("SELECT count(*) FROM alembic_version")
            each.execute("INSERT INTO alembic_version VALUES (pg_backend_pid()::text)")
        one.execute("COMMIT")
        with pytest.raises(UnavailableError, match=RETRY), translated("it"):
            other.execute("COMMIT")


def test_a_read_only_server_is_said_to_be_a_standby(broken: FaultyServer, remote: House, database: str) -> None:
    name = make_url(database).database
    broken.run(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    remote.store.drop_caches()

    with pytest.raises(UnavailableError, match=r"cannot be written, its server is read-only \(a standby\); give the"):
        remote.invite()
    with pytest.raises(UnavailableError, match="its server is read-only"):
        remote.reopen()


def test_a_standby_is_not_opened_and_says_what_it_is(
    broken: FaultyServer, remote: House, database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with broken.standby() as folder:
        moved(remote, broken.url_of(database, str(folder)))
        said = run_captured(capsys, "status", "--home", remote.site.home)
    assert said.code == 6
    assert "cannot be written, its server is read-only (a standby); give the address of the primary" in said.err


def test_on_a_full_disk_a_consent_is_not_given_and_nothing_is_left_of_it(
    broken: FaultyServer, remote: House, database: str
) -> None:
    before = remote.site.status()
    remote.site.close()
    with broken.full_disk(database, "volens.receipt"):
        remote.reopen()
        with pytest.raises(UnavailableError, match="could not be written, the disk of its server is full; this step"):
            remote.invite()
        assert remote.site.status() == before
        remote.site.close()
        broken.stop("fast")
    broken.start()

    remote.reopen()
    remote.site.log.verify()
    assert remote.sees(remote.admit())


def test_after_a_refused_statement_a_transaction_cannot_be_committed(remote: House) -> None:
    """PostgreSQL would answer COMMIT with a rollback, and the caller would take it for done."""

    def go_on_after_a_refusal() -> None:
        with remote.store.data.write() as connection, suppress(IntegrityError):
            connection.execute(text("TRUNCATE zone CASCADE"))

    with pytest.raises(RuntimeError, match="a statement of this transaction was refused, so that it must end"):
        go_on_after_a_refusal()


def test_wrong_addresses_are_told_apart(
    broken: FaultyServer,
    remote: House,
    database: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url = make_url(database)
    broken.run("CREATE ROLE guarded")
    broken.run("CREATE ROLE crowded LOGIN CONNECTION LIMIT 0")
    require_password(broken, "guarded")
    monkeypatch.setenv("PGPASSWORD", WRONG)
    sentences = {
        url.set(username="guarded"): REFUSED,
        url.set(username="crowded"): "accepts no more connections; raise max_connections of its server",
        url.set(username="unknown"): "does not let this role in; check the role and the database of its URL",
        url.set(database="elsewhere"): "elsewhere/volens_keyring does not exist; make it with 'createdb'",
        url.update_query_dict({"sslmode": "bogus"}): "has a URL that cannot be used; check its host, port and options",
        url.update_query_dict({"bogus": "1"}): "has a URL that cannot be used; check its host, port and options",
        url.set(host="nowhere.invalid", query={}): "has a URL that cannot be used; check its host, port and options",
        url.set(host="127.0.0.1", port=1, query={}): "does not answer or closed the connection",
        url.set(database="postgres"): "there is no site in postgres/volens_keyring; run 'volens init', or check the",
    }
    for wrong, sentence in sentences.items():
        moved(remote, wrong.render_as_string(hide_password=False))
        said = run_captured(capsys, "status", "--home", remote.site.home)
        assert (said.code, said.out, said.err.count("\n")) == (6, "", 1), (wrong, said)
        assert sentence in said.err
        assert WRONG not in said.err
    moved(remote, url.set(username="guarded").render_as_string(hide_password=False))
    for password, sentence in (
        ("", REFUSED),
        (RIGHT, "refuses this role; check the rights with 'volens store roles'"),
    ):
        monkeypatch.setenv("PGPASSWORD", password)
        said = run_captured(capsys, "status", "--home", remote.site.home)
        assert (said.code, said.out, sentence in said.err, RIGHT in said.err) == (6, "", True, False), said


def test_a_password_comes_from_the_pgpass_file_and_is_written_nowhere(
    broken: FaultyServer,
    remote: House,
    database: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broken.run("CREATE ROLE keeper SUPERUSER")
    require_password(broken, "keeper")
    passwords = tmp_path / "pgpass"
    passwords.write_text(f"*:*:*:keeper:{RIGHT}\n")
    monkeypatch.setenv("PGPASSFILE", str(passwords))
    moved(remote, make_url(database).set(username="keeper").render_as_string(hide_password=False))
    home = remote.site.home
    for mode in (0o644, 0o600):
        passwords.chmod(mode)
        # With the right password they end as well, later: the site's clock is in another century.
        said = [run_captured(capsys, one, "--home", home) for one in ("status", "fleet", "doctor")]
        texts = [" ".join(f"{one.out}{one.err}".split()) for one in said]
        assert {REFUSED in one for one in texts} == {mode == 0o644}, said
        assert not [one for one in texts if RIGHT in one]
    remote.reopen()
    assert remote.sees(remote.admit())
    assert [file for file in home.rglob("*") if file.is_file() and RIGHT.encode() in file.read_bytes()] == []


def test_what_was_left_in_a_schema_is_read_where_the_primary_is(broken: FaultyServer, database: str) -> None:
    with closing(LossyProxy(broken, database)) as proxy, closing(socket.create_server(("127.0.0.1", 0))) as closed:
        away = closed.getsockname()[1]
        closed.close()
        one = make_url(proxy.url)
        hosts = (f"127.0.0.1:{away}", f"127.0.0.1:{one.port}")
        both = one.set(host=None, port=None).update_query_dict({"host": hosts})
        url = DatabaseUrl.parse(both.render_as_string(hide_password=False), schema="volens")

        left = left_in_schema(url, "data")

        assert left is not None
        assert left[0] == REVISIONS[-1]
        remove_schema(url)
        assert left_in_schema(url, "data") is None
