"""Passages: noted after the decision, once a minute, for people with a consent only, and never in a door's way."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from typing import Any

import pytest
from house import MODEL, START, House, Person
from sqlalchemy import select

from volens.store import Transaction
from volens.store.people.passages import Passed, note_passages, prune_passages
from volens.store.schema import data_tables as tables


def rows(house: House) -> list[Any]:
    with house.store.read() as connection:
        return list(connection.execute(select(tables.passage).order_by(tables.passage.c.passage_id)))


def comes_in(house: House, *people: Person, how: Passed = Passed.IDENTIFIED) -> None:
    note_passages(house.store, [person.receipt_id for person in people], how, MODEL)


@contextmanager
def locked(house: House, file: str = "volens.db") -> Iterator[None]:
    """Have another process write."""
    with closing(sqlite3.connect(house.site.home / file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def keep_for(house: House, zone: str, days: int) -> None:
    house.site.add_zone(
        zone, custody="operator", justification="a", alternative="b", retention_days=300, match_history_days=days
    )
    house.site.publish_notice(zone, language="en", text=b"x")


def test_a_passage_is_noted_by_the_minute_and_once_in_it(house: House) -> None:
    ada, bea = house.admit(), house.admit()
    house.clock.move(seconds=42)
    comes_in(house, ada, bea)
    house.clock.move(seconds=10)
    comes_in(house, ada)
    house.clock.move(seconds=20)
    comes_in(house, ada)

    noted = [(row.receipt_id, row.matched_at) for row in rows(house)]
    assert sorted(noted) == sorted(
        [(ada.receipt_id, START), (bea.receipt_id, START), (ada.receipt_id, START.replace(minute=1))]
    )
    assert {(row.kind, row.model_id, row.purpose) for row in rows(house)} == {("identify", MODEL, "lobby")}


def test_passages_die_with_the_consent_and_none_is_noted_after_it(house: House) -> None:
    ada, bea = house.admit(), house.admit()
    comes_in(house, ada, bea)
    house.withdraw(ada)
    house.clock.move(minutes=5)
    comes_in(house, ada)

    assert [row.receipt_id for row in rows(house)] == [bea.receipt_id]


def test_nobodys_passage_is_noted_where_nobody_matched(house: House) -> None:
    house.admit()
    comes_in(house)
    assert rows(house) == []


def test_a_zone_that_keeps_no_history_gets_none(house: House) -> None:
    keep_for(house, "quiet", 0)
    comes_in(house, house.admit("quiet"), house.admit())
    assert [row.purpose for row in rows(house)] == ["lobby"]


@pytest.mark.parametrize(("days", "left"), [(7, 1), (8, 0)])
def test_the_sweep_deletes_what_is_past_its_zones_days_and_nothing_else(house: House, days: int, left: int) -> None:
    keep_for(house, "short", 7)
    comes_in(house, house.admit("short"), house.admit())
    house.clock.move(days=days)
    house.site.sweep()

    assert sorted(row.purpose for row in rows(house)) == ["lobby"] + ["short"] * left
    with house.store.write() as tx:
        assert prune_passages(tx) == 0


def test_a_locked_database_costs_the_passage_and_not_the_door(house: House) -> None:
    ada = house.admit()
    with locked(house):
        began = time.monotonic()
        comes_in(house, ada)
        assert time.monotonic() - began < 1
    assert rows(house) == []
    comes_in(house, ada)
    assert len(rows(house)) == 1


def test_whoever_is_not_in_a_hurry_waits_as_before(house: House) -> None:
    comes_in(house, house.admit())
    with house.store.read() as connection:
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 5000


def test_a_withdrawal_between_the_look_and_the_note_leaves_no_passage(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = house.admit()
    write = house.store.write

    def withdrawn_first(**options: bool) -> AbstractContextManager[Transaction]:
        monkeypatch.setattr(house.store, "write", write)
        house.withdraw(ada)
        return write(**options)

    monkeypatch.setattr(house.store, "write", withdrawn_first)
    comes_in(house, ada)
    assert rows(house) == []


def test_two_doors_at_once_note_one_passage(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    ada = house.admit()
    write = house.store.write

    def other_door_first(**options: bool) -> AbstractContextManager[Transaction]:
        monkeypatch.setattr(house.store, "write", write)
        comes_in(house, ada)
        return write(**options)

    monkeypatch.setattr(house.store, "write", other_door_first)
    comes_in(house, ada)
    assert len(rows(house)) == 1
