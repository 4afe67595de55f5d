"""Failures of the machine: full disks, odd names, poor terminals, Ctrl-C; and what is never printed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import pytest
from said import Command

from volens.consent import TakeHome

VOLENS = Path(sys.executable).with_name("volens")
LONG = "a" * 300


def _process(*arguments: object, stdout: int | None = None, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [VOLENS, *map(str, arguments)],
        env=os.environ | environment,
        stdout=subprocess.PIPE if stdout is None else stdout,
        stderr=subprocess.PIPE,
        check=False,
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no disk that is always full")
@pytest.mark.parametrize("arguments", [("--version",), ("models", "list"), ("models", "list", "--json")])
def test_a_full_disk_under_the_output_ends_with_6_and_one_sentence(arguments: tuple[str, ...]) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        done = _process(*arguments, stdout=full)
    finally:
        os.close(full)

    assert done.returncode == 6
    assert done.stderr.decode() == (
        "volens: system error: No space left on device; check the disk, the path and the permissions\n"
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no disk that is always full")
def test_an_error_that_cannot_be_written_as_json_goes_to_stderr(tmp_path: Path) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        done = _process("status", "--json", "--home", tmp_path / "nowhere", stdout=full)
    finally:
        os.close(full)

    assert done.returncode == 6
    assert done.stderr.startswith(b"volens: there is no site in ")
    assert done.stderr.count(b"\n") == 1


def test_a_name_that_the_terminal_cannot_write_is_written_in_escapes(lobby: Path, volens: Command, home: Path) -> None:
    assert lobby.is_dir()
    promises = ("--custody", "operator", "--alternative", "klucz Łucji", "--retention-days", "9")
    assert volens("zone", "add", "lab", *promises, "--justification", "Łódź").code == 0
    poor = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "", "COLUMNS": "200"}

    done = _process("zone", "list", "--home", home, **poor)
    as_json = _process("zone", "list", "--json", "--home", home, **poor)

    assert done.returncode == as_json.returncode == 0, done.stderr + as_json.stderr
    assert b"\\u0141\\xf3d\\u017a" in done.stdout
    assert "Łódź" in {zone["justification"] for zone in json.loads(as_json.stdout)}


def test_json_holds_a_file_name_that_is_not_text(enrolled: Path, volens: Command, album: Path, tmp_path: Path) -> None:
    assert enrolled.exists()
    names = [os.fsdecode(b"one\xff.png"), "two.png"]
    for name in names:
        (tmp_path / name).write_bytes((album / "ada-door.png").read_bytes())

    said = volens("identify", "--zone", "lobby", *(tmp_path / name for name in names), "--json")

    assert said.code == 0
    assert said.out.isascii()
    assert [Path(frame["source"]).name for frame in said.json["frames"]] == names


PATHS = {
    "a receipt": (("enroll", LONG, "{photo}"), 2, "cannot read receipt"),
    "a notice": (("notice", "publish", "--zone", "lobby", "--language", "en", LONG), 2, "cannot read notice"),
    "a certificate": (("certificate", "verify", LONG, "--trust", "site/site.pub"), 2, "cannot read certificate"),
    "a frame": (("identify", "--zone", "lobby", LONG), 6, "File name too long"),
}


@pytest.mark.parametrize("what", PATHS)
def test_a_path_that_the_system_refuses_is_not_an_internal_error(
    what: str, ada: Path, volens: Command, album: Path
) -> None:
    assert ada.exists()
    arguments, code, sentence = PATHS[what]
    said = volens(*(part.format(photo=album / "ada-1.png") for part in arguments))

    assert said.code == code
    assert sentence in said.err
    assert "File name too long" in said.err


def test_a_home_of_an_unknown_user_is_refused(volens: Command) -> None:
    said = volens("status", "--home", "~no-such-user-here/site")

    assert (said.code, said.out) == (2, "")
    assert "this machine has no such user; check --home" in said.err


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (("--camera", "-1"), "greater than or equal to 0"),
        (("--camera", "0", "--frames", "0"), "greater than or equal to 1"),
        (("{photo}", "--frames", "3"), "it needs --camera"),
        (("{photo}", "--camera", "0"), "pass either frames or --camera"),
        (("{photo}", "--draw", "door.jpg"), "pass the name of a .png file"),
        (("{photo}", "--draw", "nowhere/door.png"), "in a folder that exists"),
        (("{photo}", "--draw", "{photo}"), "which is one of the frames; nothing was changed"),
        (("{folder}", "--draw", "{folder}/new.png"), "which is one of the frames; nothing was changed"),
    ],
)
def test_identify_refuses_bad_options_before_it_processes_a_face(
    more: tuple[str, ...], sentence: str, lobby: Path, volens: Command, album: Path
) -> None:
    (lobby / "photos").mkdir()
    photo = lobby / "photos" / "door.png"
    photo.write_bytes((album / "ada-door.png").read_bytes())
    before = photo.read_bytes()

    said = volens("identify", "--zone", "lobby", *(part.format(photo=photo, folder=photo.parent) for part in more))

    assert (said.code, said.out) == (2, "")
    assert sentence in said.err
    assert photo.read_bytes() == before
    assert list(photo.parent.iterdir()) == [photo]


def test_a_missing_camera_is_reported(lobby: Path, volens: Command) -> None:
    assert lobby.is_dir()
    said = volens("identify", "--zone", "lobby", "--camera", "97")

    assert said.code == 2
    assert "camera 97 cannot be opened" in said.err


@pytest.mark.parametrize("name", ["ada.receipt.json", "ada.receipt.qr.png"])
def test_the_key_and_the_receipt_files_need_different_names(lobby: Path, give: Command, name: str) -> None:
    said = give("--yes-i-read-it", "--new-key", name)

    assert said.code == 2
    assert "choose two names" in said.err
    assert not list(lobby.glob("ada*"))


def test_a_broken_link_is_not_overwritten(lobby: Path, give: Command) -> None:
    (lobby / "ada.receipt.json").symlink_to(lobby / "gone")

    said = give("--yes-i-read-it")

    assert said.code == 2
    assert not (lobby / "gone").exists()
    assert not (lobby / "ada.key").exists()


def test_ctrl_c_before_all_files_are_written_withdraws_the_consent(
    lobby: Path, give: Command, volens: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_code: object) -> bytes:
        raise KeyboardInterrupt

    monkeypatch.setattr("volens.service.cli.take_home_files.withdrawal_qr", interrupted)

    assert give("--yes-i-read-it").code == 130
    assert not list(lobby.glob("ada*"))
    assert volens("status", "--json").json["zones"][0]["live_consents"] == 0
    monkeypatch.undo()


def test_a_file_that_appears_during_a_consent_is_not_overwritten(
    lobby: Path, give: Command, volens: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def meanwhile(take_home: TakeHome) -> bytes:
        assert take_home.qr_text()
        (lobby / "ada.receipt.qr.png").write_text("mine")
        return b"a picture"

    monkeypatch.setattr("volens.service.cli.take_home_files.withdrawal_qr", meanwhile)

    assert give("--yes-i-read-it").code == 2
    assert [path.name for path in lobby.glob("ada*")] == ["ada.receipt.qr.png"]
    assert (lobby / "ada.receipt.qr.png").read_text() == "mine"
    assert volens("status", "--json").json["zones"][0]["live_consents"] == 0


def test_ctrl_c_ends_with_130(lobby: Path, volens: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    assert lobby.is_dir()

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("volens.site.site_status", interrupted)

    said = volens("status")

    assert (said.code, said.out) == (130, "")
    assert "Traceback" not in said.err


def test_a_package_that_cannot_be_imported_is_not_an_internal_error(
    enrolled: Path, volens: Command, album: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ImportError("libGL.so.1: cannot open shared object file", name="cv2")

    monkeypatch.setattr("volens.Extractor.detect", broken)

    said = volens("verify", enrolled, album / "ada-door.png")

    assert (said.code, said.out) == (6, "")
    assert said.err == "volens: cv2 cannot be imported; see 'volens doctor'\n"
    assert volens("withdraw", enrolled).code == 0


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_no_error_repeats_a_name_or_a_code(lobby: Path, give: Command, volens: Command, more: tuple[str, ...]) -> None:
    assert give("--yes-i-read-it").code == 0
    code = json.loads((lobby / "ada.receipt.json").read_text())["withdrawal_code"]
    wrong = code[:-1] + ("A" if code[-1] != "A" else "B")
    document = json.loads((lobby / "ada.receipt.json").read_text())
    (lobby / "bad.json").write_text(json.dumps(document | {"receipt": document["receipt"][:-9] + "AAAAAAAAA"}))
    said = [
        give("--yes-i-read-it", "--key", "ada.key", *more, out="again"),  # a consent is in force already
        give("--yes-i-read-it", *more, name="Ada Canary\x1b[2J", out="odd"),
        volens("withdraw", "--code", wrong, *more),
        volens("withdraw", "--code", code[:-2], *more),
        volens("withdraw", "bad.json", *more),
    ]

    assert [one.code for one in said] == [1, 2, 1, 2, 4]
    for one in said:
        assert code[:11] not in one.out + one.err
        assert "Canary" not in one.out + one.err
        assert (one.out == "") is not bool(more)


def test_doctor_reports_files_that_other_users_may_read(lobby: Path, volens: Command, home: Path) -> None:
    assert lobby.is_dir()
    assert volens("doctor").code == 0  # site.pub is there to be given away
    (home / "keyring.db").chmod(0o640)

    said = volens("doctor", "--json")

    assert said.code == 6
    (problem,) = (one for one in said.json if not one["ok"])
    assert problem["what"] == "home"
    assert "other users may read keyring.db" in problem["found"]
    assert "chmod 600" in problem["found"]
    (home / "keyring.db").chmod(0o600)


def test_doctor_goes_on_when_one_check_breaks(volens: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(cv2, "__version__")  # as an extension for another NumPy may lack

    said = volens("doctor", "--json")

    assert said.code == 6
    found = {one["what"]: one for one in said.json}
    assert found["opencv"]["found"].startswith("fails (AttributeError); install again")
    assert found["models"]["ok"]


def test_pull_prints_json_even_with_quiet(volens: Command) -> None:
    assert len(volens("models", "pull", "--quiet", "--json").json) == 2


@pytest.mark.parametrize("command", [("--help",), ("certificate", "verify", "--help"), ("models", "list")])
def test_a_command_leaves_no_files_and_no_telemetry_in_the_users_folder(
    command: tuple[str, ...], tmp_path: Path
) -> None:
    # ONNX Runtime would leave a device identifier and a queue of events for its maker in ~/.cache.
    environment = {"HOME": str(tmp_path), "XDG_CACHE_HOME": "", "ORT_DISABLE_TELEMETRY": "0", "CI": ""}
    done = _process(*command, **environment)

    assert done.returncode == 0, done.stderr
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
