"""`volens fleet`: a row for each door and node, a column for leases only when there are some, and what is wrong."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from said import Command

from tests.site.test_fleet import NODE, REPORT, fleet
from volens import Site
from volens.site_fleet import Fleet


@pytest.fixture
def shown_fleet(monkeypatch: pytest.MonkeyPatch) -> Fleet:
    """A node with a lease, whose clock is a little behind, and a door whose clock is 9 s ahead."""
    shown = fleet(replace(NODE, offset_ms=-40, uncertainty_ms=2), replace(REPORT, offset_ms=9000))
    shown = replace(shown, leases={NODE.process_id: shown.now + timedelta(seconds=60)})
    monkeypatch.setattr(Site, "fleet", lambda _site: shown)
    return shown


def test_a_site_without_nodes_and_doors_says_what_to_do(volens: Command, lobby: Path) -> None:
    assert lobby.is_dir()
    found = volens("fleet")
    assert found.code == 0
    assert "volens credential add" in found.out


def test_a_door_that_was_never_heard_of_is_in_the_list(volens: Command, lobby: Path) -> None:
    token = lobby / "token"
    assert volens("credential", "add", "left door", "--role", "door", "--zone", "lobby", "--out", token).code == 0
    lines = volens("fleet").out.splitlines()
    columns = (
        "what",
        "name",
        "zone",
        "version",
        "heard of",
        "generation",
        "clock",
        "certificate until",
        "decided",
        "state",
    )
    assert lines[0].split() == " ".join(columns).split()
    assert lines[1].split() == ["door", "left", "door", "lobby", "-", "never", "-", "-", "-", "-", "ok"]


def test_a_problem_is_marked_in_its_row_and_said_below(volens: Command, lobby: Path, shown_fleet: Fleet) -> None:
    assert lobby.is_dir()
    lines = volens("fleet").out.splitlines()
    assert lines[0].split()[-3:] == ["lease", "until", "state"]
    assert lines[1].split()[-2:] == ["2099-03-01T12:01:00Z", "ok"]
    assert "-40 ms ±2" in lines[1]
    assert "+9000 ms ±9" in lines[2]
    assert lines[2].split()[-2:] == ["none", "problem"]
    assert lines[4] == shown_fleet.alarms()[0].sentence()
    assert "let NTP set it" in lines[4]


def test_the_document_has_every_number(volens: Command, lobby: Path, shown_fleet: Fleet) -> None:
    assert lobby.is_dir()
    found = json.loads(volens("fleet", "--json").out)
    (node,), (door,), (alarm,) = found["nodes"], found["doors"], found["alarms"]
    assert (node["version"], node["lease_until"], node["behind_s"]) == ("1.0", "2099-03-01T12:01:00Z", 0.0)
    assert (node["clock_offset_ms"], node["clock_uncertainty_ms"]) == (-40, 2)
    assert (door["clock_offset_ms"], door["clock_uncertainty_ms"], door["lease_until"]) == (9000, 9, None)
    assert (alarm["kind"], found["generation"]) == ("clock", shown_fleet.generation)


def test_the_doctor_says_what_is_wrong_with_the_fleet(
    volens: Command, lobby: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert lobby.is_dir()

    def said() -> dict[str, object]:
        (found,) = [one for one in volens("doctor", "--json").json if one["what"] == "fleet"]
        return dict(found)

    assert said() == {"what": "fleet", "ok": True, "found": said()["found"]}
    shown = fleet(replace(NODE, lag=timedelta(hours=1)), replace(REPORT, offset_ms=9000))
    monkeypatch.setattr(Site, "fleet", lambda _site: shown)
    assert said()["ok"] is False
    # A node that is behind is said once, in the line `processes`.
    assert said()["found"] == f"{shown.alarms()[1].sentence()}; see 'volens fleet'"
