"""Decisions in the audit log: a match opens as long as its visit is kept; counts contain no person."""

import sqlite3
import time
from contextlib import closing
from datetime import timedelta

import pytest
from connections import lock_timeout
from house import MODEL, START, House
from patience import PATIENCE_S
from reading_log import kinds, kinds_in_shards, opened
from sqlalchemy import select

from tests.unit.store.test_visits import keep_for, locked
from volens.audit import read_leaf
from volens.audit.shard import SHARD_OPENED
from volens.consent import Purpose, format_time
from volens.rights import held_under
from volens.store.people import MATCHED, VisitKind
from volens.store.programs import COUNTED, COUNTS_KEPT, ENDED, STARTED, DecisionCount, Role
from volens.store.programs.decision_counts import CallerActivity
from volens.store.schema import data_tables as tables


def test_a_match_that_begins_a_visit_is_in_the_log_with_the_door_that_asked(house: House) -> None:
    ada, bea = house.admit(), house.admit()
    house.clock.move(seconds=42)
    house.visit(ada, caller="0123456789abcdef")
    house.visit(ada, caller="0123456789abcdef")
    house.visit(bea, kind=VisitKind.VERIFIED)
    said = {"zone": "lobby", "minute": format_time(START), "model": MODEL}
    assert opened(house.store, MATCHED) == [
        {**said, "receipt_id": ada.receipt_id, "kind": "identify", "asked_by": "0123456789abcdef"},
        {**said, "receipt_id": bea.receipt_id, "kind": "verify"},
    ]
    assert house.site.log.verify().shards.kinds[MATCHED] == 2


def test_the_leaf_contains_the_minute_and_not_the_second(house: House) -> None:
    ada = house.admit()
    house.clock.move(seconds=42)
    house.visit(ada)
    with house.store.read() as connection:
        leaf = connection.scalar(select(tables.shard_leaf.c.leaf))
        opening = connection.scalars(
            select(tables.audit_event.c.leaf).order_by(tables.audit_event.c.seq.desc())
        ).first()
    assert leaf is not None
    assert opening is not None
    assert read_leaf(leaf) == (MATCHED, START)
    assert read_leaf(opening) == (SHARD_OPENED, START)


def test_after_an_erasure_the_matches_do_not_open_and_the_log_verifies(house: House) -> None:
    ada, bea = house.admit(), house.admit()
    for _ in range(3):
        house.visit(ada, bea)
        house.clock.move(minutes=1)
    house.withdraw(ada)
    assert {one["receipt_id"] for one in opened(house.store, MATCHED)} == {bea.receipt_id}
    assert kinds_in_shards(house.store).count(MATCHED) == 6
    assert house.site.log.verify().shards.kinds[MATCHED] == 6
    with house.store.read() as connection:
        assert len(connection.execute(select(tables.shard_opening)).all()) == 3


@pytest.mark.parametrize(("days", "left"), [(7, 1), (8, 0)])
def test_the_opening_of_a_match_is_deleted_with_its_visit(house: House, days: int, left: int) -> None:
    keep_for(house, "short", 7)
    house.visit(house.admit("short"), house.admit())
    house.clock.move(days=days)
    house.site.sweep()
    assert sorted(one["zone"] for one in opened(house.store, MATCHED)) == ["lobby"] + ["short"] * left
    assert house.site.log.verify().shards.kinds[MATCHED] == 2


def test_a_zone_without_match_history_has_none_in_the_log(house: House) -> None:
    keep_for(house, "quiet", 0)
    house.visit(house.admit("quiet"))
    assert kinds_in_shards(house.store) == []
    assert SHARD_OPENED not in kinds(house.store)


def test_a_face_that_does_not_match_is_not_in_the_log(house: House) -> None:
    house.admit()
    before = kinds(house.store)
    assert house.look_at(house.face()).match is None
    house.visit()
    assert kinds(house.store) == before
    assert kinds_in_shards(house.store) == []


@pytest.mark.parametrize("file", ["volens.db", "keyring.db"])
def test_a_locked_file_does_not_delay_the_door_and_the_log_stays_whole(house: House, file: str) -> None:
    ada = house.admit()
    with lock_timeout(PATIENCE_S), locked(house, file):
        began = time.monotonic()
        house.visit(ada)
        assert time.monotonic() - began < PATIENCE_S / 2
    house.clock.move(minutes=1)
    house.visit(ada)
    matches = opened(house.store, MATCHED)
    assert len(matches) == {"volens.db": 1, "keyring.db": 2}[file]
    house.site.log.verify()
    house.reopen()
    with house.store.read() as connection:
        assert len(connection.execute(select(tables.passage)).all()) == len(matches)


def test_the_access_answer_names_the_door(house: House) -> None:
    ada = house.admit()
    credential, _ = house.site.programs.credentials.issue(label="lobby, left door", role=Role.DOOR, zone="lobby")
    for caller in (credential.credential_id, "oidc:0123456789abcdef"):
        house.visit(ada, caller=caller)
        house.clock.move(minutes=1)
    house.visit(ada)
    with house.store.read() as connection:
        held = held_under(house.store, connection, ada.receipt_id)
    assert held is not None
    assert [(one["asked_by"], one["door"]) for one in held.rows["passage"]] == [
        (credential.credential_id, "lobby, left door"),
        ("oidc:0123456789abcdef", None),
        (None, None),
    ]
    assert held.counts["audit entries that open"] == 2 + 3


def test_counts_are_one_leaf_for_each_caller_and_operation(house: House) -> None:
    log = house.site.programs.decisions
    one = DecisionCount("door-1", Purpose("lobby"), "identify", {"allowed": 3}, {"match": 1, "no_match": 4})
    two = DecisionCount("none", None, "list_zones", {"unknown": 7}, {})
    log.started("run")
    log.counted("run", START, START + timedelta(minutes=1), [one, two])
    log.counted("run", START, START, [])
    log.ended("run")
    span = {"run": "run", "from": format_time(START), "to": format_time(START + timedelta(minutes=1))}
    assert opened(house.store, COUNTED) == [
        {
            **span,
            "caller": "door-1",
            "zone": "lobby",
            "operation": "identify",
            "answers_allowed": 3,
            "faces_match": 1,
            "faces_no_match": 4,
        },
        {**span, "caller": "none", "operation": "list_zones", "answers_unknown": 7},
    ]
    assert kinds(house.store)[-4:] == [STARTED, SHARD_OPENED, SHARD_OPENED, ENDED]
    assert kinds_in_shards(house.store) == [COUNTED, COUNTED]
    assert opened(house.store, STARTED) == opened(house.store, ENDED) == [{"run": "run"}]


def test_faces_are_counted_only_with_a_match_history_and_as_long_as_it(house: House) -> None:
    keep_for(house, "quiet", 0)
    keep_for(house, "short", 7)
    faces = {"match": 1, "no_match": 2}
    counts = [
        DecisionCount(zone, Purpose(zone), "identify", {"allowed": 1}, faces) for zone in ("quiet", "short", "gone")
    ]
    house.site.programs.decisions.counted("run", START, START, counts)
    with_faces = {one["caller"] for one in opened(house.store, COUNTED) if "faces_match" in one}
    assert with_faces == {"short"}
    for days, left in ((7, {"quiet", "short", "gone"}), (1, {"quiet", "gone"}), (COUNTS_KEPT.days, set())):
        house.clock.move(days=days)
        house.site.sweep()
        assert {one["caller"] for one in opened(house.store, COUNTED)} == left
    report = house.site.log.verify().shards
    assert (report.kinds, report.ended) == ({COUNTED: 2}, 1), "the shard of the zone with seven days has ended"


def test_what_opens_for_a_time_only_is_not_kept_longer_by_any_statement(house: House) -> None:
    house.visit(house.admit())
    house.site.programs.decisions.counted("run", START, START, [DecisionCount("door-1", None, "identify", {}, {})])
    with closing(sqlite3.connect(house.site.home / "volens.db", isolation_level=None)) as raw:
        with pytest.raises(sqlite3.IntegrityError, match="shard_opening is not changed"):
            raw.execute("UPDATE shard_opening SET ends_at = '9999-01-01T00:00:00Z'")
        raw.execute("DELETE FROM shard_opening")
    assert opened(house.store, MATCHED) == opened(house.store, COUNTED) == []
    assert house.site.log.verify().shards.kinds == {MATCHED: 1, COUNTED: 1}


def test_counts_are_shown_and_summed_from_their_shards(house: House) -> None:
    log = house.site.programs.decisions
    for minute in range(3):
        begin = START + timedelta(minutes=minute)
        log.counted("run", begin, begin, [DecisionCount("door-1", Purpose("lobby"), "identify", {"allowed": 2}, {})])
        log.counted(
            "run", begin, begin, [DecisionCount("door-1", Purpose("lobby"), "verify", {"failed": 1}, {"match": 1})]
        )
        house.clock.move(minutes=1)
    assert len({one.name for one in house.site.log.verify().shards.shards}) == 2
    since = START + timedelta(minutes=1)
    assert log.activity(since) == {"door-1": CallerActivity(6, 2, since + timedelta(minutes=1))}
    shown = house.site.log.opened(COUNTED)
    assert [one.at for one in shown] == sorted(START + timedelta(minutes=minute) for minute in (0, 0, 1, 1, 2, 2))
    assert house.site.log.opened()[0].kind == "site.created"
