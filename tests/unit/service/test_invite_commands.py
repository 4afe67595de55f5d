"""`volens invite`: links, letters in three languages, a table of people; and a refusal receipt checked offline."""

import csv
import json
import stat
from datetime import datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from PIL import Image
from publishing import publish_at_home
from pypdf import PdfReader
from said import Command

from volens import Site
from volens.consent.invitation import InvitationEndedError, UnknownInvitationError
from volens.service.qr_codes import qr_modules
from volens.service.qr_reading import qr_texts

ADA = ("--name", "Ada Canary", "--external-id", "4711", "--jurisdiction", "FR")


pytestmark = pytest.mark.usefixtures("lobby")


@pytest.fixture
def door(volens: Command, lobby: Path) -> Path:
    """A site with a public address."""
    assert volens("defaults", "set", "--public-url", "https://door.example").code == 0
    return lobby


def opened_name(home: Path, link: str) -> str:
    with Site.open(home) as site:
        return site.invitations.open(link).name


def test_without_a_public_address_one_sentence_names_the_command(volens: Command) -> None:
    said = volens("invite", "lobby", *ADA)
    assert said.code != 0
    assert said.err.count("\n") == 1
    assert "volens defaults set --public-url" in said.err


@pytest.mark.usefixtures("door")
def test_an_invitation_is_a_link_and_four_files_for_the_person(volens: Command, home: Path) -> None:
    said = volens("invite", "lobby", *ADA, "--out", "letters", "--json")
    assert said.code == 0, said.err
    link, files = said.json["link"], {kind: Path(path) for kind, path in said.json["files"].items()}
    assert link.startswith("https://door.example/invitation#")
    assert set(files) == {"html", "pdf", "mail.txt", "sms.txt"}
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in files.values())
    assert opened_name(home, link) == "Ada Canary"

    mail, sms = files["mail.txt"].read_text(), files["sms.txt"].read_text()
    assert mail.startswith("Subject: May the door “lobby” know your face?")
    for text in (mail, sms, files["html"].read_text()):
        assert link in text
        assert "your badge works as before" in text
        assert "wo minutes" in text
    assert "Ada" not in sms
    assert len(sms) < 400


@pytest.mark.usefixtures("door")
def test_a_phone_reads_the_link_from_the_printed_sheet(
    volens: Command,
) -> None:
    said = volens("invite", "lobby", *ADA, "--out", "letters", "--json").json
    pdf = PdfReader(said["files"]["pdf"])
    assert len(pdf.pages) == 1
    assert "Ada Canary" in pdf.pages[0].extract_text()
    modules = np.pad(~np.array(qr_modules(said["link"])), 4, constant_values=True)
    Image.fromarray(np.kron(modules, np.ones((6, 6))).astype(np.uint8) * 255).save("code.png")
    assert qr_texts(Path("code.png")) == [said["link"]]


@pytest.mark.usefixtures("door")
def test_a_visitor_is_invited_until_a_day_of_the_sites_time_zone(volens: Command, home: Path) -> None:
    assert volens("defaults", "set", "--time-zone", "Europe/Paris").code == 0
    day = datetime.now(ZoneInfo("Europe/Paris")).date() + timedelta(days=2)
    said = volens("invite", "lobby", *ADA, "--until", day.isoformat(), "--json").json
    midnight = datetime.combine(day + timedelta(days=1), time(), ZoneInfo("Europe/Paris"))
    with Site.open(home) as site:
        view = site.invitations.open(said["link"])
        assert (view.valid_until, view.expires_at) == (midnight, midnight)
    past = volens("invite", "lobby", "--name", "Bo", "--jurisdiction", "FR", "--until", "2020-01-01")
    assert (past.code, "is past in the time zone Europe/Paris" in past.err) == (2, True)


@pytest.mark.parametrize(
    ("language", "words"),
    [("fr", ("votre badge fonctionne comme avant", "deux minutes")), ("de", ("wie bisher", "Minuten"))],
)
@pytest.mark.usefixtures("door")
def test_the_letter_has_the_language_of_the_notice(volens: Command, language: str, words: tuple[str, str]) -> None:
    publish_at_home("lobby", language)
    said = volens("invite", "lobby", *ADA, "--language", language, "--out", "letters", "--json")
    for kind in ("html", "mail.txt", "sms.txt"):
        text = Path(said.json["files"][kind]).read_text()
        assert all(word.lower() in text.lower() for word in words), kind


@pytest.mark.usefixtures("door")
def test_list_cancel_and_resend_know_the_invitation_by_its_id(volens: Command, home: Path) -> None:
    first = volens("invite", "lobby", *ADA, "--json").json
    listed = volens("invite", "list", "--zone", "lobby", "--json").json
    assert [(one["invitation_id"], one["name"], one["state"]) for one in listed] == [
        (first["invitation_id"], "Ada Canary", "open")
    ]
    second = volens("invite", "resend", first["invitation_id"], "--json").json
    with Site.open(home) as site:
        with pytest.raises(InvitationEndedError):
            site.invitations.open(first["link"])
        assert site.invitations.open(second["link"]).name == "Ada Canary"
    assert volens("invite", "cancel", first["invitation_id"]).code == 0
    assert "no open invitation" in volens("invite", "cancel", first["invitation_id"]).err
    assert "Canary" not in volens("invite", "list").out
    counts = volens("invite", "list", "--counts", "--json").json
    assert {(one["event"], one["count"]) for one in counts} == {("sent", 1), ("cancelled", 1)}


@pytest.mark.usefixtures("door")
def test_a_file_that_is_in_the_way_leaves_no_invitation(
    volens: Command,
) -> None:
    Path("letters").write_text("not a folder")
    assert volens("invite", "lobby", *ADA, "--out", "letters").code != 0
    assert [one["state"] for one in volens("invite", "list", "--json").json] == ["cancelled"]
    Path("letters").unlink()
    assert volens("invite", "lobby", *ADA, "--out", "letters").code == 0


@pytest.mark.usefixtures("door")
def test_a_table_of_people_has_a_report_on_each_row(volens: Command, home: Path) -> None:
    Path("people.csv").write_text("name,external_id\nAda Canary,4711\n,4712\n=Bob Example,4713\n")
    said = volens("invite", "import", "people.csv", "--jurisdiction", "FR", "--out", "all", "--report", "report.csv")
    assert said.code == 1
    assert "row 3" in said.out
    assert "2 people invited, 1 row refused" in said.out
    with Path("report.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [bool(one["link"]) for one in rows] == [True, False, True]
    assert rows[2]["name"] == "'=Bob Example"
    assert opened_name(home, rows[0]["link"]) == "Ada Canary"
    assert len(list(Path("all").iterdir())) == 8

    again = volens("invite", "import", "people.csv", "--jurisdiction", "FR", "--out", "again", "--json")
    assert again.code == 1
    assert not any(one.get("link") for one in again.json)


@pytest.mark.usefixtures("door")
def test_an_import_whose_files_cannot_be_written_invites_nobody(
    volens: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("people.csv").write_text("name\nAda Canary\nBob Example\n")
    Path("all").mkdir()
    assert "exists already" in volens("invite", "import", "people.csv", "--jurisdiction", "FR", "--out", "all").err
    assert volens("invite", "list", "--json").json == []

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    assert volens("invite", "import", "people.csv", "--jurisdiction", "FR", "--out", "new").code != 0
    assert not Path("new").exists()


@pytest.mark.usefixtures("door")
def test_a_refusal_receipt_is_checked_offline_and_names_nobody(volens: Command, home: Path) -> None:
    link = volens("invite", "lobby", *ADA, "--json").json["link"]
    with Site.open(home) as site:
        data = site.invitations.refuse(link, receipt_wanted=True)
        with pytest.raises(UnknownInvitationError):
            site.invitations.open(link)
    assert data is not None
    Path("refusal.json").write_bytes(data)
    said = volens("refusal", "verify", "refusal.json", "--trust", home / "site.pub")
    assert said.code == 0, said.err
    assert "said no" in said.out
    assert "Ada" not in said.out

    changed = json.loads(data)
    changed["refusal"] = changed["refusal"][:-4] + "AAAA"
    Path("changed.json").write_text(json.dumps(changed) + "\n")
    assert volens("refusal", "verify", "changed.json", "--trust", home / "site.pub").code != 0
