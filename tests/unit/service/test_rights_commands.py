"""The commands for people's rights: output, exit codes, and the content of the files that they write."""

import json
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from said import Command

from volens import Site


def later(monkeypatch: pytest.MonkeyPatch, **by: float) -> None:
    moment = datetime.now(UTC) + timedelta(**by)
    monkeypatch.setitem(Site.open.__func__.__kwdefaults__, "clock", lambda: moment)


def record(path: Path) -> dict[str, object]:
    with zipfile.ZipFile(path) as archive:
        found: dict[str, object] = json.loads(archive.read("consent-1/record.jsonld"))
    return found


def test_an_answer_contains_the_persons_visits(enrolled: Path, volens: Command, album: Path) -> None:
    assert volens("identify", "--zone", "lobby", album / "ada-door.png").code == 0
    assert volens("verify", enrolled, album / "ada-door.png").code == 0
    assert volens("identify", "--zone", "lobby", album / "group.png").code == 3
    opened = volens("request", "open", "Ada Canary", "--kind", "access", "--json").json

    said = volens("request", "answer", opened["request_id"], "--json").json
    held = record(Path(said["file"]))["volens:held"]
    assert isinstance(held, dict)
    assert [one["kind"] for one in held["passage"]] == ["identify", "verify"]
    assert all(one["matched_at"].endswith(":00Z") for one in held["passage"])
    assert volens("export", "--verify", said["file"], "--key", "site/site.pub").code == 0
    assert volens("request", "list").out.strip() == "no request is open"


def test_an_overdue_request_is_reported_by_list_status_and_doctor(
    ada: Path, volens: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = volens("request", "open", ada, "--kind", "access", "--json").json["request_id"]
    assert volens("status", "--json").json["overdue_requests"] == 0
    later(monkeypatch, days=32)

    (listed,) = volens("request", "list", "--json").json
    assert (listed["request_id"], listed["overdue"], listed["known"]) == (number, True, True)
    assert "OVERDUE" in volens("request", "list").out
    assert volens("status", "--json").json["overdue_requests"] == 1
    assert "1 of 1 open request overdue" in volens("status").err
    (found,) = [one for one in volens("doctor", "--json").json if one["what"] == "requests"]
    assert not found["ok"]
    assert volens("request", "extend", number, "--because", "many").code == 1
    assert volens("request", "answer", number).code == 0
    assert volens("status", "--json").json["overdue_requests"] == 0


def test_a_request_of_an_unknown_person_is_stored_as_a_number(ada: Path, volens: Command) -> None:
    assert ada.exists()
    assert volens("request", "open", "Nobody Here", "--kind", "access").code == 1
    assert volens("request", "list", "--json").json == []
    said = volens("request", "open", "--unknown", "--kind", "access")
    assert said.code == 0
    assert "--searched-for NAME" in said.out
    (listed,) = volens("request", "list", "--json").json
    assert listed["known"] is False
    number = listed["request_id"]
    typed = f"{number[:16].upper()} {number[16:]}"

    assert volens("request", "answer", number).code == 2
    assert volens("request", "answer", number, "--searched-for", "ada CANARY").code == 1
    assert (
        volens("request", "answer", typed, "--searched-for", "Nobody Here", "--to", "n.zip", "--json").json["held"] == 0
    )
    assert "searched for: 'Nobody Here'" in volens("export", "--verify", "n.zip", "--key", "site/site.pub").out
    assert not [path for path in Path("site").rglob("*") if path.is_file() and b"Nobody Here" in path.read_bytes()]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("open", "--kind", "access"), 2),
        (("open", "Ada Canary", "--unknown", "--kind", "access"), 2),
        (("open", "Ada Canary", "--kind", "everything"), 2),
        (("answer", "0" * 32), 2),
        (("close", "0" * 32, "--outcome", "refused"), 2),
    ],
)
def test_an_invalid_request_is_refused(ada: Path, volens: Command, arguments: tuple[str, ...], code: int) -> None:
    assert ada.exists()
    assert volens("request", *arguments).code == code
    assert volens("request", "list", "--json").json == []


def test_an_answer_is_checked_to_be_about_the_person(ada: Path, volens: Command) -> None:
    check = ("--verify", "answer.zip", "--key", "site/site.pub")
    assert volens("export", ada).code == 0
    assert volens("export", *check).code == 0
    assert volens("export", ada, *check).code == 0
    said = volens("export", "Somebody Else", *check)
    assert said.code == 4
    assert "about another person" in said.err
    assert "Somebody" not in said.err


def test_the_first_digits_name_a_request(ada: Path, volens: Command) -> None:
    number = volens("request", "open", ada, "--kind", "rectification", "--json").json["request_id"]
    assert volens("request", "extend", number[:8].upper(), "--because", "many").code == 0
    for typed in (number[:7], "0" * 8 if number[:8] != "0" * 8 else "1" * 8):
        unknown = volens("request", "close", typed, "--outcome", "refused")
        assert (unknown.code, "there is no request of this number" in unknown.err) == (2, True)
    closed = volens("request", "close", number[:12], "--outcome", "refused", "--json").json
    assert (closed["request_id"], closed["outcome"]) == (number, "refused")
