"""`volens certificate list` and `print`: an erased person's certificate is found by what stays of the consent."""

import csv
import json
import re
from pathlib import Path

import pytest
from said import Command

from tests.unit.store.raw import DATA, peek


@pytest.fixture
def erased(enrolled: Path, volens: Command, give: Command) -> dict[str, str]:
    """Ada, who was enrolled, and Bob, who was not, have withdrawn; return what Ada's withdrawal printed."""
    assert give("--yes-i-read-it", name="Bob Other", out="bob").code == 0
    first: dict[str, str] = volens("withdraw", enrolled, "--json").json
    assert volens("withdraw", "bob.receipt.json").code == 0
    return first


def receipt_id(path: Path) -> str:
    ((found,),) = peek(
        Path("site") / DATA,
        f"SELECT receipt_id FROM receipt WHERE token = '{json.loads(path.read_text())['receipt']}'",  # noqa: S608
    )
    return str(found)


def test_certificates_are_listed_from_the_newest_and_no_name_is_there(
    erased: dict[str, str], volens: Command, tmp_path: Path
) -> None:
    said = volens("certificate", "list")
    assert said.code == 0
    header, bob, ada = said.out.splitlines()
    assert header.split() == ["ended", "reason", "zone", "certificate", "file"]
    assert erased["certificate_id"][:8] in ada.split()
    assert ada.endswith(erased["certificate"])
    assert erased["certificate_id"] not in bob
    assert "Ada" not in said.out

    assert volens("certificate", "list", "--csv", "list.csv").code == 0
    rows = list(csv.DictReader((tmp_path / "list.csv").read_text().splitlines()))
    assert [one["certificate_id"] for one in rows][1] == erased["certificate_id"]
    assert [one["file"] for one in rows] == [one["file"] for one in volens("certificate", "list", "--json").json]
    assert (tmp_path / "list.csv").stat().st_mode & 0o777 == 0o600


def test_the_list_is_narrowed_by_day_zone_and_reason(erased: dict[str, str], volens: Command) -> None:
    assert erased

    def count(*options: str) -> int:
        said = volens("certificate", "list", *options, "--json")
        assert said.code == 0, said.out
        return len(said.json)

    assert count("--since", "today") == count("--until", "today") == count("--zone", "lobby") == 2
    assert count("--reason", "withdrawn", "--since", "2026-01-01") == 2
    assert count("--reason", "left") == count("--until", "2026-01-01") == count("--since", "2099-01-01") == 0
    assert volens("certificate", "list", "--reason", "left").out == "no certificate\n"
    wrong = volens("certificate", "list", "--since", "2026-02-01", "--until", "2026-01-01")
    assert wrong.code == 2
    assert "exchange the two" in wrong.err


@pytest.mark.parametrize("by", ["receipt", "receipt id", "code", "QR code", "short id", "id", "file", "subject id"])
def test_a_certificate_is_printed_by_whatever_the_person_has(
    erased: dict[str, str], enrolled: Path, volens: Command, tmp_path: Path, by: str
) -> None:
    take_home = json.loads(enrolled.read_text())
    asked: dict[str, tuple[object, ...]] = {
        "receipt": (enrolled,),
        "receipt id": (receipt_id(enrolled).upper(),),
        "code": ("--code", take_home["withdrawal_code"]),
        "QR code": (enrolled.with_suffix(".qr.png"),),
        "short id": (erased["certificate_id"][:8],),
        "id": (erased["certificate_id"],),
        "file": (erased["certificate"],),
        "subject id": (volens("people", "show", enrolled, "--json").json["subject_id"],),
    }
    said = volens("certificate", "print", *asked[by], "--html", "page.html", "--language", "fr", "--json")
    assert said.code == 0, said.out
    assert (said.json["certificate_id"], said.json["language"]) == (erased["certificate_id"], "fr")
    page = (tmp_path / "page.html").read_text("utf-8")
    assert '<html lang="fr"' in page
    assert erased["certificate_id"] in re.sub(r"\s", "", page)
    assert (tmp_path / "page.html").stat().st_mode & 0o777 == 0o644


def test_a_lost_file_does_not_keep_a_certificate_from_being_printed(
    erased: dict[str, str], enrolled: Path, volens: Command
) -> None:
    Path(erased["certificate"]).unlink()
    assert volens("certificate", "print", enrolled, "--html", "page.html").code == 0


def test_a_certificate_that_is_not_there_gets_a_sentence_with_the_next_step(ada: Path, volens: Command) -> None:
    in_force = volens("certificate", "print", ada, "--html", "page.html")
    assert in_force.code == 1
    assert "a consent in force has none" in in_force.err
    assert volens("withdraw", ada).code == 0

    gone = volens("certificate", "print", "Ada Canary", "--html", "page.html")
    assert gone.code == 1
    assert "--code" in gone.err
    assert "Canary" not in gone.err
    neither = volens("certificate", "print", "--html", "page.html")
    assert (neither.code, Path("page.html").exists()) == (2, False)


def test_of_several_certificates_of_a_person_one_must_be_chosen(
    erased: dict[str, str], enrolled: Path, volens: Command, give: Command
) -> None:
    subject_id = volens("people", "show", enrolled, "--json").json["subject_id"]
    assert give("--yes-i-read-it", "--key", "ada.key", out="again").code == 0
    by_name = volens("certificate", "list", "Ada Canary", "--json")
    assert [one["certificate_id"] for one in by_name.json] == [erased["certificate_id"]]
    again = volens("withdraw", "again.receipt.json", "--json").json

    several = volens("certificate", "print", subject_id, "--html", "page.html")
    assert several.code == 2
    assert "this person has 2 certificates" in several.err
    assert again["certificate_id"][:8] in several.err
    for receipt, expected in ((enrolled, erased), ("again.receipt.json", again)):
        said = volens("certificate", "list", receipt, "--json")
        assert [one["certificate_id"] for one in said.json] == [expected["certificate_id"]]
