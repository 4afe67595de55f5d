"""Naming a person on the command line: other spellings find them, a typo finds nobody, and nothing false is signed."""

import json
from pathlib import Path

import pytest
from said import Command

from volens import Site

DECOMPOSED = "Jose\N{COMBINING ACUTE ACCENT} O\N{RIGHT SINGLE QUOTATION MARK}Brien-Ruiz"
SPELLINGS = ["José O'Brien-Ruiz", "JOSÉ O\N{MODIFIER LETTER APOSTROPHE}BRIEN\N{NON-BREAKING HYPHEN}RUIZ", DECOMPOSED]


@pytest.fixture
def loaded() -> None:
    """No models: these tests process no face."""


@pytest.fixture
def jose(lobby: Path, give: Command) -> Path:
    """The receipt of a person whose name has several spellings, with a number in the staff list."""
    said = give("--yes-i-read-it", "--external-id", "Z-47", name=DECOMPOSED, out="jose")
    assert said.code == 0, said.err
    return lobby / "jose.receipt.json"


def logged(kind: str) -> int:
    with Site.open("site") as site:
        return site.log.verify().kinds.get(kind, 0)


@pytest.mark.parametrize("spelling", [*SPELLINGS, "z\N{EN DASH}47", "  José\N{NO-BREAK SPACE}O'Brien-Ruiz "])
def test_a_person_is_found_by_every_spelling_and_by_number(jose: Path, volens: Command, spelling: str) -> None:
    assert jose.exists()
    said = volens("export", spelling, "--json")
    assert (said.code, json.loads(said.out)["held"]) == (0, 1), said.err
    check = ("--verify", "answer.zip", "--key", "site/site.pub")
    assert volens("export", spelling, *check).code == 0
    assert volens("export", jose, *check).code == 0


def test_a_person_is_found_by_the_ids_of_receipt_and_subject(jose: Path, volens: Command, give: Command) -> None:
    given = give("--yes-i-read-it", "--json", name="Bea", out="bea").json
    for number, who in enumerate((given["receipt_id"].upper(), given["subject_id"], "bea.receipt.json")):
        assert volens("export", who, "--to", f"{number}.zip", "--json").json["held"] == 1, who
    assert jose.exists()


@pytest.mark.parametrize("who", ["jos.json", "jose.receipt.jsn/x", "./jose", "~/jose", "jose.key.pem", r"c:\jose"])
@pytest.mark.parametrize("command", [("export",), ("export", "--unknown"), ("leaver",), ("request", "open")])
def test_a_path_without_a_file_is_an_error(jose: Path, volens: Command, command: tuple[str, ...], who: str) -> None:
    assert jose.exists()
    kind = ("--kind", "access") if command == ("request", "open") else ()
    said = volens(*command, *kind, who)
    assert said.code == 2
    assert said.err.startswith("volens: there is no file ")
    assert not Path("answer.zip").exists()
    assert logged("access.answered") == logged("request.opened") == 0


@pytest.mark.parametrize(
    "command", [("export",), ("leaver",), ("request", "open", "--kind", "access"), ("erase", "prove")]
)
def test_a_name_that_finds_nobody_shows_near_names(jose: Path, volens: Command, command: tuple[str, ...]) -> None:
    assert jose.exists()
    said = volens(*command, "Jose O'Brien-Ruiz")
    assert said.code == 1
    assert said.err.startswith("names that are nearly the same:\n  José O’Brien-Ruiz\nvolens: no one is found")  # noqa: RUF001
    assert said.out == ""
    assert not Path("answer.zip").exists()
    assert logged("access.answered") == logged("request.opened") == 0


def test_near_names_stay_out_of_json_and_are_few(jose: Path, volens: Command, give: Command) -> None:
    assert jose.exists()
    for number in range(4):
        assert give("--yes-i-read-it", name=f"Ann Example {number}", out=f"ann{number}").code == 0
    said = volens("export", "Ann Example", "--json")
    assert said.code == 1
    assert "Ann" not in said.out
    assert said.err.count("Ann Example") == 3


def test_that_nothing_is_stored_is_signed_only_for_what_was_named(jose: Path, volens: Command) -> None:
    assert jose.exists()
    said = volens("export", "--unknown", "Eve Example", "--json")
    assert (said.code, said.json["held"]) == (0, 0)
    assert logged("access.answered") == 1
    verified = volens("export", "--verify", "answer.zip", "--key", "site/site.pub")
    assert "nothing is stored\nsearched for: 'Eve Example'; not searched: other spellings" in verified.out

    refused = volens("export", "--unknown", SPELLINGS[1], "--to", "other.zip")
    assert (refused.code, Path("other.zip").exists()) == (1, False)
    assert logged("access.answered") == 1


def test_a_receipt_that_was_never_recorded_needs_unknown_too(jose: Path, volens: Command, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    assert volens("export", jose, "--to", "held.zip").code == 0
    for arguments in (
        ("init", "--controller", "Other", "--contact", "x"),
        ("zone", "add", "lobby", "--custody", "badge", "--alternative", "b", "--retention-days", "30"),
        ("export", "--unknown", str(jose), "--to", "none.zip"),
    ):
        assert volens(*arguments, "--home", elsewhere).code == 0
    assert volens("export", jose, "--home", elsewhere).code == 1
    check = ("--key", elsewhere / "site.pub")
    assert volens("export", jose, "--verify", "none.zip", *check).code == 0
    assert volens("export", "Jose", "--verify", "none.zip", *check).code == 4


def test_people_of_one_name_are_told_apart_by_their_ids(jose: Path, volens: Command, give: Command) -> None:
    ids = [give("--yes-i-read-it", "--json", name="Eva Neu", out=f"eva{one}").json["subject_id"] for one in (1, 2)]
    said = volens("export", "eva  NEU")
    assert said.code == 2
    assert "got a name that 2 people have" in said.err
    assert all(one in said.err for one in ids)
    assert volens("export", ids[1], "--json").json["held"] == 1
    assert jose.exists()


def test_a_name_with_a_control_is_refused_and_not_repeated(jose: Path, volens: Command, give: Command) -> None:
    assert jose.exists()
    for said in (
        give("--yes-i-read-it", name="Eve \N{RIGHT-TO-LEFT OVERRIDE}elpmaxE", out="eve"),
        volens("export", "Eve \N{RIGHT-TO-LEFT OVERRIDE}elpmaxE"),
    ):
        assert said.code == 2
        assert "U+202E RIGHT-TO-LEFT OVERRIDE at place 5" in said.err
        assert "elpmaxE" not in said.err


@pytest.mark.parametrize("command", [("people", "show"), ("export",)])
def test_an_id_that_begins_with_a_dash_is_an_argument(jose: Path, volens: Command, command: tuple[str, ...]) -> None:
    assert jose.exists()
    unknown = "-" + "A" * 42
    plain = volens(*command, "--json", "--", unknown)
    assert plain.code == 1
    for arguments in ((unknown, "--json"), ("--json", unknown)):
        said = volens(*command, *arguments)
        assert (said.code, said.out, said.err) == (plain.code, plain.out, plain.err)
    assert volens(*command, "-" + "A" * 41).code == 2, "an option that does not exist"
