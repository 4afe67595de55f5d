"""The commands in order, as people and scripts use them: output and exit codes."""

import json
import os
import pty
import stat
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path

import cv2
import numpy as np
import pytest
from command_line import every_command
from PIL import Image
from publishing import publish_at_home
from said import Command

from volens import Site


def test_every_command_explains_itself_and_prints_json(volens: Command) -> None:
    group = every_command()
    commands = []
    for name, command in group.commands.items():
        inner = getattr(command, "commands", None)
        commands += [(name, sub, one) for sub, one in inner.items()] if inner else [(name, None, command)]
    assert len(commands) >= 19
    for name, sub, command in commands:
        said = volens(*(part for part in (name, sub, "--help") if part))
        assert said.code == 0
        assert "--json" in said.out
        assert command.help


def test_init_creates_a_private_home_and_never_a_second_time(volens: Command, home: Path) -> None:
    made = volens("init", "--json")
    assert made.code == 0
    assert made.json["home"] == str(home)
    assert stat.S_IMODE((home / "root.key").stat().st_mode) == 0o600
    before = (home / "root.key").read_bytes()

    again = volens("init")

    assert (again.code, again.out) == (2, "")
    assert "is already there and not an empty folder; choose another with --home" in again.err
    assert (home / "root.key").read_bytes() == before


def test_init_warns_if_no_controller_is_named(volens: Command) -> None:
    assert "receipts will not name the controller" in volens("init").out


def test_a_consent_leaves_key_receipt_and_qr_with_the_person(ada: Path, lobby: Path) -> None:
    for name in ("ada.key", "ada.receipt.json", "ada.receipt.qr.png"):
        assert stat.S_IMODE((lobby / name).stat().st_mode) == 0o600
    document = json.loads(ada.read_text())
    picture = cv2.imread(str(lobby / "ada.receipt.qr.png"))
    text, _, _ = cv2.QRCodeDetector().detectAndDecode(picture)
    assert text == "VOLENS-WITHDRAW:" + document["withdrawal_code"].replace("-", "")
    assert document["notice"].endswith("We compare your face at the door.\n")


def test_a_consent_prints_neither_code_nor_name(lobby: Path, give: Command) -> None:
    for more in (("--yes-i-read-it",), ("--yes-i-read-it", "--json")):
        said = give(*more, out=f"ada{len(more)}")
        code = json.loads((lobby / f"ada{len(more)}.receipt.json").read_text())["withdrawal_code"]
        assert said.code == 0
        assert code not in said.out + said.err
        assert "Canary" not in said.out + said.err


def test_enroll_prints_reference_subject_and_quality(ada: Path, volens: Command, album: Path) -> None:
    said = volens("enroll", ada, *(album / f"ada-{number}.png" for number in (1, 2, 3)), "--json")

    assert said.code == 0
    assert said.json["reference_id"] == 1
    assert len(said.json["subject_id"]) == 43
    assert len(said.json["quality"]) == said.json["photo_count"] == 3
    assert said.json["few"] is False


def test_enroll_takes_a_folder_of_one_person(ada: Path, volens: Command, album: Path, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for number in (1, 2, 3):
        (tmp_path / "photos" / f"{number}.png").write_bytes((album / f"ada-{number}.png").read_bytes())

    assert volens("enroll", ada, tmp_path / "photos").code == 0


def test_identify_prints_exactly_the_promised_json(enrolled: Path, volens: Command, album: Path) -> None:
    assert enrolled.exists()
    said = volens("identify", "--zone", "lobby", album / "ada-door.png", "--json")

    assert said.code == 0
    assert set(said.json) == {"zone", "model", "threshold", "faces"}
    assert said.json["zone"] == "lobby"
    assert said.json["model"] == "sface_2021dec_int8bq@fb143eea"
    (face,) = said.json["faces"]
    assert set(face) == {"box", "decision", "subject_id", "comparison_score", "reason", "sealed_opened", "looks"}
    assert (face["decision"], face["looks"]) == ("match", 1)
    assert face["comparison_score"] > said.json["threshold"]
    assert face["sealed_opened"] == 1


def test_identify_ends_with_3_without_a_match_and_reveals_nothing(enrolled: Path, volens: Command, album: Path) -> None:
    assert enrolled.exists()
    said = volens("identify", "--zone", "lobby", album / "group.png", "--json")

    assert said.code == 3
    assert len(said.json["faces"]) == 6
    assert {(face["decision"], face["subject_id"], face["comparison_score"]) for face in said.json["faces"]} == {
        ("no_match", None, None)
    }


def test_identify_takes_folders_and_draws(enrolled: Path, volens: Command, album: Path, tmp_path: Path) -> None:
    assert enrolled.exists()
    said = volens("identify", "--zone", "lobby", album, "--draw", tmp_path / "drawn.png", "--json")

    assert said.code == 0
    matched = {Path(frame["source"]).stem for frame in said.json["frames"] if frame["faces"][0]["decision"] == "match"}
    assert matched == {"ada-1", "ada-2", "ada-3", "ada-door"}
    with Image.open(tmp_path / "drawn.png") as drawn, Image.open(album / "group.png") as group:
        assert drawn.format == "PNG"
        assert drawn.size == group.size
        assert np.asarray(drawn.convert("RGB")).tobytes() != np.asarray(group.convert("RGB")).tobytes()


def test_identify_reads_videos(enrolled: Path, volens: Command, album: Path, tmp_path: Path) -> None:
    assert enrolled.exists()
    frame = cv2.imread(str(album / "ada-door.png"))
    film = cv2.VideoWriter(
        str(tmp_path / "door.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 10, (frame.shape[1], frame.shape[0])
    )
    for _ in range(12):
        film.write(frame)
    film.release()

    said = volens("identify", "--zone", "lobby", tmp_path / "door.avi", "--json")

    assert said.code == 0
    assert [frame["faces"][0]["decision"] for frame in said.json["frames"]] == ["match"] * 3


def test_the_operator_sees_a_name(enrolled: Path, volens: Command, album: Path) -> None:
    assert enrolled.exists()
    assert "match: Ada Canary, score 0." in volens("identify", "--zone", "lobby", album / "ada-door.png").out


def test_verify_confirms_only_the_owner_of_a_receipt(enrolled: Path, volens: Command, album: Path) -> None:
    assert volens("verify", enrolled, album / "ada-door.png").code == 0
    other = volens("verify", enrolled, album / "group.png", "--json")
    assert other.code == 3
    assert other.json["face"]["decision"] == "no_match"


@pytest.mark.parametrize("by", ["receipt", "code", "typed"])
def test_withdrawal_by_receipt_or_code_leaves_a_certificate_that_is_checked_offline(
    enrolled: Path, volens: Command, album: Path, by: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    code = json.loads(enrolled.read_text())["withdrawal_code"]
    if by == "typed":
        monkeypatch.setattr("sys.stdin", StringIO(code.lower() + "\n"))
    arguments = {"receipt": (enrolled,), "code": ("--code", code), "typed": ("--code", "-")}[by]

    said = volens("withdraw", *arguments, "--json")

    assert said.code == 0
    certificate = Path(said.json["certificate"])
    assert volens("withdraw", enrolled, "--json").json == said.json
    assert volens("identify", "--zone", "lobby", album / "ada-door.png").code == 3
    public = (tmp_path / "site" / "site.pub").read_bytes()
    (tmp_path / "site.pub").write_bytes(public)
    (tmp_path / "copy.json").write_bytes(certificate.read_bytes())
    (tmp_path / "site").rename(tmp_path / "gone")  # nothing of the site is needed
    checked = volens("certificate", "verify", "copy.json", "--trust", "site.pub", "--json")
    assert checked.code == 0
    assert checked.json["valid"] is True
    assert {one["found"] for one in checked.json["statement"]["searched"]} == {0}


def test_status_audit_sweep_and_doctor_say_what_is_there(enrolled: Path, volens: Command) -> None:
    assert enrolled.exists()
    status = volens("status", "--json").json
    assert status["zones"][0]["live_consents"] == 1
    assert status["zones"][0]["references"] == {"sface_2021dec_int8bq@fb143eea": 1}
    audit = volens("audit", "verify", "--json").json
    assert audit["size"] == status["log_size"]
    assert audit["kinds"]["reference.enrolled"] == 1
    shown = volens("audit", "show", "--json").json["events"]
    assert "site.created" in {one["kind"] for one in shown}
    assert not {"consent.given", "reference.enrolled"} & {one["kind"] for one in shown}  # about a person
    (created,) = volens("audit", "show", "site.created", "--json").json["events"]
    assert "site_id" in created["details"]
    assert volens("audit", "show", "door.opened").out.strip() == "no event of this kind can be opened"
    nothing = {"expired": [], "reasons": {}, "resumed": [], "stray_secrets": 0, "outdated": {}, "witnesses": {}}
    assert volens("sweep", "--json").json == nothing
    doctor = volens("doctor", "--json")
    assert doctor.code == 0
    assert {one["what"] for one in doctor.json} >= {"python", "opencv", "models", "home", "site"}
    assert all(one["ok"] for one in doctor.json)


def test_an_expired_consent_is_swept_and_can_still_be_withdrawn(
    enrolled: Path, volens: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = datetime.now(UTC) + timedelta(days=31)
    monkeypatch.setitem(Site.open.__func__.__kwdefaults__, "clock", lambda: later)

    (erased,) = volens("sweep", "--json").json["expired"]

    assert erased["reason"] == "expired"
    assert volens("withdraw", enrolled, "--json").json["certificate"] == erased["certificate"]


def test_models_are_listed_and_checked(volens: Command) -> None:
    models = volens("models", "list", "--json").json
    assert [one["licence"] for one in models] == ["MIT", "Apache-2.0"]
    assert all(one["ok"] for one in models)
    assert volens("models", "verify").code == 0
    assert volens("models", "pull", "--quiet").out == ""


def test_the_version_is_shown(volens: Command) -> None:
    assert volens("--version").out.startswith("volens 0.")


def asked_to_agree(lobby: Path, answer: str, *options: str) -> tuple[int, bytes]:
    """Give consent on a terminal, and answer the question; return the exit code, and what was shown."""
    ours, theirs = pty.openpty()
    command = [Path(sys.executable).with_name("volens"), "consent", "give", "--zone", "lobby", "--name", "Ada"]
    command += ["--jurisdiction", "FR", "--new-key", "ada.key", "--out", "ada.receipt.json", *options]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, cwd=lobby) as process:
        os.close(theirs)
        shown = b""
        while b"]: " not in shown:
            shown += os.read(ours, 4096)
        os.write(ours, answer.encode() + b"\n")
        with suppress(OSError):  # the end of a terminal is an error on Linux
            while more := os.read(ours, 4096):
                shown += more
    os.close(ours)
    return process.returncode, shown


@pytest.mark.parametrize(
    ("language", "answer", "code", "question"),
    [
        ("fr", "Oui", 0, "Tapez oui pour accepter, autre chose pour refuser [non]:"),
        ("fr", "ja", 1, "Tapez oui pour accepter"),
        ("de-AT", "ja", 0, "Tippen Sie ja, um zuzustimmen, etwas anderes, um abzulehnen [nein]:"),
        ("de-AT", "yes", 0, "Tippen Sie ja"),
        ("it", "si", 1, "Type yes to agree"),
    ],
)
def test_the_question_and_its_yes_are_in_the_language_of_the_notice(
    lobby: Path, language: str, answer: str, code: int, question: str
) -> None:
    publish_at_home("lobby", language)
    returned, shown = asked_to_agree(lobby, answer, "--language", language)
    assert question in shown.decode()
    assert returned == code
    assert (lobby / "ada.receipt.json").exists() is (code == 0)


@pytest.mark.parametrize(("answer", "code"), [("yes", 0), ("no", 1), ("", 1), ("y", 1)])
def test_a_person_at_a_terminal_reads_the_notice_and_answers_a_prompt(lobby: Path, answer: str, code: int) -> None:
    returned, shown = asked_to_agree(lobby, answer)

    assert b"We compare your face at the door." in shown
    assert b"Do you agree? Type yes to agree, anything else to refuse [no]:" in shown
    assert returned == code
    assert (lobby / "ada.receipt.json").exists() is (code == 0)
    assert (lobby / "ada.key").exists() is (code == 0)
    assert (b"the person did not agree; nothing about" in shown) is (code == 1)
