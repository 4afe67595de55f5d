"""`volens lease`: the doors that may hold a lease are listed, revoked and allowed again."""

from pathlib import Path

import pytest
from said import Command

from volens import Site


def door_in(home: Path, volens: Command) -> str:
    assert volens("zone", "change", "lobby", "--lease-seconds", 60, "--yes").code == 0
    added = volens("credential", "add", "left door", "--role", "door", "--zone", "lobby", "--json")
    assert added.code == 0
    with Site.open(home) as site:
        site.programs.leases.reserve(added.json["credential"], lease_id="0" * 32)
    return str(added.json["credential"])


def key_epoch(home: Path) -> int:
    with Site.open(home) as site:
        return site.keys.status().epoch


def test_leases_are_listed_revoked_and_allowed_again(enrolled: Path, home: Path, volens: Command) -> None:
    assert enrolled.exists()
    assert volens("lease", "list", "--json").json == {"leases": []}
    door = door_in(home, volens)
    (listed,) = volens("lease", "list", "--json").json["leases"]
    assert (listed["door"], listed["door_id"], listed["acknowledged_at"]) == ("left door", door, None)
    assert "held, as far as is known" in volens("lease", "list").out
    revoked = volens("lease", "revoke", "left door", "--json")
    assert (revoked.code, revoked.json["door"]) == (0, door)
    assert revoked.json["stopped_everywhere_at"] == listed["ends_at"]
    assert volens("lease", "revoke", door).code == 0
    assert volens("lease", "allow", door).code == 0
    for wrong in ("right door", "0" * 16):
        refused = volens("lease", "revoke", wrong)
        assert (refused.code, "got no door of the name" in refused.err) == (2, True)


def test_a_stolen_door_loses_its_credential_and_the_site_gets_new_keys(
    enrolled: Path, home: Path, volens: Command
) -> None:
    assert enrolled.exists()
    door = door_in(home, volens)
    before = key_epoch(home)
    done = volens("lease", "revoke", door, "--stolen")
    assert (done.code, "its credential has ended" in done.out) == (0, True)
    assert key_epoch(home) > before
    assert volens("credential", "list", "--json").json == {"credentials": []}


def test_the_rule_after_a_lease_is_set_and_shown_with_the_fleet(enrolled: Path, home: Path, volens: Command) -> None:
    assert enrolled.exists()
    early = volens("zone", "change", "lobby", "--after-lease", "badge")
    assert (early.code, "nothing comes after them" in early.err) == (1, True)
    door = door_in(home, volens)
    said = volens("zone", "change", "lobby", "--after-lease", "badge")
    assert (said.code, "passes badges on to the panel" in said.out) == (0, True)
    assert [one["after_lease"] for one in volens("zone", "list", "--json").json] == ["badge"]
    wrong = volens("zone", "change", "lobby", "--after-lease", "open")
    assert (wrong.code, "expected one of closed, badge" in wrong.err) == (2, True)
    with Site.open(home) as site:
        site.programs.leases.reserve(door, lease_id="1" * 32)
    (shown,) = [one for one in volens("fleet", "--json").json["doors"] if one["door"] == door]
    assert (shown["after_lease"], shown["lease_until"] is None) == ("badge", False)
    assert ", then badges only" in volens("fleet").out


def test_a_pause_lists_the_doors_that_hold_a_lease(
    enrolled: Path, home: Path, volens: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("volens.erase.followers.CONFIRM_S", 0.0)
    assert volens("zone", "pause", "lobby", "--json").json["holders"] == []
    volens("zone", "resume", "lobby")
    door = door_in(home, volens)
    paused = volens("consent", "restrict", enrolled, "--json").json
    assert [one["door_id"] for one in paused["holders"]] == [door]
    assert paused["stopped_everywhere_at"] == paused["holders"][0]["ends_at"] > paused["stopped_at"]
    assert "without a connection it may know the person until" in volens("consent", "restrict", enrolled).out

    with Site.open(home) as site:
        site.programs.leases.reserve(door, lease_id="1" * 32)
    said = volens("zone", "pause", "lobby").out
    assert "door left door: has not answered; without a connection it may know people of the zone until" in said
    assert "stopped everywhere: " in said
    again = volens("zone", "pause", "lobby", "--json").json
    assert (len(again["holders"]), again["stopped_everywhere_at"] > again["stopped_at"]) == (1, True)


def test_a_withdrawal_lists_the_doors_that_hold_a_lease(
    enrolled: Path, home: Path, volens: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("volens.erase.followers.CONFIRM_S", 0.0)
    door_in(home, volens)
    done = volens("withdraw", enrolled)
    assert done.code == 0
    assert "door left door: has not answered; without a connection it may know the person until" in done.out
    assert "stopped everywhere: " in done.out
    again = volens("withdraw", enrolled, "--json").json
    assert [one["door"] for one in again["holders"]] == ["left door"]
    assert again["stopped_everywhere_at"] == again["holders"][0]["ends_at"]
