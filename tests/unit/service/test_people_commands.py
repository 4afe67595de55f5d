"""`volens people`: its output, its CSV file, and its exit codes."""

import csv
from pathlib import Path

import pytest
from said import Command


def test_people_are_listed_found_and_shown(enrolled: Path, volens: Command, give: Command) -> None:
    give("--yes-i-read-it", name="Bernd Schwarz", out="bernd")

    said = volens("people", "list")
    lines = said.out.splitlines()
    assert [line.split()[0] for line in lines] == ["name", "Ada", "Bernd"]
    assert "enrolled" in lines[1]
    assert "consented" in lines[2]
    (found,) = volens("people", "find", "canar", "--json").json
    assert (found["name"], found["state"], found["references"]) == ("Ada Canary", "enrolled", 1)
    for who in (enrolled, found["subject_id"], found["receipt_id"], "ada canary"):
        shown = volens("people", "show", "--json", "--", who).json
        assert (shown["subject_id"], shown["in_force"][0]["receipt_id"]) == (found["subject_id"], found["receipt_id"])
    assert "staff list  no" in volens("people", "show", enrolled).out


def test_a_list_can_be_narrowed_by_state_zone_and_end(enrolled: Path, volens: Command, give: Command) -> None:
    assert enrolled.exists()
    give("--yes-i-read-it", "--valid-days", "3", name="Bernd Schwarz", out="bernd")

    def listed(*options: object) -> list[str]:
        return [one["name"] for one in volens("people", "list", *options, "--json").json]

    assert listed("--state", "enrolled") == ["Ada Canary"]
    assert listed("--state", "consented") == listed("--ends-within", "5") == ["Bernd Schwarz"]
    assert listed("--state", "restricted") == listed("--state", "invited") == []
    assert volens("defaults", "set", "--public-url", "https://door.example").code == 0
    volens("invite", "lobby", "--name", "Cy Newcomer", "--jurisdiction", "FR", "--language", "en")
    assert listed("--state", "invited") == ["Cy Newcomer"]
    assert "Cy Newcomer" in volens("people", "list", "--state", "invited", "--zone", "lobby").out
    assert volens("people", "list", "--state", "invited", "--ends-within", "5").code == 2
    assert listed("--zone", "lobby") == ["Ada Canary", "Bernd Schwarz"]
    assert volens("people", "list", "--ends-within", "2").out == "no person\n"
    assert volens("people", "list", "--zone", "attic").code == 2
    assert volens("people", "list", "--ends-within", "-1").code == 2


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@sum", "=cmd|' /C calc'!A0"])
def test_no_cell_of_the_csv_file_is_a_formula(lobby: Path, volens: Command, give: Command, name: str) -> None:
    give("--yes-i-read-it", name=name)
    assert volens("people", "list", "--csv", "list.csv").code == 0

    assert (lobby / "list.csv").stat().st_mode & 0o777 == 0o600
    (row,) = csv.DictReader((lobby / "list.csv").read_text("utf-8").splitlines())
    assert (row["name"], row["zone"], row["is_linked"]) == (f"'{name}", "lobby", "no")
    again = volens("people", "list", "--csv", "list.csv")
    assert (again.code, "exists already" in again.err) == (2, True)


def test_whoever_is_not_found_is_an_exit_code(ada: Path, volens: Command) -> None:
    assert ada.exists()
    assert volens("people", "find", "zzz").code == 1
    assert volens("people", "find", " ").code == 2
    assert volens("people", "show", "0" * 43).code == 1


def test_a_decision_is_explained_to_the_person_and_not_to_the_desk(
    enrolled: Path, volens: Command, album: Path
) -> None:
    assert volens("identify", "--zone", "lobby", album / "ada-door.png").code == 0
    said = volens("decisions", "explain", enrolled)
    assert said.code == 0
    assert "identify  this machine" in said.out
    assert "nothing would keep a door closed for you" in said.out
    assert "not kept, so no one can tell you:" in said.out
    assert len(volens("decisions", "explain", enrolled, "--json").json["visits"]) == 1
    assert volens("decisions", "explain", "Ada Canary").code == 2
    assert volens("decisions", "explain").code == 2


def test_the_operator_is_told_why_a_door_may_refuse_and_no_visit(enrolled: Path, volens: Command, album: Path) -> None:
    assert volens("identify", "--zone", "lobby", album / "ada-door.png").code == 0
    (entry,) = volens("people", "list", "--json").json
    consent = str(entry["receipt_id"])

    said = volens("decisions", "explain", "--zone", "lobby", "--consent", consent)

    assert said.code == 0
    assert "one look is compared with 1 person; the best score must reach 0.432 of 1" in said.out
    assert "for the person of this consent, now:\n- nothing would keep a door closed" in said.out
    assert "visits are told to the person alone" in said.out
    assert "Ada" not in said.out
    found = volens("decisions", "explain", "--zone", "lobby", "--consent", consent, "--json").json
    assert (found["compared_with"], found["closed_because"], found["missed"]) == (1, [], None)
    assert "visits" not in found

    assert volens("decisions", "explain", enrolled, "--zone", "lobby").code == 2
    assert volens("decisions", "explain", "--zone", "attic").code == 2
    alone = volens("decisions", "explain", enrolled, "--consent", consent)
    assert (alone.code, "--consent goes with --zone" in alone.err) == (2, True)
    unknown = volens("decisions", "explain", "--zone", "lobby", "--consent", "x" * 200)
    assert (unknown.code, "has no consent of this id" in unknown.err) == (2, True)
