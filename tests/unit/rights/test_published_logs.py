"""The exported log and the public one: complete, verifiable, and without a detail about a person."""

import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from house import House

from volens.audit import (
    MAX_LINE_BYTES,
    leaf_hash,
    open_checkpoint,
    read_leaf,
    verify_consistency,
    verify_inclusion,
    verify_log_file,
)
from volens.consent import InputError, UnknownError
from volens.rights import PublicLog
from volens.rights.log_export import PUBLIC_KINDS
from volens.rights.public_log import period_start

DAY, HOUR, AT_ONCE = timedelta(days=1), timedelta(hours=1), timedelta()


def grow(house: House, leaves: int) -> None:
    with house.store.write() as tx:
        tx.log_all("decisions.counted", [{"number": number} for number in range(leaves)])


def size_of(house: House, public: PublicLog) -> int:
    return open_checkpoint(public.checkpoint(), house.site.verifier_key).size


def lived_in(house: House) -> None:
    """Let everything happen whose details must stay here."""
    person = house.admit()
    house.visit(person)
    house.site.cohorts.add_operator("Marie, data protection", bytes(range(32)))
    house.site.rights.recipients.add("lobby", "Badge office")
    house.site.programs.decisions.started("run-1")
    house.withdraw(house.admit())


# --- the export


def test_the_exported_log_is_the_log_of_the_site(house: House) -> None:
    lived_in(house)
    found = verify_log_file(house.site.log.export(), house.site.verifier_key)
    report = house.site.log.verify()
    assert (found.head.size, found.head.root, found.checkpoints) == (report.size, report.root, report.checkpoints)
    assert found.kinds == report.kinds
    assert 0 < found.openings < report.openings


def test_a_log_of_several_batches_is_exported_whole(house: House) -> None:
    grow(house, 1500)
    house.withdraw(house.admit())
    lines = list(house.site.log.export())
    assert verify_log_file(lines, house.site.verifier_key).head.size == house.site.log.verify().size > 1500
    assert max(map(len, lines)) < MAX_LINE_BYTES


def test_the_export_opens_what_the_policy_and_the_notices_publish_and_nothing_else(house: House) -> None:
    lived_in(house)
    lines = [json.loads(line) for line in house.site.log.export()]
    opened = [above["kind"] for above, line in pairwise(lines) if "salt" in line]
    assert set(opened) <= PUBLIC_KINDS
    assert {"site.created", "zone.added", "notice.published", "recipient.added"} <= set(opened)
    text = "".join(map(json.dumps, lines))
    for secret in ("Ada", "Marie", "run-1", *(one.receipt_id for one in house.people)):
        assert secret not in text
    for secret in (one.subject_id for one in house.people):
        assert secret not in text


# --- the public log


@pytest.mark.parametrize(
    ("period", "start"),
    [
        (DAY, "2099-03-01T00:00:00"),
        (HOUR, "2099-03-01T13:00:00"),
        (5 * HOUR, "2099-03-01T10:00:00"),
        (AT_ONCE, "2099-03-01T13:59:59"),
    ],
)
def test_periods_follow_each_other_from_midnight_on(period: timedelta, start: str) -> None:
    now = datetime(2099, 3, 1, 13, 59, 59, tzinfo=UTC)
    assert period_start(now, period) == datetime.fromisoformat(start).replace(tzinfo=UTC)


def test_the_public_log_shows_nothing_of_the_current_day(house: House) -> None:
    public = house.site.log.public(DAY)
    house.admit()
    assert size_of(house, public) == 1, "on the first day, the site's creation"

    house.clock.move(days=1)
    yesterday = house.site.log.verify().size
    assert size_of(house, public) == yesterday
    house.withdraw(house.admit())
    house.clock.move(hours=11)
    assert size_of(house, public) == yesterday < house.site.log.verify().size

    house.clock.move(hours=1)
    assert size_of(house, public) == house.site.log.verify().size


def test_a_visit_in_the_first_minute_of_a_day_is_published_a_day_later(house: House) -> None:
    person, public = house.admit(), house.site.log.public(DAY)
    house.clock.move(hours=12, seconds=30)  # 00:00:30; the leaf has the minute
    before = house.site.log.verify().size
    house.visit(person)
    assert house.site.log.verify().shards.kinds["door.matched"] == 1
    assert size_of(house, public) == before
    house.clock.move(hours=23, minutes=59)
    assert size_of(house, public) == before
    house.clock.move(minutes=1)
    assert size_of(house, public) == before + 1


def test_the_public_log_is_published_by_the_hour_or_at_once_if_the_operator_wants(house: House) -> None:
    hourly, at_once = house.site.log.public(HOUR), house.site.log.public(AT_ONCE)
    before = size_of(house, at_once)
    house.clock.move(hours=1)
    house.admit()
    assert (size_of(house, hourly), size_of(house, at_once)) == (before, house.site.log.verify().size)
    house.clock.move(hours=1)
    assert size_of(house, hourly) == size_of(house, at_once)


def test_tiles_are_the_hashes_of_the_leaves_and_of_complete_subtrees(house: House) -> None:
    grow(house, 600)
    public = house.site.log.public(AT_ONCE)
    size = size_of(house, public)
    hashes = [leaf_hash(leaf) for leaf in house.site.log.entries(0, 1000)]
    assert public.tile(0, 0) == b"".join(hashes[:256])
    assert public.tile(0, 1) == b"".join(hashes[256:512])
    assert public.tile(0, 2, size - 512) == b"".join(hashes[512:])
    assert public.tile(1, 0, 2) != public.tile(0, 0, 2)
    assert len(public.tile(1, 0, 2)) == 64


@pytest.mark.parametrize(
    "place",
    [(0, 2), (0, 2, 200), (0, 0, 0), (0, 0, 257), (0, -1), (1, 0), (1, 0, 3), (2, 0, 1), (63, 0, 1), (-1, 0, 1)],
)
def test_a_tile_that_is_not_complete_yet_is_not_there(house: House, place: tuple[int, ...]) -> None:
    grow(house, 600)
    with pytest.raises(UnknownError, match="the public log has no such tile"):
        house.site.log.public(AT_ONCE).tile(*place)


def test_no_tile_and_no_proof_reaches_into_the_current_day(house: House) -> None:
    house.clock.move(days=1)
    public = house.site.log.public(DAY)
    published = size_of(house, public)
    house.admit()
    assert len(public.tile(0, 0, published)) == 32 * published
    with pytest.raises(UnknownError):
        public.tile(0, 0, published + 1)
    for ask in (lambda: public.inclusion(0, published + 1), lambda: public.consistency(1, published + 1)):
        with pytest.raises(InputError, match=f"expected at most {published}, the size of the public log"):
            ask()


def test_a_certificate_is_proved_to_be_in_the_public_log(house: House) -> None:
    house.withdraw(house.admit())
    house.clock.move(days=1)
    public = house.site.log.public(DAY)
    head = open_checkpoint(public.checkpoint(), house.site.verifier_key)
    index, leaf = next(
        (index, leaf)
        for index, leaf in enumerate(house.site.log.entries(0, 100))
        if read_leaf(leaf)[0] == "erasure.certified"
    )
    verify_inclusion(leaf_hash(leaf), index, head.size, public.inclusion(index, head.size), head.root)
    grow(house, 5)
    house.clock.move(days=1)
    later = open_checkpoint(public.checkpoint(), house.site.verifier_key)
    verify_consistency(head.size, later.size, public.consistency(head.size, later.size), head.root, later.root)
