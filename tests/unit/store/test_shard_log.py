"""Shards of the log: visits leave the main log, and end with their shard; each shard verifies alone."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from counted_queries import CountedQueries
from house import House
from reading_log import kinds, kinds_in_shards, opened
from sqlalchemy import delete, insert

from tests.unit.store.raw import DATA, KEYRING, peek, tamper
from volens.audit import Checkpoint, open_checkpoint, root, verify_log_file
from volens.audit.frontier import Frontier
from volens.audit.shard import SHARD_ANCHORED, SHARD_CLOSED, SHARD_DELETED, SHARD_OPENED, shard_key
from volens.consent import TamperError, UnavailableError, UnknownError
from volens.store.log.keyring_memory import read_memory
from volens.store.log.remembrance import accept_shards
from volens.store.log.shard_log import shard_heads, shard_nodes
from volens.store.log.shard_memory import shard_changes
from volens.store.log.shard_report import VerifiedShard
from volens.store.people import MATCHED
from volens.store.schema.keyring_tables import remembered_shard

DAYS_KEPT = 90


def shards(house: House) -> list[VerifiedShard]:
    return list(house.site.log.verify().shards.shards)


def data(house: House) -> Path:
    return house.site.home / DATA


def visit_for(house: House, minutes: int, *zones: str) -> None:
    """Somebody visits each zone once a minute."""
    people = [house.admit(zone) for zone in zones or ("lobby",)]
    for _ in range(minutes):
        house.visit(*people)
        house.clock.move(minutes=1)


def test_visits_grow_their_shard_and_not_the_main_log(house: House) -> None:
    visit_for(house, 1)
    size = house.site.log.verify().size
    for _ in range(5):
        house.visit(house.people[0])
        house.clock.move(minutes=1)
    report = house.site.log.verify()
    assert (report.size, report.kinds.get(MATCHED), report.shards.kinds) == (size, None, {MATCHED: 6})
    assert (report.shards.entries, report.shards.ended, report.shards.lost) == (6, 0, 0)
    assert house.store.generation() == size  # so no gallery reads the log again because of a visit


def test_the_main_log_states_the_heads_of_open_shards_once_an_hour(house: House) -> None:
    house.declare("lab")
    people = [house.admit(), house.admit("lab")]
    for _ in range(12):
        house.visit(*people)
        house.clock.move(minutes=15)
    house.clock.move(hours=5)
    assert kinds(house.store).count(SHARD_ANCHORED) == 2
    *_, last = opened(house.store, SHARD_ANCHORED)
    assert sorted(head.split()[0] for head in last.values()) == ["9", "9"]
    assert {head.split()[0] for head in opened(house.store, SHARD_ANCHORED)[0].values()} == {"5"}
    house.site.log.verify()
    cut_off_with_keys(house, 8)
    with pytest.raises(TamperError, match="whose first 9 entries the main log states"):
        house.site.log.verify()


def cut_off_with_keys(house: House, size: int) -> None:
    """Cut entries off every shard, and sign what is left, as a holder of all keys can."""
    tamper(data(house), "DELETE FROM shard_opening")
    tamper(data(house), "DELETE FROM shard_leaf WHERE seq >= ?", size)
    for index, name in peek(data(house), "SELECT log_index, name FROM log_shard"):
        with house.store.read() as connection:
            head = Checkpoint(f"{house.store.origin}/{name}", size, root(size, shard_nodes(connection, index)))
        note = house.store.keyring.sign_checkpoint(head)
        change = "UPDATE log_shard SET size = ?, root = ?, note = ? WHERE log_index = ?"
        tamper(data(house), change, size, head.root, note, index)
    with house.store.read() as connection:
        accept_shards(house.store.keyring, connection)


def test_each_zone_and_month_has_a_shard_whose_size_and_root_the_main_log_states(house: House) -> None:
    house.declare("lab")
    visit_for(house, 3, "lobby", "lab")
    house.clock.move(days=31)
    house.visit(house.people[0])
    lobby, lab, later = shards(house)
    assert [one.name.rsplit("/", 1)[0] for one in (lobby, lab, later)] == [
        "visits/lobby/2099-03",
        "visits/lab/2099-03",
        "visits/lobby/2099-04",
    ]
    assert [(one.size, one.is_closed) for one in (lobby, lab, later)] == [(3, True), (3, False), (1, False)]
    (said,) = opened(house.store, SHARD_CLOSED)
    assert (said["shard"], said["size"], said["root"]) == (lobby.name, lobby.size, lobby.root.hex())
    assert [one["shard"] for one in opened(house.store, SHARD_OPENED)] == [lobby.name, lab.name, later.name]
    house.site.sweep()
    assert [one.is_closed for one in shards(house)] == [True, True, False]


def test_a_shard_verifies_alone_as_a_log_of_its_own(house: House) -> None:
    visit_for(house, 5)
    (shard,) = shards(house)
    assert house.site.log.verify_shards(shard.name).shards == [shard]
    ((note, index),) = peek(data(house), "SELECT note, log_index FROM log_shard")
    key = shard_key(house.site.verifier_key, shard.name, index)
    assert open_checkpoint(note, key) == Checkpoint(f"{house.store.origin}/{shard.name}", 5, shard.root)
    with pytest.raises(TamperError):
        open_checkpoint(note, house.site.verifier_key)
    lines = list(house.site.log.export(shard.name))
    assert verify_log_file(lines, house.site.verifier_key).head.root == shard.root
    with pytest.raises(TamperError, match="the first 4 entries are not those of the signed checkpoint 5"):
        verify_log_file([*lines[:-2], lines[-1]], house.site.verifier_key)
    for act in (house.site.log.verify_shards, house.site.log.export):
        with pytest.raises(UnknownError, match="no shard 'visits/lobby/2099-03/0'"):
            list(act("visits/lobby/2099-03/0"))


def test_after_its_term_a_shard_is_deleted_as_a_whole_and_the_log_still_proves_it(house: House) -> None:
    visit_for(house, 3)
    (shard,) = shards(house)
    house.clock.move(days=30 + DAYS_KEPT)
    house.site.sweep()
    assert kinds_in_shards(house.store) == [MATCHED] * 3, "the first visit is over, the last of the month would not be"
    assert opened(house.store, MATCHED) == []
    house.clock.move(days=1)
    house.site.sweep()
    for table in ("log_shard", "shard_leaf", "shard_opening"):
        assert peek(data(house), f"SELECT count(*) FROM {table}") == [(0,)]  # noqa: S608  names of this test
    report = house.site.log.verify()
    assert (report.shards.shards, report.shards.ended, report.shards.lost) == ([], 1, 0)
    (said,) = opened(house.store, SHARD_CLOSED)
    assert (said["shard"], said["size"], said["root"]) == (shard.name, 3, shard.root.hex())
    assert kinds(house.store).count(SHARD_DELETED) == 1
    house.visit(house.admit())
    assert len(peek(house.site.home / KEYRING, "SELECT * FROM remembered_shard")) == 1
    house.reopen()


def test_a_write_of_the_main_log_compares_the_open_shards_only(house: House) -> None:
    visit_for(house, 1)
    house.clock.move(days=31)
    house.visit(house.people[0])
    closed, still_open = shards(house)
    size, digest = house.store.generation(), read_memory(house.store.keyring).shards_digest
    with house.store.read() as connection, house.store.keyring.read() as kept:
        assert [one.size for one in shard_heads(connection, size)] == [still_open.size]
        assert [one.size for one in shard_heads(connection, 0)] == [closed.size, still_open.size]
        assert shard_changes(kept, connection, size, digest) == ((), (), ())
        assert shard_changes(kept, connection, size, bytes(32)) == ((), (), ()), "the digest is not needed then"


def test_a_head_is_not_remembered_beside_others_that_were_changed(house: House) -> None:
    visit_for(house, 2)
    size, digest = house.store.generation(), read_memory(house.store.keyring).shards_digest
    with house.store.read() as connection, house.store.keyring.write() as kept:
        row = kept.execute(delete(remembered_shard).returning(remembered_shard)).one()
        assert shard_changes(kept, connection, size, digest) is None
        kept.execute(insert(remembered_shard).values(row._asdict()))


def test_no_statement_deletes_or_changes_a_shard_before_its_term(house: House) -> None:
    visit_for(house, 2)
    with closing(sqlite3.connect(data(house), isolation_level=None)) as raw:
        for statement, words in {
            "DELETE FROM log_shard": "not deleted before its end",
            "DELETE FROM shard_leaf": "not deleted before its end",
            "UPDATE shard_leaf SET leaf = x'00'": "is not changed",
            "UPDATE log_shard SET kept_until = '2000-01-01T00:00:00Z'": "is not changed",
            "UPDATE log_shard SET size = 1": "size never decreases",
            "INSERT INTO shard_leaf SELECT shard, 9, leaf, nodes FROM shard_leaf WHERE seq = 1": "is appended",
        }.items():
            with pytest.raises(sqlite3.IntegrityError, match=words):
                raw.execute(statement)
    house.site.log.verify()


def cut_off(path: Path) -> None:
    tamper(path, "DELETE FROM shard_leaf WHERE seq = 4")
    tamper(path, "DELETE FROM shard_opening WHERE seq = 4")


def replace_leaf(path: Path) -> None:
    tamper(path, "DELETE FROM shard_opening")
    tamper(path, "UPDATE shard_leaf SET leaf = (SELECT leaf FROM shard_leaf WHERE seq = 2) WHERE seq = 1")


def remove(path: Path) -> None:
    for table in ("shard_opening", "shard_leaf", "log_shard"):
        tamper(path, f"DELETE FROM {table}")  # noqa: S608  names of this test


def remove_unseen(path: Path) -> None:
    remove(path)
    tamper(path, "DELETE FROM audit_opening WHERE details LIKE '%kept_until%'")


TAMPERED: dict[str, tuple[Callable[[Path], Any], str]] = {
    "a leaf": (
        lambda path: tamper(path, "UPDATE shard_leaf SET leaf = x'00' WHERE seq = 1"),
        "not a Volens audit leaf",
    ),
    "a leaf of another": (replace_leaf, "stored nodes of the shard"),
    "a missing leaf": (
        lambda path: tamper(path, "DELETE FROM shard_leaf WHERE seq = 2"),
        "entry 2 of the shard .* missing",
    ),
    "a node": (lambda path: tamper(path, "UPDATE shard_leaf SET nodes = zeroblob(32) WHERE seq = 2"), "stored nodes"),
    "the end": (cut_off, "a node of a shard of the audit log is missing"),
    "an opening": (
        lambda path: tamper(path, "UPDATE shard_opening SET details = '{}' WHERE seq = 1"),
        "was not made from these details",
    ),
    "an opening of nothing": (
        lambda path: tamper(path, "UPDATE shard_opening SET seq = 77 WHERE seq = 1"),
        "an entry that it does not have",
    ),
    "a size": (lambda path: tamper(path, "UPDATE log_shard SET size = 6"), "has 5 entries"),
    "a root": (lambda path: tamper(path, "UPDATE log_shard SET root = zeroblob(32)"), "signed checkpoint"),
    "a note": (lambda path: tamper(path, "UPDATE log_shard SET note = replace(note, '\n5\n', '\n4\n')"), "signature"),
    "a name": (lambda path: tamper(path, "UPDATE log_shard SET name = name || '1'"), "not the one that the main log"),
    "a term": (
        lambda path: tamper(path, "UPDATE log_shard SET kept_until = '2099-03-01T00:00:00Z', closed_index = 1"),
        "not the one that the main log",
    ),
    "a shard": (remove, "lacks a shard of the log, of 5 entries"),
    "a shard with what the main log says": (remove_unseen, "lacks a shard of the log, of 5 entries"),
}


@pytest.mark.parametrize("case", TAMPERED)
def test_a_shard_that_was_tampered_with_does_not_verify(house: House, case: str) -> None:
    act, words = TAMPERED[case]
    visit_for(house, 5)
    act(data(house))
    with pytest.raises(TamperError, match=words):
        house.site.log.verify()


def test_a_process_does_not_give_out_a_number_of_a_shard_twice(house: House) -> None:
    visit_for(house, 5)
    cut_off(data(house))
    tamper(data(house), "UPDATE log_shard SET size = 4")
    with pytest.raises(TamperError, match="has 4 entries, the keyring remembers 5"):
        house.visit(house.people[0])


def test_visits_after_a_change_of_the_signing_key_are_in_another_shard(house: House) -> None:
    visit_for(house, 2)
    house.site.keys.rotate(signing=True)
    visit_for(house, 2)
    assert [(one.size, one.is_closed) for one in shards(house)] == [(2, True), (2, False)]


def test_a_clock_that_is_behind_the_newest_visit_is_refused(house: House) -> None:
    visit_for(house, 1)
    house.clock.move(hours=2)
    house.visit(house.people[0])
    house.clock.move(hours=-1)
    with pytest.raises(UnavailableError, match="clock"):
        house.reopen()


def test_the_root_of_a_shard_is_the_rfc_root_at_every_size(house: House) -> None:
    visit_for(house, 9)
    ((index,),) = peek(data(house), "SELECT log_index FROM log_shard")
    leaves = [leaf for (leaf,) in peek(data(house), "SELECT leaf FROM shard_leaf ORDER BY seq")]
    seen = Frontier()
    with house.store.read_prepared() as snapshot:
        queries = CountedQueries(snapshot)
        for leaf in leaves:
            seen.append(leaf)
            assert root(seen.size, shard_nodes(queries, index)) == seen.root()
            queries.count = 0
            assert root(seen.size, shard_nodes(queries, index, seen.size)) == seen.root()
            assert queries.count == 1
