"""Incremental verification of the data file: what is read, and what is found."""

import pytest
from house import House

from tests.unit.store.raw import DATA, peek, tamper
from volens.audit import Checkpoint, open_checkpoint
from volens.consent import TamperError
from volens.store.log import log_growth


def grow(house: House, leaves: int) -> None:
    with house.store.write() as tx:
        tx.log_all("decisions.counted", [{"number": number} for number in range(leaves)])


def head(house: House) -> Checkpoint:
    return open_checkpoint(house.site.log.checkpoint(), house.site.verifier_key)


def test_the_leaves_read_grow_with_what_is_new_and_not_with_the_log(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = list[int]()
    original = log_growth.leaves_from

    def counted(*arguments: object) -> list[bytes]:
        leaves = original(*arguments)  # type: ignore[arg-type]
        read.append(len(leaves))
        return leaves

    monkeypatch.setattr(log_growth, "leaves_from", counted)
    for old, new in ((10, 7), (3000, 7), (10, 2500)):
        grow(house, old)
        start = head(house)
        grow(house, new)
        read.clear()
        report = house.site.log.verify(start)
        assert sum(read) == new
        assert (report.since, report.size) == (start.size, start.size + new)
        assert (report.kinds, report.openings) == ({"decisions.counted": new}, new)
    whole = house.site.log.verify()
    assert (whole.size, whole.root, whole.note) == (report.size, report.root, report.note)


def test_nothing_new_is_verified_in_no_time_and_says_so(house: House) -> None:
    report = house.site.log.verify(head(house))
    assert (report.size, report.checkpoints, report.openings) == (report.since, 0, 0)
    assert open_checkpoint(report.note, house.site.verifier_key).size == report.size


def test_a_life_on_a_site_is_verified_in_parts(house: House) -> None:
    parts = [head(house)]
    for step in (house.admit, lambda: house.withdraw(house.admit()), lambda: house.visit(house.admit())):
        step()
        report = house.site.log.verify(parts[-1])
        assert report.since == parts[-1].size < report.size
        parts.append(head(house))


def after(house: House) -> tuple[Checkpoint, int]:
    """Return a checkpoint, and the index of the first of three leaves after it."""
    grow(house, 5)
    start = head(house)
    grow(house, 3)
    return start, start.size


CHANGES = {
    "a leaf": (
        "UPDATE audit_event SET leaf = (SELECT leaf FROM audit_event WHERE seq = 0) WHERE seq = {at}",
        "not those of the signed",
    ),
    "a malformed leaf": ("UPDATE audit_event SET leaf = x'00' WHERE seq = {at}", "not a Volens audit leaf"),
    "a missing leaf": ("DELETE FROM audit_event WHERE seq = {at}", "leaf"),
    "a node": ("UPDATE audit_node SET hash = zeroblob(32) WHERE level = 0 AND position = {at}", "nodes"),
    "an opening": (
        "UPDATE audit_opening SET details = '{{}}' WHERE seq = {at}",
        "the leaf was not made from these details",
    ),
    "no last checkpoint": ("DELETE FROM audit_checkpoint WHERE size > {at}", "covers"),
}


@pytest.mark.parametrize(("statement", "words"), CHANGES.values(), ids=CHANGES)
def test_a_change_after_the_checkpoint_is_found(house: House, statement: str, words: str) -> None:
    start, at = after(house)
    tamper(house.site.home / DATA, statement.format(at=at))
    with pytest.raises(TamperError, match=f"integrity: .*{words}"):
        house.site.log.verify_entries(start)


def test_a_changed_node_before_the_checkpoint_is_a_fork(house: House) -> None:
    start, _at = after(house)
    level = start.size.bit_length() - 1
    statement = "UPDATE audit_node SET hash = zeroblob(32) WHERE level = ? AND position = 0"
    tamper(house.site.home / DATA, statement, level)
    with pytest.raises(TamperError, match="entries of the log are not those of the checkpoint"):
        house.site.log.verify_entries(start)
    ((count,),) = peek(house.site.home / DATA, "SELECT count(*) FROM audit_event")
    assert count == start.size + 3
