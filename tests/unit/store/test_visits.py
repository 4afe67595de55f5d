"""Visits: recorded once, after the decision, for people with a consent only, and never in a door's way."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from typing import Any

import pytest
from connections import lock_timeout
from declared_gates import open_gates
from house import MODEL, START, House
from patience import PATIENCE_S
from reading_log import kinds_in_shards
from sqlalchemy import select

from volens.consent import UnavailableError
from volens.service.sample_notice import publish_sample_notice
from volens.store import Transaction
from volens.store.people import MATCHED, VisitKind, prune_visits
from volens.store.programs import MessageKind
from volens.store.schema import data_tables as tables


def rows(house: House) -> list[Any]:
    with house.store.read() as connection:
        return list(connection.execute(select(tables.passage).order_by(tables.passage.c.passage_id)))


@contextmanager
def locked(house: House, file: str = "volens.db") -> Iterator[None]:
    """Hold the write lock, as another process does."""
    with closing(sqlite3.connect(house.site.home / file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def keep_for(house: House, zone: str, days: int) -> None:
    house.site.add_zone(
        zone, custody="operator", justification="a", alternative="b", retention_days=300, match_history_days=days
    )
    open_gates(house.site, zone)
    publish_sample_notice(house.site, zone, more="x")


def test_a_visit_is_recorded_by_the_minute_and_once_in_it(house: House) -> None:
    ada, bea = house.admit(), house.admit()
    house.clock.move(seconds=42)
    house.visit(ada, bea)
    house.clock.move(seconds=10)
    house.visit(ada)
    house.clock.move(seconds=20)
    house.visit(ada)

    noted = [(row.receipt_id, row.matched_at) for row in rows(house)]
    assert sorted(noted) == sorted(
        [(ada.receipt_id, START), (bea.receipt_id, START), (ada.receipt_id, START.replace(minute=1))]
    )
    assert {(row.kind, row.model_id, row.purpose) for row in rows(house)} == {("identify", MODEL, "lobby")}


def test_visits_end_with_the_consent_and_none_is_recorded_after_it(house: House) -> None:
    ada, bea = house.admit(), house.admit()
    house.visit(ada, bea)
    house.withdraw(ada)
    house.clock.move(minutes=5)
    house.visit(ada)

    assert [row.receipt_id for row in rows(house)] == [bea.receipt_id]


def test_no_visit_is_recorded_without_a_match(house: House) -> None:
    house.admit()
    house.visit()
    assert rows(house) == []


def test_a_zone_without_history_keeps_no_visit(house: House) -> None:
    keep_for(house, "quiet", 0)
    house.visit(house.admit("quiet"), house.admit())
    assert [row.purpose for row in rows(house)] == ["lobby"]


@pytest.mark.parametrize(("days", "left"), [(7, 1), (8, 0)])
def test_the_sweep_deletes_visits_past_the_days_of_their_zone_and_no_others(house: House, days: int, left: int) -> None:
    keep_for(house, "short", 7)
    house.visit(house.admit("short"), house.admit())
    house.clock.move(days=days)
    house.site.sweep()

    assert sorted(row.purpose for row in rows(house)) == ["lobby"] + ["short"] * left
    with house.store.write() as tx:
        assert prune_visits(tx) == 0


def test_a_locked_data_file_costs_the_record_and_does_not_delay_the_door(house: House) -> None:
    ada = house.admit()
    with lock_timeout(PATIENCE_S), locked(house):
        began = time.monotonic()
        house.visit(ada)
        assert time.monotonic() - began < PATIENCE_S / 2
    assert rows(house) == []
    house.visit(ada)
    assert len(rows(house)) == 1


def test_other_transactions_still_wait_for_the_lock(house: House) -> None:
    house.visit(house.admit())
    with house.store.read() as connection:
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 5000


def test_a_withdrawal_just_before_the_record_leaves_no_visit(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    ada = house.admit()
    write = house.store.write

    def withdrawn_first(**options: bool) -> AbstractContextManager[Transaction]:
        monkeypatch.setattr(house.store, "write", write)
        house.withdraw(ada)
        return write(**options)

    monkeypatch.setattr(house.store, "write", withdrawn_first)
    house.visit(ada)
    assert rows(house) == []


def test_two_doors_at_once_record_one_visit(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    ada = house.admit()
    write = house.store.write

    def other_door_first(**options: bool) -> AbstractContextManager[Transaction]:
        monkeypatch.setattr(house.store, "write", write)
        house.visit(ada)
        return write(**options)

    monkeypatch.setattr(house.store, "write", other_door_first)
    house.visit(ada)
    assert len(rows(house)) == 1


def test_a_person_who_stays_for_minutes_makes_one_visit(house: House) -> None:
    ada = house.admit()
    for _ in range(20):
        house.visit(ada)
        house.clock.move(seconds=9)
    assert len(rows(house)) == 1
    house.clock.move(seconds=1)
    house.visit(ada)
    assert len(rows(house)) == 2


def test_a_visit_that_goes_on_takes_no_snapshot(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    ada = house.admit()
    house.visit(ada)
    monkeypatch.setattr(house.store, "read_prepared", None)
    house.visit(ada)


@pytest.mark.parametrize("kind", VisitKind)
def test_a_visit_is_recorded_whole_or_not_at_all(
    house: House, monkeypatch: pytest.MonkeyPatch, kind: VisitKind
) -> None:
    ada = house.admit()
    house.site.rights.recipients.add("lobby", "panel")
    wanted = [MessageKind.DOOR_DECISION]
    house.site.programs.endpoints.add("lobby", "panel", url="https://example.org/", kinds=wanted)
    house.clock.move(days=1)

    def full(*_: object) -> None:
        raise UnavailableError("volens.db could not be written, the disk is full")

    def recorded() -> tuple[int, int, int, int]:
        with house.store.read() as connection:
            interactions = select(tables.last_interaction).where(tables.last_interaction.c.interacted_at > START)
            visited = len(connection.execute(interactions).all())
        return (
            len(rows(house)),
            visited,
            kinds_in_shards(house.store).count(MATCHED),
            len(house.site.programs.outbox.list()),
        )

    with monkeypatch.context() as patch:
        patch.setattr("volens.identify.visit_recorder.enqueue", full)
        house.visit(ada, kind=kind)
    assert recorded() == (0, 0, 0, 0)
    house.visit(ada, kind=kind)
    assert recorded() == (1, 1, 1, 1)
