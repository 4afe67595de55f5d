"""`volens sender` and `volens consent link`, as an operator uses them."""

import json
import stat
from pathlib import Path

from said import Command
from webhook_signer import Ed25519Signer


def test_a_sender_is_added_listed_rotated_and_ended(volens: Command, lobby: Path, tmp_path: Path) -> None:
    assert lobby
    file = tmp_path / "secret"
    added = volens("sender", "add", "staff list", "--zone", "lobby", "--out", file, "--json")
    assert added.code == 0, added.err
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_text().startswith("whsec_")
    sender = added.json["sender"]
    assert "staff list" in volens("sender", "list").out
    rotated = volens("sender", "rotate", sender, "--grace-hours", "1", "--json").json
    assert rotated["number"] == 2
    assert rotated["secret"] != file.read_text().strip()
    assert volens("sender", "end", sender).code == 0
    assert volens("sender", "list", "--json").json == {"senders": []}
    assert len(volens("sender", "list", "--all", "--json").json["senders"]) == 1
    assert volens("sender", "rotate", sender).code == 2


def test_a_sender_with_a_key_of_its_own_shares_no_secret(volens: Command, lobby: Path) -> None:
    assert lobby
    public = Ed25519Signer(bytes(32)).public_text
    assert "secret" not in volens("sender", "add", "signs", "--public-key", public, "--json").json
    assert volens("sender", "add", "signs", "--public-key", "whpk_x").code == 2


def test_a_secret_does_not_overwrite_a_file(volens: Command, lobby: Path, tmp_path: Path) -> None:
    assert lobby
    file = tmp_path / "kept"
    file.write_text("mine")
    assert volens("sender", "add", "x", "--out", file).code == 2
    assert file.read_text() == "mine"
    assert volens("sender", "list", "--json").json == {"senders": []}


def test_a_person_is_linked_by_the_receipts_file(volens: Command, lobby: Path, tmp_path: Path) -> None:
    assert lobby
    common = ("consent", "give", "--zone", "lobby", "--jurisdiction", "FR", "--yes-i-read-it")
    one, two = tmp_path / "one.json", tmp_path / "two.json"
    assert volens(*common, "--name", "A", "--out", one, "--new-key", tmp_path / "a.pem").code == 0
    given = volens(
        *common, "--name", "B", "--out", two, "--new-key", tmp_path / "b.pem", "--external-id", "4712", "--json"
    )
    assert given.code == 0, given.err
    assert volens("consent", "link", one, "4711").code == 0
    refused = volens("consent", "link", one, "4713")
    assert (refused.code, json.dumps(refused.err).count("4713")) == (1, 0)
    assert volens("consent", "link", json.loads(given.out)["receipt_id"], "4712").code == 0
    assert volens("consent", "link", "nobody", "4711").code == 1
