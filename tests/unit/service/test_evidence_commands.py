"""`volens doctor --evidence` and `volens restore --checkpoint` on every kind of file that a site gives out."""

import json
import shutil
from pathlib import Path

import pytest
from said import Command

from tests.unit.store.raw import DATA, KEYRING, peek

SITE_FILES = (DATA, KEYRING, "root.key")


def copy_files(source: Path, target: Path, *names: str) -> None:
    target.mkdir(exist_ok=True)
    for name in names or SITE_FILES:
        shutil.copy(source / name, target / name)


@pytest.fixture
def given_out(ada: Path, give: Command, volens: Command, home: Path, tmp_path: Path) -> dict[str, Path]:
    """Copy the files of today; then give out one file of each kind, and put nothing back yet."""
    copy_files(home, tmp_path / "yesterday")
    volens("recipient", "add", "panels", "--zone", "lobby", "--yes")
    webhook = ("--url", "http://127.0.0.1:9/volens", "--allow-private", "--out", "panels.secret")
    assert volens("webhook", "add", "panels", "--zone", "lobby", *webhook).code == 0
    assert give("--yes-i-read-it", out="bob").code == 0
    assert volens("backup", tmp_path / "backup").code == 0
    assert volens("export", ada, "--to", "answer.zip").code == 0
    erased = volens("withdraw", ada, "--json").json
    ((message,),) = peek(home / DATA, "SELECT body FROM webhook_outbox WHERE kind = 'subject.erased'")
    (tmp_path / "message.json").write_text(message)
    shutil.copy(home / "checkpoint", tmp_path / "note")
    shutil.copy(erased["certificate"], tmp_path / "certificate.json")
    return {
        "a receipt": tmp_path / "bob.receipt.json",
        "a manifest of a backup": tmp_path / "backup" / "manifest.json",
        "an access answer": tmp_path / "answer.zip",
        "a certificate": tmp_path / "certificate.json",
        "a webhook message": tmp_path / "message.json",
        "a checkpoint": tmp_path / "note",
    }


def test_every_file_that_a_site_gives_out_is_evidence(
    given_out: dict[str, Path], volens: Command, home: Path, tmp_path: Path
) -> None:
    options = [word for path in given_out.values() for word in ("--evidence", path)]
    said = volens("doctor", *options, "--json")
    assert said.code == 0, said.out
    found = {one["what"]: one["found"] for one in said.json}
    for path in given_out.values():
        assert found[str(path)].endswith("entries, which are the first of this log")
    assert found["evidence"].startswith("the checkpoint in the home is of")

    # Both files of yesterday, and all evidence in the home is gone: only what others have notices it.
    copy_files(tmp_path / "yesterday", home)
    shutil.rmtree(home / "certificates")
    (home / "checkpoint").unlink()
    assert volens("doctor").code == 0
    for what, path in given_out.items():
        said = volens("doctor", "--evidence", path)
        assert said.code == 4, what
        assert "data file and keyring are older copies" in " ".join(said.out.split()), what

    refused = volens("restore", "--in-place", "--checkpoint", given_out["a receipt"])
    assert refused.code == 1
    assert "--replay the certificates" in refused.err
    (tmp_path / "kept").mkdir()
    shutil.copy(given_out["a certificate"], tmp_path / "kept")
    order = ("restore", "--in-place", "--checkpoint", given_out["a receipt"], "--replay", tmp_path / "kept")
    restored = volens(*order, "--json")
    assert (restored.code, restored.json["replayed"]) == (0, 1)
    assert restored.json["lost_entries"] > 0
    # A restore gave these entries up, knowingly; those of other files it was not shown.
    said = volens("doctor", "--evidence", given_out["a receipt"], "--json")
    assert said.code == 0
    assert said.json[-1]["found"].endswith("entries, the last of which were lost when the site was restored")
    assert volens("doctor", "--evidence", given_out["an access answer"]).code == 4


def test_a_file_without_a_checkpoint_is_no_evidence(ada: Path, volens: Command, home: Path, tmp_path: Path) -> None:
    receipt = json.loads(ada.read_text())["receipt"]
    (tmp_path / "bare.jws").write_text(receipt)
    for path, code in ((tmp_path / "bare.jws", 2), (tmp_path / "nothing", 6)):
        said = volens("doctor", "--evidence", path, "--json")
        assert [one["found"] for one in said.json if not one["ok"]] != []
        assert said.code == code, said.out
    (home / "checkpoint").write_text("volens/x\n7\n")
    assert volens("doctor").code == 4


def test_an_older_keyring_is_said_on_stderr_once_and_by_doctor_later(
    ada: Path, give: Command, volens: Command, home: Path, tmp_path: Path
) -> None:
    assert give("--yes-i-read-it", out="bob").code == 0
    copy_files(home, tmp_path / "yesterday")
    assert volens("withdraw", ada).code == 0
    copy_files(tmp_path / "yesterday", home, KEYRING, "root.key")

    said = volens("status")

    assert said.code == 0
    assert "warning: the keyring was an older copy, 2 entries behind the data; 1 secret of erased" in said.err
    assert volens("status").err == ""
    (found,) = [one["found"] for one in volens("doctor", "--json").json if one["what"] == "evidence"]
    assert "an older keyring was repaired 1 time, last on 20" in found


def test_a_receipt_carries_the_checkpoint_that_covers_its_consent(ada: Path, home: Path) -> None:
    taken = json.loads(ada.read_text())
    ((newest,),) = peek(home / DATA, "SELECT note FROM audit_checkpoint ORDER BY size DESC LIMIT 1")
    assert taken["checkpoint"] == newest == (home / "checkpoint").read_text()
