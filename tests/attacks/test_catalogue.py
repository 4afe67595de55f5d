"""Attacks on the rules of a database: a program that can write the file, and has no key, changes its schema."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from house import House
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from tests.unit.store.raw import DATA, KEYRING, change_schema, drop_triggers, lawless, peek, rolled_back
from volens import Site
from volens.consent import TamperError
from volens.erase import RestoreOrder, restore_site
from volens.store.sqlite import check_refusals
from volens.store.sqlite.catalogue import CatalogueCheck

Attack = Callable[[Path], None]
PROLONG = "UPDATE live_consent SET expires_at = '2999-01-01T00:00:00Z'"


def run(path: Path, *statements: str) -> None:
    """Run statements in one transaction, as the sqlite3 command does."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        for statement in statements:
            connection.execute(statement)
        connection.execute("COMMIT")


def rewrite_every_trigger(path: Path) -> None:
    """S10: each trigger that refuses something refuses the rows of the self-check only."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        for name, sql in connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall():
            if "RAISE" not in sql:
                continue
            head, _, body = sql.partition("BEGIN SELECT")
            head, _, condition = head.partition(" WHEN ")
            only = "EXISTS (SELECT 1 FROM zone WHERE purpose = '~operator')"
            connection.execute(f"DROP TRIGGER {name}")
            connection.execute(f"{head} WHEN {only} AND ({condition or 'true'}) BEGIN SELECT{body}")
        connection.execute("COMMIT")


def rewrite_one_trigger(path: Path) -> None:
    name = "live_consent_expires_at_is_only_moved_earlier"
    ((sql,),) = peek(path, "SELECT sql FROM sqlite_master WHERE name = ?", name)
    run(path, f"DROP TRIGGER {name}", sql.replace("WHEN ", "WHEN OLD.purpose LIKE '~%' AND "))


def drop_one_trigger(path: Path) -> None:
    drop_triggers(path, "live_consent_expires_at_is_only_moved_earlier")


def rename_one_trigger(path: Path) -> None:
    name = "zone_is_not_deleted"
    ((sql,),) = peek(path, "SELECT sql FROM sqlite_master WHERE name = ?", name)
    run(path, f"DROP TRIGGER {name}", sql.replace(name, "zone_is_not_erased"))


def ignore_the_end_of_a_consent(path: Path) -> None:
    """S11."""
    run(path, "CREATE TRIGGER keep BEFORE DELETE ON live_consent BEGIN SELECT RAISE(IGNORE); END")


def stash_what_is_deleted(path: Path) -> None:
    """S12."""
    run(
        path,
        "CREATE TABLE stash (bytes TEXT)",
        "CREATE TRIGGER stash_it AFTER DELETE ON biometric_reference"
        " BEGIN INSERT INTO stash VALUES (hex(OLD.sealed_embedding)); END",
    )


def add_an_index(path: Path) -> None:
    run(path, "CREATE INDEX copy_of_digests ON receipt (withdrawal_digest)")


def put_a_view_in_the_place_of_a_table(path: Path) -> None:
    run(
        path,
        "PRAGMA legacy_alter_table = ON",
        "ALTER TABLE live_consent RENAME TO live_consent_before",
        "CREATE VIEW live_consent AS SELECT receipt_id, subject_id, purpose, '2999-01-01T00:00:00Z' AS expires_at"
        " FROM live_consent_before",
    )


def add_a_column(path: Path) -> None:
    run(path, "ALTER TABLE site ADD COLUMN remark TEXT")


def collect_statistics(path: Path) -> None:
    """ANALYZE copies values of indexes, such as ids of receipts, into tables that no erasure knows."""
    run(path, "ANALYZE")


def set_user_version(path: Path) -> None:
    run(path, "PRAGMA user_version = 7")


def set_application_id(path: Path) -> None:
    run(path, "PRAGMA application_id = 7")


def weaken_a_check(path: Path) -> None:
    change_schema(path, "second_factor", "CHECK (failures BETWEEN 0 AND 5)", "CHECK (failures >= 0)")


def take_the_uniqueness_of_a_digest(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        unique = ", \n\tUNIQUE (purpose, digest)"
        changed = connection.execute(
            "UPDATE sqlite_master SET sql = replace(sql, ?, '') WHERE name = 'external_id' AND instr(sql, ?)",
            (unique, unique),
        )
        assert changed.rowcount == 1
        connection.execute("DELETE FROM sqlite_master WHERE type = 'index' AND tbl_name = 'external_id'")


def make_an_index_of_something_else(path: Path) -> None:
    run(path, "DROP INDEX ix_live_consent_expires_at")
    run(path, "CREATE UNIQUE INDEX ix_live_consent_expires_at ON live_consent (purpose)")


def change_the_text_of_a_trigger_in_place(path: Path) -> None:
    """`PRAGMA schema_version` stays as it was, so that no open connection compiles the rules again."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute(
            "UPDATE sqlite_master SET sql = replace(sql, 'OLD.expires_at', '''''')"
            " WHERE name = 'live_consent_expires_at_is_only_moved_earlier'"
        )


ADVICE = "another program changed it; restore it from a backup"
COMPILED_AGAIN: dict[Attack, str] = {
    rewrite_every_trigger: "has another trigger 'access_request_is_extended_once_and_in_time' than .*, and 1.. more",
    rewrite_one_trigger: "has another trigger 'live_consent_expires_at_is_only_moved_earlier' than",
    drop_one_trigger: "lacks the trigger 'live_consent_expires_at_is_only_moved_earlier'",
    rename_one_trigger: "lacks the trigger 'zone_is_not_deleted', and 1 more differ",
    ignore_the_end_of_a_consent: "has an additional trigger 'keep'",
    stash_what_is_deleted: "has an additional table 'stash', and 1 more differ",
    add_an_index: "has an additional index 'copy_of_digests'",
    put_a_view_in_the_place_of_a_table: "live_consent",
    make_an_index_of_something_else: "has another index 'ix_live_consent_expires_at' than",
    add_a_column: "has another table 'site' than this version makes",
    collect_statistics: "has an additional table 'sqlite_stat[14]'",
}
NOT_COMPILED_AGAIN: dict[Attack, str] = {
    set_user_version: "has user_version 7 in its header, expected 0",
    set_application_id: "has application_id 7 in its header, expected 0",
    weaken_a_check: "has another table 'second_factor' than this version makes",
    take_the_uniqueness_of_a_digest: "lacks the index 'sqlite_autoindex_external_id_1', and 2 more differ",
    change_the_text_of_a_trigger_in_place: "has another trigger 'live_consent_expires_at_is_only_moved_earlier' than",
}
EVERY = COMPILED_AGAIN | NOT_COMPILED_AGAIN


@pytest.fixture
def path(house: House) -> Iterator[Path]:
    house.admit()
    return house.site.home / DATA


@pytest.mark.parametrize("attack", EVERY, ids=lambda one: one.__name__)
def test_a_site_with_another_schema_does_not_open(house: House, path: Path, attack: Attack) -> None:
    house.site.close()
    attack(path)

    with pytest.raises(TamperError, match=f"^integrity: volens.db .*{EVERY[attack]}.*; {ADVICE}$"):
        Site.open(house.site.home, clock=house.clock)


@pytest.mark.parametrize("attack", COMPILED_AGAIN, ids=lambda one: one.__name__)
def test_an_open_site_refuses_before_it_reads_or_writes(house: House, path: Path, attack: Attack) -> None:
    (person,) = house.people
    assert house.sees(person)
    attack(path)
    before = peek(path, "SELECT count(*) FROM audit_event")

    with pytest.raises(TamperError, match=COMPILED_AGAIN[attack]):
        house.sees(person)
    with pytest.raises(TamperError, match=COMPILED_AGAIN[attack]):
        house.withdraw(person)
    with pytest.raises(TamperError, match=COMPILED_AGAIN[attack]), house.store.read_prepared():
        pass

    assert peek(path, "SELECT count(*) FROM audit_event") == before


@pytest.mark.parametrize("attack", NOT_COMPILED_AGAIN, ids=lambda one: one.__name__)
def test_an_open_site_refuses_it_on_its_next_connection(house: House, path: Path, attack: Attack) -> None:
    (person,) = house.people
    attack(path)
    house.store.drop_caches()

    with pytest.raises(TamperError, match=NOT_COMPILED_AGAIN[attack]):
        house.sees(person)


def test_a_connection_keeps_the_rules_that_were_compared_on_it(house: House, path: Path) -> None:
    """A text that was rewritten in place is compiled by new connections only, and they refuse it."""
    change_the_text_of_a_trigger_in_place(path)

    with house.store.data.write() as connection, pytest.raises(IntegrityError, match="is only moved earlier"):
        connection.execute(text(PROLONG))


def test_the_self_check_alone_does_not_notice_rewritten_triggers(house: House, path: Path) -> None:
    """S10, which is why the catalogue is compared: every act is refused, and a plain UPDATE is not."""
    house.site.close()
    rewrite_every_trigger(path)

    with rolled_back(path) as connection:
        check_refusals(connection)
        assert connection.execute(text(PROLONG)).rowcount == 1


def test_rules_that_are_put_back_byte_for_byte_are_accepted(house: House, path: Path) -> None:
    """S3: the schema is the same again. What was changed meanwhile are rows, which other tests are about."""
    with lawless(path):
        pass
    assert house.sees(house.people[0])
    house.reopen()
    assert house.sees(house.people[0])


def test_a_trigger_planted_in_the_keyring_is_refused(house: House) -> None:
    house.admit()
    plant = "CREATE TRIGGER keep BEFORE DELETE ON grant_secret BEGIN SELECT RAISE(IGNORE); END"
    run(house.site.home / KEYRING, plant)

    with pytest.raises(TamperError, match=r"keyring\.db has an additional trigger 'keep'"):
        house.invite()
    house.site.close()
    with pytest.raises(TamperError, match=r"keyring\.db has an additional trigger 'keep'"):
        Site.open(house.site.home, clock=house.clock)


def test_text_that_sqlite_cannot_read_is_called_damaged(house: House, path: Path) -> None:
    house.site.close()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("UPDATE sqlite_master SET sql = 'CREATE TABLE' WHERE name = 'zone'")

    with pytest.raises(TamperError, match=r"integrity: volens\.db is damaged; restore it from a backup"):
        Site.open(house.site.home, clock=house.clock)


def test_a_file_in_another_encoding_is_refused(house: House, path: Path) -> None:
    """An erasure would search it for UTF-8."""
    house.site.close()
    with closing(sqlite3.connect(path)) as connection:
        statements = "\n".join(connection.iterdump())
    path.unlink()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA encoding = 'UTF-16le'")
        connection.executescript(statements)

    with pytest.raises(TamperError, match="encoding 'UTF-16le' in its header, expected 'UTF-8'"):
        Site.open(house.site.home, clock=house.clock)


def test_rules_that_were_compiled_and_put_back_before_the_look_are_not_obeyed(path: Path) -> None:
    """The text and the version are right when they are compared, and the connection still has the planted rule."""
    ((version,),) = peek(path, "PRAGMA schema_version")
    ignore_the_end_of_a_consent(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL").close()  # compiles the schema
        run(path, "DROP TRIGGER keep", f"PRAGMA schema_version = {version + 1}")
        connection.execute("BEGIN IMMEDIATE")
        CatalogueCheck(DATA, "data").check(connection, {})
        assert connection.execute("DELETE FROM live_consent").rowcount == 1
        connection.execute("ROLLBACK")


def test_a_backup_of_planted_rules_is_not_made(house: House, path: Path, tmp_path: Path) -> None:
    ignore_the_end_of_a_consent(path)
    with pytest.raises(TamperError, match="additional trigger 'keep'"):
        house.site.backup(tmp_path / "backup")
    assert not (tmp_path / "backup").exists()


def test_the_advice_cures_it(house: House, path: Path, tmp_path: Path) -> None:
    house.site.backup(tmp_path / "backup")
    house.site.close()
    stash_what_is_deleted(path)

    order = RestoreOrder(tmp_path / "backup", in_place=True)
    restore_site(house.site.home, order, clock=house.clock, random=house.bits.randbytes, progress=lambda *_: None)

    house.reopen()
    assert house.sees(house.people[0])
    assert peek(path, "SELECT name FROM sqlite_master WHERE name LIKE 'stash%'") == []
