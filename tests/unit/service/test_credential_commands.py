"""`volens credential`, as an operator uses it."""

import json
import stat
from pathlib import Path

from said import Command


def test_a_credential_is_issued_listed_rotated_and_ended(volens: Command, lobby: Path, tmp_path: Path) -> None:
    assert lobby
    file = tmp_path / "door.token"
    added = volens("credential", "add", "left door", "--role", "door", "--zone", "lobby", "--out", file, "--json")
    assert added.code == 0, added.err
    one = json.loads(added.out)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_text().startswith(f"volens_{one['credential']}_")
    assert "left door" in volens("credential", "list").out

    rotated = json.loads(volens("credential", "rotate", one["credential"], "--json").out)
    assert rotated["token"].startswith(f"volens_{rotated['credential']}_")
    assert volens("credential", "end", rotated["credential"]).code == 0
    listed = json.loads(volens("credential", "list", "--json").out)["credentials"]
    assert [entry["credential"] for entry in listed] == [one["credential"]]
    assert len(json.loads(volens("credential", "list", "--all", "--json").out)["credentials"]) == 2


def test_a_token_does_not_overwrite_a_file(volens: Command, lobby: Path, tmp_path: Path) -> None:
    assert lobby
    file = tmp_path / "kept"
    file.write_text("mine")
    assert volens("credential", "add", "x", "--role", "desk", "--out", file).code == 2
    assert file.read_text() == "mine"
    assert json.loads(volens("credential", "list", "--json").out)["credentials"] == []
