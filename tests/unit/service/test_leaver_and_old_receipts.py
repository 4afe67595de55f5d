"""`withdraw` with an old receipt, and `leaver`: what is said, what is asked, and which reason the certificate gives."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from declared_gates import open_gates_in
from patience import PATIENCE_S
from publishing import publish_at_home
from said import Command

from volens import Site
from volens.audit import VerifierKey
from volens.erase.proof import verify_certificate


@pytest.fixture
def renewed(enrolled: Path, volens: Command, give: Command, album: Path) -> Path:
    """Ada's first receipt, withdrawn; a newer consent of hers is in force, and she is enrolled."""
    assert volens("withdraw", enrolled).code == 0
    assert give("--yes-i-read-it", "--key", "ada.key", out="new").code == 0
    photos = (album / f"ada-{number}.png" for number in (1, 2, 3))
    assert volens("enroll", "new.receipt.json", *photos).code == 0
    return enrolled


def reason(path: str) -> str:
    key = VerifierKey.parse(Path("site/site.pub").read_text().strip())
    return verify_certificate(Path(path).read_bytes(), key).reason


def test_an_old_receipt_beside_a_newer_consent_says_what_ended_and_what_is_in_force(
    renewed: Path, volens: Command, album: Path
) -> None:
    said = volens("withdraw", renewed)
    first = said.out.splitlines()[0]
    assert said.code == 1
    assert first.startswith("this consent for zone lobby ended at ")
    assert "(withdrawn), but the doors still know the person: a newer consent of the same person, of 20" in first
    assert first.endswith(f"is in force. End it too: volens withdraw {renewed} --all-of-this-person")
    assert volens("identify", "--zone", "lobby", album / "ada-door.png").code == 0

    again = volens("withdraw", renewed, "--json")
    assert again.code == 1
    assert again.json["newer_in_force"] is True
    (standing,) = again.json["in_force"]
    assert set(standing) == {"zone", "given_at", "ends_at"}
    assert again.json["ended_at"] <= standing["given_at"] < standing["ends_at"]

    ended = volens("withdraw", renewed, "--all-of-this-person", "--json")
    assert ended.code == 0
    assert (ended.json["newer_in_force"], ended.json["in_force"]) == (False, [])
    assert [reason(one["certificate"]) for one in ended.json["also_ended"]] == ["withdrawn"]
    assert volens("identify", "--zone", "lobby", album / "ada-door.png").code == 3
    assert volens("withdraw", renewed, "--all-of-this-person").code == 0
    assert volens("withdraw", "new.receipt.json").code == 0


def test_the_code_of_an_old_consent_says_the_same(renewed: Path, volens: Command) -> None:
    code = json.loads(renewed.read_text())["withdrawal_code"]
    said = volens("withdraw", "--code", code)
    assert said.code == 1
    assert "End it too: volens withdraw --code CODE --all-of-this-person" in said.out
    assert volens("withdraw", "--code", code, "--all-of-this-person").code == 0
    assert volens("withdraw", "--code", code).code == 0


def test_a_repeated_withdrawal_is_no_error_while_another_zone_knows_the_person(
    ada: Path, volens: Command, give: Command
) -> None:
    promises = ("--custody", "operator", "--justification", "a", "--alternative", "b", "--retention-days", "30")
    assert volens("zone", "add", "lab", *promises).code == 0
    open_gates_in(ada.parent / "site", "lab")
    publish_at_home("lab")
    assert give("--yes-i-read-it", "--key", "ada.key", "--zone", "lab", out="lab").code == 0
    assert give("--yes-i-read-it", name="Ada Canary", out="other").code == 0  # another key: another person

    first, second = volens("withdraw", ada, "--json"), volens("withdraw", ada, "--json")
    assert (first.code, second.code) == (0, 0)
    assert first.json == second.json
    assert [one["zone"] for one in first.json["in_force"]] == ["lab"]
    text = volens("withdraw", ada).out
    assert text.startswith("consent ended in zone lobby; face data erased\n")
    assert "in force: zone lab, consent of " in text
    assert "to end that too: volens withdraw" in text
    assert volens("withdraw", ada, "--all-of-this-person", "--json").json["also_ended"][0]["zone"] == "lab"
    assert volens("withdraw", "other.receipt.json", "--json").json["also_ended"] == []


def test_an_old_receipt_does_not_hide_the_newer_consent_from_an_answer(renewed: Path, volens: Command) -> None:
    assert volens("export", renewed, "--json").json["held"] == 1
    assert len(volens("leaver", renewed, "--yes", "--json").json["erased"]) == 1
    assert volens("erase", "prove", renewed).code == 0


def test_without_a_terminal_leaver_erases_no_face_unless_confirmed(enrolled: Path, volens: Command) -> None:
    said = volens("leaver", "Ada Canary")
    assert said.code == 2
    assert "no terminal to ask on; pass --yes" in said.err
    assert volens("status", "--json").json["zones"][0]["live_consents"] == 1
    (erased,) = volens("leaver", enrolled, "--yes", "--json").json["erased"]
    assert reason(erased["certificate"]) == "left"


def test_a_face_under_an_expired_consent_is_not_erased_unasked_either(
    enrolled: Path, volens: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    moment = datetime.now(UTC) + timedelta(days=31)
    monkeypatch.setitem(Site.open.__func__.__kwdefaults__, "clock", lambda: moment)
    assert volens("leaver", enrolled).code == 2
    assert len(volens("leaver", enrolled, "--reason", "requested", "--yes", "--json").json["erased"]) == 1


def test_a_consent_without_a_face_ends_unasked_where_nobody_can_be_asked(ada: Path, volens: Command) -> None:
    assert ada.exists()
    assert volens("leaver", "ADA\N{NO-BREAK SPACE}canary").code == 0


def test_a_lost_receipt_is_certified_as_a_request_and_not_as_leaving(enrolled: Path, volens: Command) -> None:
    assert volens("leaver", enrolled, "--reason", "lost interest", "--yes").code == 2
    assert volens("leaver", enrolled, "--reason", "requested", "--on", "2099-12-31").code == 2
    (erased,) = volens("leaver", enrolled, "--reason", "Requested", "--yes", "--json").json["erased"]
    assert reason(erased["certificate"]) == "requested"
    page = Path("page.html")
    assert volens("certificate", "show", erased["certificate"], "--trust", "site/site.pub", "--html", page).code == 0
    assert "you asked for your data to be erased" in " ".join(page.read_text().split())
    assert volens("leaver", enrolled, "--reason", "requested", "--yes").code == 1


def test_a_leaving_date_in_the_future_erases_nothing_and_is_not_asked_about(enrolled: Path, volens: Command) -> None:
    assert enrolled.exists()
    day = (datetime.now(UTC) + timedelta(days=5)).date()
    assert volens("leaver", "Ada Canary", "--on", day).code == 0
    assert volens("leaver", "Ada Canary", "--on", "2020-01-01").code == 2


def test_the_last_day_of_a_leaver_is_the_sites_day(enrolled: Path, volens: Command) -> None:
    assert volens("defaults", "set", "--time-zone", "Asia/Tokyo").code == 0
    assert volens("leaver", "Ada Canary", "--on", "2098-12-31", "--json").json["ends_at"] == "2098-12-31T15:00:00Z"
    assert enrolled.exists()


@pytest.mark.parametrize(("answer", "code", "live"), [("no", 1, 1), ("YES", 0, 0)])
def test_leaver_asks_on_a_terminal(enrolled: Path, answer: str, code: int, live: int) -> None:
    assert enrolled.exists()
    said, ended = at_a_terminal(["leaver", "Ada Canary"], lambda shown: "Type yes" in shown, answer)
    assert ended == code
    assert "Ada Canary: zone lobby, consent of " in said
    assert "with face data" in said
    assert "The certificate will give as the reason: left" in said
    with Site.open("site") as site:
        assert site.status().zones[0].live_consents == live


def at_a_terminal(arguments: list[str], asked: Callable[[str], bool], answer: str) -> tuple[str, int]:
    """Run a command on a terminal of its own, and answer when it asks; return what it showed, and its exit code."""
    terminal, side = os.openpty()
    command = [str(Path(sys.executable).with_name("volens")), *arguments]
    process = subprocess.Popen(command, stdin=side, stdout=side, stderr=side, start_new_session=True)
    os.close(side)
    shown = ""
    try:
        while True:
            try:
                part = os.read(terminal, 4096).decode("utf-8", "replace")
            except OSError:  # the other side is closed
                break
            if not part:
                break
            was_asked, shown = asked(shown), shown + part
            if asked(shown) and not was_asked:
                os.write(terminal, answer.encode() + b"\n")
    finally:
        os.close(terminal)
    return shown, process.wait(PATIENCE_S)
