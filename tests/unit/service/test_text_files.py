"""Every text file that a person names is read as editors leave it, and a wrong public key is called that."""

import io
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from publishing import drafted_at_home
from said import Command

MARK = b"\xef\xbb\xbf"


def marked(data: bytes) -> bytes:
    return MARK + data


def windows(data: bytes) -> bytes:
    return data.replace(b"\n", b"\r\n")


def both(data: bytes) -> bytes:
    return MARK + windows(data)


CHANGES = [marked, windows, both]


@pytest.fixture(scope="module")
def documents_template(tmp_path_factory: pytest.TempPathFactory, enrolled_template: Path) -> Path:
    """A site in whose folder lies one document of each kind that a command reads."""
    from tests.unit.service.conftest import done_in  # noqa: PLC0415  it is another conftest's function

    folder = Path(shutil.copytree(enrolled_template, tmp_path_factory.mktemp("documents") / "copy"))
    shutil.copy(folder / "site" / "site.pub", folder / "site.pub")
    done_in(folder, "export", "ada.receipt.json", "--to", "answer.zip")
    done_in(folder, "audit", "export", "log.jsonl")
    done_in(folder, "operator", "keygen", "one.key", "--no-passphrase")
    done_in(folder, "erase", "--jurisdiction", "FR", "--out", "fr.plan.json")
    done_in(folder, "withdraw", "ada.receipt.json")
    (certificate,) = (folder / "site" / "certificates").iterdir()
    shutil.copy(certificate, folder / "certificate.json")
    shutil.copy(folder / "site" / "checkpoint", folder / "checkpoint")
    return folder


@pytest.fixture
def documents(documents_template: Path, tmp_path: Path, volens: Command) -> Path:
    shutil.copytree(documents_template, tmp_path, dirs_exist_ok=True)
    (tmp_path / "policy.json").write_text(volens("policy").out)
    return tmp_path


CHECKS = {
    "certificate.json": ("certificate", "verify", "certificate.json", "--trust", "site.pub"),
    "site.pub": ("certificate", "verify", "certificate.json", "--trust", "site.pub"),
    "ada.receipt.json": (
        "certificate",
        "verify",
        "certificate.json",
        "--trust",
        "site.pub",
        "--receipt",
        "ada.receipt.json",
    ),
    "log.jsonl": ("audit", "verify", "log.jsonl", "--trust", "site.pub"),
    "checkpoint": ("audit", "verify", "newest.jsonl", "--trust", "site.pub", "--evidence", "checkpoint"),
    "policy.json": ("policy", "verify", "policy.json", "--key", "site.pub"),
    "serve.toml": ("config", "check", "serve.toml"),
    "one.key.pub": ("operator", "add", "Ann", "--key", "one.key.pub"),
    "notice.md": ("notice", "publish", "--zone", "lobby", "--language", "fr", "notice.md"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_byte_order_mark_and_windows_line_ends_change_nothing(
    documents: Path, volens: Command, change: Callable[[bytes], bytes]
) -> None:
    (documents / "serve.toml").write_text(volens("config", "example").out)
    assert volens("declare", "site", "dpo", "Dana Doe, dpo@example.org").code == 0
    (documents / "notice.md").write_text(drafted_at_home("lobby", "fr"))
    assert volens("audit", "export", "newest.jsonl").code == 0
    for name, command in CHECKS.items():
        before = (documents / name).read_bytes()
        (documents / name).write_bytes(change(before))
        said = volens(*command)
        assert (said.code, said.err) == (0, ""), name
        (documents / name).write_bytes(before)


@pytest.mark.parametrize("change", CHANGES)
def test_a_withdrawal_does_not_fail_for_three_bytes(
    enrolled: Path, volens: Command, monkeypatch: pytest.MonkeyPatch, change: Callable[[bytes], bytes]
) -> None:
    code = json.loads(enrolled.read_bytes())["withdrawal_code"]
    stdin = io.TextIOWrapper(io.BytesIO(change(f"{code}\n".encode())), encoding="utf-8")
    monkeypatch.setattr("sys.stdin", stdin)
    assert volens("withdraw", "--code", "-").code == 0
    enrolled.write_bytes(change(enrolled.read_bytes()))
    assert volens("withdraw", enrolled).code == 0  # repeating it is safe


@pytest.mark.parametrize("change", CHANGES)
def test_a_secret_of_a_door_may_have_a_mark_and_windows_line_ends(
    lobby: Path, volens: Command, change: Callable[[bytes], bytes]
) -> None:
    assert volens("credential", "add", "d", "--role", "door", "--zone", "lobby", "--out", "token").code == 0
    (lobby / "token").write_bytes(change((lobby / "token").read_bytes()))
    (lobby / "in").mkdir()
    assert volens(*_door_check(lobby)).code == 0


def _door_check(folder: Path) -> tuple[object, ...]:
    settings = {
        "zone": "lobby",
        "url": "http://127.0.0.1:1",
        "token": str(folder / "token"),
        "folder": str(folder / "in"),
    }
    (folder / "door.toml").write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in settings.items()))
    return "door", "check", folder / "door.toml"


@pytest.mark.parametrize(("mode", "managed", "code"), [(0o440, True, 0), (0o440, False, 2), (0o600, False, 0)])
def test_a_token_is_read_where_systemd_lays_it(
    lobby: Path, volens: Command, monkeypatch: pytest.MonkeyPatch, mode: int, *, managed: bool, code: int
) -> None:
    assert volens("credential", "add", "d", "--role", "door", "--zone", "lobby", "--out", "token").code == 0
    (lobby / "token").chmod(mode)
    (lobby / "in").mkdir()
    if managed:
        monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(lobby))
    said = volens(*_door_check(lobby))
    assert said.code == code
    if code:
        assert f"its group can read the token in {lobby / 'token'} (mode 0440, owner uid {os.geteuid()})" in said.err
        assert f"run: chmod 600 {lobby / 'token'}" in said.err


def test_a_root_key_is_read_where_systemd_lays_it(
    lobby: Path, volens: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    (lobby / "site" / "root.key").chmod(0o440)
    refused = volens("status")
    assert refused.code == 6
    assert f"the root key in {lobby / 'site' / 'root.key'} (mode 0440" in refused.err
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(lobby / "site"))
    assert volens("status").code == 0
    (lobby / "site" / "root.key").chmod(0o600)


def test_photos_without_a_receipt_get_a_sentence_that_says_so(lobby: Path, volens: Command, album: Path) -> None:
    assert lobby.is_dir()
    photos = sorted(album.glob("ada-*.png"))
    for arguments in (photos, [album], [album / "none.json", *photos]):
        said = volens("enroll", *arguments)
        assert said.code == 2
        assert "give the receipt first, then the photos: volens enroll RECEIPT PHOTO" in said.err
    assert f"{photos[0]} is a PNG image; expected the receipt" in volens("enroll", *photos).err


def test_a_photo_is_named_by_its_file(ada: Path, volens: Command, album: Path) -> None:
    said = volens("enroll", ada, album / "ada-1.png", album / "group.png", album / "ada-2.png")
    assert said.code == 1
    assert said.err.startswith("volens: group.png shows 6 faces; expected one")


FOREIGN = {
    "certificate": ("certificate", "verify", "certificate.json", "--trust"),
    "certificate as a page": ("certificate", "show", "certificate.json", "--html", "page.html", "--trust"),
    "answer": ("export", "--verify", "answer.zip", "--key"),
    "log": ("audit", "verify", "log.jsonl", "--trust"),
    "policy": ("policy", "verify", "policy.json", "--key"),
    "plan": ("erase", "--approve", "fr.plan.json", "--operator-key", "one.key", "--trust"),
}


def test_a_wrong_public_key_is_called_that_and_not_tampering(documents: Path, volens: Command) -> None:
    assert volens("init", "--home", "other").code == 0
    ours, theirs = ((documents / home / "site.pub").read_text() for home in ("site", "other"))
    for what, command in FOREIGN.items():
        said = volens(*command, "other/site.pub")
        assert (said.code, said.out) == (7, ""), what
        assert "of another site than the public key" in said.err, what
        for line in (ours, theirs):
            name, _, key = line.strip().split("+", 2)
            assert name in said.err, what
            assert key not in said.err, what
    json_error = volens(*FOREIGN["certificate"], "other/site.pub", "--json").json["error"]
    assert (json_error["kind"], json_error["exit_code"]) == ("WrongKeyError", 7)
    several = volens("certificate", "verify", "certificate.json", "certificate.json", "--trust", "other/site.pub")
    assert several.code == 7
    assert several.out.count("WRONG KEY") == 2


def test_a_changed_document_is_still_called_tampering(documents: Path, volens: Command) -> None:
    token = json.loads((documents / "certificate.json").read_bytes())["certificate"]
    changed = token[:-9] + ("A" if token[-9] != "A" else "B") + token[-8:]
    (documents / "certificate.json").write_text(json.dumps({"certificate": changed}) + "\n")
    said = volens(*FOREIGN["certificate"], "site.pub")
    assert (said.code, said.out) == (4, "")
    assert "the signature does not match" in said.err
