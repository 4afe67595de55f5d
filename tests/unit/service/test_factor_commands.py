"""`volens consent factor`, and doors of two-factor zones on the command line."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from declared_gates import open_gates_in
from pins import cheap_pins
from publishing import publish_at_home
from said import Command

PIN, NUMBER = "719035", "04A1B2C3"


@pytest.fixture(autouse=True)
def cheap() -> Iterator[None]:
    with cheap_pins():
        yield


@pytest.fixture
def agreed(lobby: Path, volens: Command) -> Path:
    """A person who gave consent in a zone that requires a PIN."""
    promises = ("--justification", "trays", "--alternative", "a badge", "--retention-days", "30")
    assert volens("zone", "add", "vault", "--custody", "operator", *promises, "--second-factor", "pin").code == 0
    open_gates_in(lobby / "site", "vault")
    publish_at_home("vault")
    common = ("--jurisdiction", "FR", "--yes-i-read-it", "--name", "Ada", "--new-key", "ada.key")
    given = volens("consent", "give", "--zone", "vault", *common, "--out", "ada.json")
    assert (given.code, "volens consent factor ada.json --pin" in given.out) == (0, True)
    (lobby / "pin").write_text(f"{PIN}\n")
    (lobby / "wrong").write_text("900817\n")
    (lobby / "number").write_text(NUMBER)
    return lobby


@pytest.fixture
def vault(agreed: Path, volens: Command, album: Path) -> Path:
    """The same person, enrolled; the frame of a door."""
    assert agreed.is_dir()
    photos = [album / f"ada-{number}.png" for number in (1, 2, 3)]
    assert volens("enroll", "ada.json", *photos).code == 0
    return album / "ada-door.png"


def test_a_pin_is_set_shown_and_removed(volens: Command, vault: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    door = ("identify", "--zone", "vault", vault)
    assert volens("consent", "factor", "ada.json", "--pin", "--from", "pin").code == 0

    alone, wrong = volens(*door), volens(*door, "--pin-file", "wrong")
    right = volens(*door, "--pin-file", "pin")
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{PIN}\n"))
    typed = volens(*door, "--pin-file", "-", "--json")
    verify = ("verify", "ada.json", vault)

    assert (alone.code, "face recognised, but the zone also requires the second factor (pin)" in alone.out) == (3, True)
    assert (wrong.code, "no match" in wrong.out) == (3, True)
    assert (right.code, "match: Ada" in right.out) == (0, True)
    assert (typed.code, typed.json["second_factor"], typed.json["faces"][0]["decision"]) == (0, "pin", "match")
    assert [volens(*verify).code, volens(*verify, "--pin-file", "pin").code] == [3, 0]
    assert volens(*door, "--json").json["faces"][0]["decision"] == "factor_required"
    assert volens("consent", "factor", "ada.json", "--remove", "--json").json["removed"] is True
    assert volens(*door, "--pin-file", "pin").code == 3
    assert volens("consent", "factor", "ada.json", "--remove", "--json").json["removed"] is False


def test_a_pin_is_read_from_stdin_without_a_terminal(
    volens: Command, vault: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{PIN}\nmore\n"))
    assert volens("consent", "factor", "ada.json", "--pin", "--json").json["kind"] == "pin"
    assert volens("identify", "--zone", "vault", vault, "--pin-file", "pin").code == 0


MISTAKES = {
    "neither": ((), 2),
    "two of three": (("--pin", "--remove"), 2),
    "a file for nothing": (("--remove", "--from", "pin"), 2),
    "no such file": (("--pin", "--from", "nowhere"), 2),
    "another kind than the zone asks for": (("--badge-number", "--from", "number"), 2),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_is_one_sentence(volens: Command, agreed: Path, case: str) -> None:
    options, code = MISTAKES[case]
    assert agreed.is_dir()
    said = volens("consent", "factor", "ada.json", *options)
    assert (said.code, said.err.count("\n")) == (code, 1)
    assert PIN not in said.err
    assert NUMBER not in said.err


def test_a_door_accepts_one_factor_and_only_if_the_zone_requires_it(volens: Command, agreed: Path, album: Path) -> None:
    assert agreed.is_dir()
    door = ("identify", album / "ada-door.png", "--zone")
    assert volens(*door, "vault", "--pin-file", "pin", "--badge-number-file", "number").code == 2
    assert volens(*door, "vault", "--badge-number-file", "number").code == 2
    assert volens(*door, "lobby", "--pin-file", "pin").code == 2


def test_zones_show_their_second_factor(volens: Command, agreed: Path) -> None:
    assert agreed.is_dir()
    for said in (volens("zone", "list", "--json").json, volens("status", "--json").json["zones"]):
        assert {one["zone"]: one["second_factor"] for one in said} == {"lobby": "none", "vault": "pin"}
    assert "pin" in volens("zone", "list").out
    assert '"volens:secondFactor": "pin"' in volens("policy").out
    refused = volens(
        "zone",
        "add",
        "x",
        "--custody",
        "badge",
        "--alternative",
        "b",
        "--retention-days",
        "1",
        "--second-factor",
        "pin",
    )
    assert (refused.code, "leave --second-factor out" in refused.err) == (1, True)
    unknown = volens("zone", "add", "x", "--custody", "operator", "--second-factor", "iris")
    assert (unknown.code, "expected one of none, badge, pin" in unknown.err) == (2, True)
