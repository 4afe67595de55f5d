"""A process that has seen more of the log than the store has: data and keyring were set back while it runs."""

import pytest
from house import House

from volens.consent import TamperError
from volens.store import Store
from volens.store.log.seen_log import LastEntry, last_entry

SET_BACK = "this process has seen a log of .* lacks the last of them; data file and keyring were set back"
OTHER_LEAF = b"{}"


def check(store: Store, seen: LastEntry) -> None:
    with store.read() as connection:
        store.seen.check(connection, last_entry(connection), seen)


def test_a_process_has_seen_what_it_wrote(house: House) -> None:
    before = house.store.seen.last
    house.invite()
    with house.store.read() as connection:
        assert house.store.seen.last == last_entry(connection)
    assert house.store.seen.last.size == house.store.generation() > before.size
    for seen in (before, house.store.seen.last, LastEntry(0, b"")):
        check(house.store, seen)


@pytest.mark.parametrize("more", [1, 0, -1], ids=["shorter", "another last entry", "longer, and another log"])
def test_a_log_without_the_entry_that_was_seen_is_refused_from_then_on(house: House, more: int) -> None:
    person = house.admit()
    assert house.verify(person).match is not None
    seen = LastEntry(house.store.generation() + more, OTHER_LEAF)
    with pytest.raises(TamperError, match=SET_BACK):
        check(house.store, seen)
    for decide in (house.sees, house.verify):
        with pytest.raises(TamperError, match=SET_BACK):
            decide(person)
    with pytest.raises(TamperError, match=SET_BACK):
        house.invite()


def test_a_write_to_a_log_that_went_another_way_is_refused(house: House) -> None:
    checkpoint = (house.site.home / "checkpoint").read_bytes()
    house.store.seen.last = LastEntry(house.store.generation(), OTHER_LEAF)
    with pytest.raises(TamperError, match=SET_BACK):
        house.invite()
    assert (house.site.home / "checkpoint").read_bytes() == checkpoint
