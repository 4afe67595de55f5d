"""`volens backup` and `volens restore` on the command line, with the photos of a person."""

import shutil
from pathlib import Path

import pytest
from said import Command

from tests.unit.service.conftest import (
    ada,
    album,
    enrolled,
    enrolled_template,
    give,
    home,
    loaded,
    lobby,
    lobby_template,
    volens,
)

__all__ = [
    "ada",
    "album",
    "enrolled",
    "enrolled_template",
    "give",
    "home",
    "loaded",
    "lobby",
    "lobby_template",
    "volens",
]

DATA = "volens.db"


@pytest.fixture
def door(album: Path) -> Path:
    return album / "ada-door.png"


def test_ada_withdraws_after_a_backup_and_no_restore_brings_her_back(
    enrolled: Path, volens: Command, home: Path, tmp_path: Path, door: Path
) -> None:
    made = volens("backup", tmp_path / "backup", "--json")
    assert (made.code, made.json["with_keyring"]) == (0, False)
    assert [one["name"] for one in made.json["files"]] == [DATA]
    assert volens("identify", "--zone", "lobby", door).code == 0
    assert volens("withdraw", enrolled).code == 0

    shutil.copy(tmp_path / "backup" / DATA, home / DATA)
    refused = volens("identify", "--zone", "lobby", door)
    assert refused.code == 4
    assert "this is an older data file" in refused.err
    assert "run 'volens restore --in-place'" in refused.err

    restored = volens("restore", "--in-place", "--json")
    assert (restored.code, restored.json["replayed"], restored.json["enroll_again"]) == (0, 1, 0)
    assert volens("identify", "--zone", "lobby", door).code == 3
    assert volens("audit", "verify").code == 0

    (home / DATA).unlink()
    said = volens("restore", tmp_path / "backup", "--in-place")
    assert said.code == 0
    assert "1 consent that had ended since: ended and erased again" in said.out
    assert volens("identify", "--zone", "lobby", door).code == 3
    for certificate in (home / "certificates").iterdir():
        assert volens("certificate", "verify", certificate, "--trust", home / "site.pub").code == 0


def test_a_backup_with_the_keyring_warns_and_is_restored_only_with_proof(
    ada: Path, volens: Command, home: Path, tmp_path: Path
) -> None:
    made = volens("backup", tmp_path / "full", "--with-keyring")
    assert made.code == 0
    assert "warning: anyone who has both this backup and the root key can open everything in it" in made.err
    root_key = shutil.copy(home / "root.key", tmp_path / "root key of the backup")
    assert volens("withdraw", ada).code == 0
    lost = home.rename(tmp_path / "lost")
    assert volens("restore", tmp_path / "full", "--root-key", lost / "root.key").code == 4

    order = ("restore", tmp_path / "full", "--root-key", root_key)
    refused = volens(*order)
    assert refused.code == 1
    assert "--accept-lost-withdrawals" in refused.err
    assert not home.exists()
    proved = volens(*order, "--replay", lost / "certificates", "--json")
    assert (proved.code, proved.json["replayed"], proved.json["lost_entries"]) == (0, 1, 2)
    shutil.rmtree(home)
    accepted = volens(*order, "--accept-lost-withdrawals")
    assert accepted.code == 0
    assert "warning: people who withdrew since the backup may be recognised again" in accepted.err


def test_bad_usage_ends_with_code_2_and_a_sentence(lobby: Path, volens: Command, home: Path, tmp_path: Path) -> None:
    assert lobby == tmp_path
    for arguments, said in (
        (("backup", home / "inside"), "is inside the site's home"),
        (("restore", tmp_path / "nothing"), "has no manifest.json"),
        (("restore", tmp_path / "nothing", "--in-place"), "has no manifest.json"),
        (("restore",), "no root key for a new home"),
        (("restore", "--in-place", "--root-key", home / "root.key"), "uses the home's own keyring and root key"),
    ):
        answer = volens(*arguments)
        assert (answer.code, answer.out) == (2, "")
        assert said in answer.err
