"""Rows of leases are authenticated: what another program changed or deleted is noticed, and counted as held."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

import pytest
from house import House

from tests.unit.store.raw import DATA, KEYRING, peek, tamper
from volens.consent.lease import LeaseHolding, ends_everywhere_at, lasts_everywhere_s
from volens.consent.lease_end import SteadyTime
from volens.consent.zone import MAX_LEASE_SECONDS
from volens.store.people import broken_rows
from volens.store.programs import Role
from volens.store.programs.leases import KEPT_AFTER_END, Leases

TERM: Final = 60
LONGEST: Final = timedelta(seconds=lasts_everywhere_s(MAX_LEASE_SECONDS))
CHANGES: Final = {
    "another term": "UPDATE lease SET term_seconds = 5 WHERE number = 2",
    "an earlier end": "UPDATE lease SET ends_at = '2099-03-01T12:00:01Z' WHERE number = 2",
    "an end that is no time": "UPDATE lease SET ends_at = 'soon' WHERE number = 2",
    "another beginning": "UPDATE lease SET given_at = '2099-03-01T11:00:00Z' WHERE number = 2",
    "other seconds": "UPDATE lease SET given_boot_s = 0 WHERE number = 2",
    "revoked": "UPDATE lease SET revoked_at = '2099-03-01T12:00:01Z' WHERE number = 2",
    "acknowledged": "UPDATE lease SET acknowledged_at = ends_at, acknowledged_generation = 1 WHERE number = 2",
    "another number": "UPDATE lease SET number = 3 WHERE number = 2",
    "another id": "UPDATE lease SET lease_id = 'eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee' WHERE number = 2",
    "another zone": "UPDATE lease SET purpose = 'vault' WHERE number = 2",
    "another seal": "UPDATE lease SET mac = zeroblob(32) WHERE number = 2",
    "deleted": "DELETE FROM lease WHERE number = 2",
}


@pytest.fixture
def leased(house: House, monkeypatch: pytest.MonkeyPatch) -> House:
    monkeypatch.setattr("volens.erase.followers.CONFIRM_S", 0.0)
    house.declare("vault")
    house.site.zones.set_lease("lobby", TERM)
    return house


def door_of(house: House, label: str = "left door", zone: str = "lobby") -> str:
    credential, _token = house.site.programs.credentials.issue(label=label, role=Role.DOOR, zone=zone)
    return credential.credential_id


def write(house: House, statement: str, *values: object) -> None:
    tamper(house.site.home / DATA, statement, *values)


def holders(house: House) -> tuple[list[str], datetime]:
    """Withdraw the consent of a new person; return the doors that are listed, and the time."""
    done = house.site.withdraw(code=house.admit().code)
    return [one.door for one in done.holders], done.stopped_everywhere_at


@pytest.mark.parametrize("change", CHANGES.values(), ids=list(CHANGES))
def test_a_changed_row_is_noticed_and_the_door_counts_with_the_longest_term(leased: House, change: str) -> None:
    door, leases = door_of(leased), Leases(leased.store)
    other = door_of(leased, "right door")
    leases.acknowledge(other, leases.reserve(other, lease_id="2" * 32)[0].lease_id, holds=False)
    row, _zone = leases.reserve(door, lease_id="1" * 32)
    assert leases.acknowledge(door, row.lease_id, holds=True)
    assert broken_rows(leased.store) == []
    write(leased, change)

    assert [door in str(one) for one in broken_rows(leased.store)] == [True]
    assert [one for one in leases.list() if one.door_id == door] == [
        LeaseHolding("left door", door, leased.clock() + LONGEST, None)
    ]
    doors, until = holders(leased)
    assert ("left door" in doors, until) == (True, leased.clock() + LONGEST)


def test_a_door_must_drop_a_lease_whose_row_was_changed(leased: House) -> None:
    door, leases = door_of(leased), Leases(leased.store)
    row, _zone = leases.reserve(door, lease_id="1" * 32)
    write(leased, "UPDATE lease SET ends_at = '2099-12-31T12:00:00Z'")
    assert not leases.acknowledge(door, row.lease_id, holds=True)
    assert leases.is_revoked(row.lease_id)
    assert not leases.acknowledge(door, row.lease_id, holds=False)
    assert [one.acknowledged_at for one in leases.list()] == [None], "nothing is noted in a row that is not believed"
    # The next lease of the door is in order.
    leases.acknowledge(door, leases.reserve(door, lease_id="2" * 32)[0].lease_id, holds=True)
    write(leased, "DELETE FROM lease WHERE number = 1")
    assert broken_rows(leased.store) == []
    assert [one.ends_at for one in leases.list()] == [ends_everywhere_at(leased.clock(), TERM)]


def test_a_row_put_back_as_it_was_says_that_the_lease_is_held(leased: House) -> None:
    door, leases = door_of(leased), Leases(leased.store)
    row, _zone = leases.reserve(door, lease_id="1" * 32)
    ((mac,),) = peek(leased.site.home / DATA, "SELECT mac FROM lease")
    leased.withdraw(leased.admit())
    leases.acknowledge(door, row.lease_id, holds=False)
    before = "UPDATE lease SET revoked_at = NULL, acknowledged_at = NULL, acknowledged_generation = NULL, mac = ?"
    write(leased, before, mac)
    assert broken_rows(leased.store) == []
    assert holders(leased) == (["left door"], row.ends_at)


def test_the_rows_of_an_older_data_file_do_not_hide_a_newer_lease(leased: House) -> None:
    door, leases = door_of(leased), Leases(leased.store)
    first, _zone = leases.reserve(door, lease_id="1" * 32)
    leases.reserve(door, lease_id="2" * 32)
    leases.acknowledge(door, first.lease_id, holds=False)
    write(leased, "DELETE FROM lease WHERE number = 2")
    assert holders(leased) == (["left door"], leased.clock() + LONGEST)


def test_an_uncertain_door_stays_in_the_list_when_it_has_a_new_lease(
    leased: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    door, leases = door_of(leased), Leases(leased.store)
    leases.reserve(door, lease_id="1" * 32)
    write(leased, "DELETE FROM lease")
    renewed = leased.site.installation.galleries.erase

    def renew(*given: object) -> None:
        row, _zone = leases.reserve(door, lease_id="2" * 32)
        leases.acknowledge(door, row.lease_id, holds=False)
        renewed(*given)  # type: ignore[arg-type]  as it was called

    monkeypatch.setattr(leased.site.installation.galleries, "erase", renew)
    assert holders(leased) == (["left door"], leased.clock() + LONGEST)


def test_a_credential_that_ended_long_ago_makes_no_door_uncertain(leased: House) -> None:
    door, leases = door_of(leased), Leases(leased.store)
    leases.reserve(door, lease_id="1" * 32)
    write(leased, "DELETE FROM lease")
    leased.site.programs.credentials.end(door)
    assert holders(leased)[0] == ["left door"]
    leased.clock.move(seconds=LONGEST.total_seconds())
    assert holders(leased) == ([], leased.clock())
    assert broken_rows(leased.store) == []


def test_a_door_of_another_zone_does_not_count_unless_its_credential_was_changed(leased: House) -> None:
    leased.site.zones.set_lease("vault", TERM)
    door, leases = door_of(leased, zone="vault"), Leases(leased.store)
    leases.reserve(door, lease_id="1" * 32)
    write(leased, "DELETE FROM lease")
    assert holders(leased)[0] == []
    write(leased, "UPDATE api_credential SET label = 'x' WHERE credential_id = ?", door)
    assert holders(leased)[0] == ["x"]


def test_the_newest_row_of_a_door_is_kept_until_its_credential_is_deleted(leased: House) -> None:
    door, other, leases = door_of(leased), door_of(leased, "right door"), Leases(leased.store)
    leases.reserve(door, lease_id="1" * 32)
    leased.clock.move(seconds=KEPT_AFTER_END.total_seconds() + TERM + 10)
    leases.reserve(other, lease_id="2" * 32)
    assert broken_rows(leased.store) == []
    leased.site.programs.credentials.end(door)
    leased.clock.move(days=4_000)
    leased.site.sweep()
    assert broken_rows(leased.store) == []
    assert peek(leased.site.home / DATA, "SELECT * FROM lease") == []
    assert peek(leased.site.home / KEYRING, "SELECT * FROM sealed_scope WHERE scope = 'lease'") == []


# The clock of the primary.

JUMPS: Final[dict[str, Callable[[House, float], None]]] = {
    "in this process": lambda house, by_s: house.clock.move(seconds=by_s),
    "before a command begins": lambda house, by_s: (house.clock.move(seconds=by_s), house.reopen()),
}


@pytest.mark.parametrize("jump", JUMPS.values(), ids=list(JUMPS))
@pytest.mark.parametrize("by_s", [120.0, 7_200.0])
def test_a_clock_that_is_set_forward_ends_no_lease_too_early(
    leased: House, jump: Callable[[House, float], None], by_s: float
) -> None:
    door = door_of(leased)
    passed = [10_000.0]

    def steady() -> SteadyTime:
        return SteadyTime("c" * 32, passed[0])

    leased.store.steady_clock = steady
    leased.store._opened = leased.clock(), steady()
    Leases(leased.store).reserve(door, lease_id="1" * 32)
    jump(leased, by_s)
    leased.store.steady_clock = steady
    passed[0] += 20
    leased.clock.move(seconds=20)
    Leases(leased.store).reserve(door_of(leased, "right door"), lease_id="2" * 32)
    doors, until = holders(leased)
    assert doors == ["left door", "right door"]
    assert until == leased.clock() + timedelta(seconds=lasts_everywhere_s(TERM))
    left = next(one for one in Leases(leased.store).list() if one.door_id == door)
    assert left.ends_at == leased.clock() + timedelta(seconds=lasts_everywhere_s(TERM) - 20)
    # Once the term is over by the clock that no one sets, it is over.
    passed[0] += TERM + 100
    leased.clock.move(seconds=TERM + 100)
    assert holders(leased) == ([], leased.clock())


def test_a_process_knows_how_far_its_wall_clock_was_set(leased: House) -> None:
    at = leased.store.steady_clock()
    leased.store.steady_clock = lambda: replace(at, seconds=at.seconds + 5)
    leased.clock.move(seconds=65)
    assert leased.store.steady_time().ahead_s == 60
    leased.clock.move(seconds=-70)
    assert leased.store.steady_time().ahead_s == 0
