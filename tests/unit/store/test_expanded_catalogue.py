"""Expanded catalogues: every rule of ours must be there, to the letter, and additions change none of our statements."""

import sqlite3
from collections.abc import Iterable
from contextlib import closing

import pytest

from volens.store.catalogue_difference import catalogue_digest
from volens.store.sqlite.expanded_catalogue import Entry, extends, plain_entry

OURS = (
    "CREATE TABLE a (\n\tname TEXT NOT NULL, \n\tseen TEXT CHECK (length(seen) = 3), \n\tPRIMARY KEY (name)\n) STRICT",
    "CREATE TABLE b (\n\tnumber INTEGER\n) STRICT",
    "CREATE INDEX ix_a_seen ON a (seen)",
    "CREATE TRIGGER a_keeps BEFORE DELETE ON a BEGIN SELECT RAISE(ABORT, 'kept'); END",
)


def entries(statements: Iterable[str]) -> list[Entry]:
    with closing(sqlite3.connect(":memory:")) as connection:
        for one in statements:
            connection.execute(one)
        rows = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master").fetchall()
    return [plain_entry(*row) for row in rows]


GOOD = {
    "nothing": (),
    "a nullable column": ("ALTER TABLE a ADD COLUMN host TEXT",),
    "two columns with a check": (
        "ALTER TABLE a ADD COLUMN host TEXT CHECK (length(host) BETWEEN 1 AND 9)",
        "ALTER TABLE a ADD COLUMN weight INTEGER",
    ),
    "a column after the only one": ("ALTER TABLE b ADD COLUMN more BLOB CHECK (length(more) > (2 + 1))",),
    "a table with an index and a rule": (
        "CREATE TABLE c (id INTEGER) STRICT",
        "CREATE INDEX ix_c ON c (id)",
        "CREATE TRIGGER c_keeps BEFORE DELETE ON c BEGIN SELECT RAISE(ABORT, 'kept'); END",
    ),
    "another rule of an old table": (
        "CREATE TRIGGER a_grows BEFORE INSERT ON a WHEN NEW.name = '' BEGIN SELECT RAISE(ABORT, 'no'); END",
    ),
}

BAD = {
    "a rule less": ("DROP TRIGGER a_keeps",),
    "a changed rule": (
        "DROP TRIGGER a_keeps",
        "CREATE TRIGGER a_keeps BEFORE DELETE ON a WHEN OLD.name = '~' BEGIN SELECT RAISE(ABORT, 'kept'); END",
    ),
    "a rule that moved to another table": (
        "DROP TRIGGER a_keeps",
        "CREATE TRIGGER a_keeps BEFORE DELETE ON b BEGIN SELECT RAISE(ABORT, 'kept'); END",
    ),
    "an index less": ("DROP INDEX ix_a_seen",),
    "a column that must be filled": ("ALTER TABLE a ADD COLUMN host TEXT NOT NULL DEFAULT 'x'",),
    "a column with a default": ("ALTER TABLE a ADD COLUMN host TEXT DEFAULT 'x'",),
    "a check that refuses rows without it": ("ALTER TABLE a ADD COLUMN host TEXT CHECK (host IS NOT NULL)",),
    "a generated column": ("ALTER TABLE a ADD COLUMN host TEXT AS (name) VIRTUAL",),
    "a column that refers to a table": ("ALTER TABLE a ADD COLUMN host INTEGER REFERENCES b (number)",),
    "a column less": ("DROP INDEX ix_a_seen", "ALTER TABLE a DROP COLUMN seen"),
    "a renamed column": ("ALTER TABLE a RENAME COLUMN name TO title",),
    "a view": ("CREATE VIEW v AS SELECT name FROM a",),
}


@pytest.mark.parametrize("more", GOOD)
def test_additions_extend_our_catalogue(more: str) -> None:
    assert extends(entries([*OURS, *GOOD[more]]), entries(OURS))


@pytest.mark.parametrize("more", BAD)
def test_what_removes_or_changes_a_rule_does_not_extend_ours(more: str) -> None:
    assert not extends(entries([*OURS, *BAD[more]]), entries(OURS))


def test_a_column_that_is_added_looks_as_in_a_new_file() -> None:
    new = OURS[0].replace(", \n\tPRIMARY", ", \n\thost TEXT, \n\tPRIMARY")
    assert set(entries([*OURS, "ALTER TABLE a ADD COLUMN host TEXT"])) == set(entries([new, *OURS[1:]]))


def test_the_digest_is_of_the_entries_in_any_order_and_of_each_letter() -> None:
    ours = entries(OURS)
    assert catalogue_digest(ours) == catalogue_digest(ours[::-1])
    kind, name, table, sql = ours[-1]
    assert catalogue_digest([*ours[:-1], (kind, name, table, f"{sql} ")]) != catalogue_digest(ours)
