"""The commands for keys: what they print, and how they end when a key is lost, wrong, away or half-rotated."""

import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import keyring
import pytest
from interruptions import after_each_write
from keyring.backends.fail import Keyring as NoKeyring
from keyrings.alt.file import PlaintextKeyring
from said import Command, Said

from tests.unit.store.raw import KEYRING, peek
from volens import Site
from volens.store.keys import Keyring


@pytest.fixture
def loaded() -> None:
    """No models: these tests process no face."""


def init(volens: Command, *more: object) -> Said:
    return volens("init", "--controller", "Example Ltd", "--contact", "privacy@example.org", *more)


def test_show_rotate_and_schedule_show_the_keys(ada: Path, volens: Command) -> None:
    assert ada.exists()
    first = volens("keys", "show", "--json").json
    assert (first["root_key"], first["epoch"], first["secrets"]) == ("file:root.key", 1, 1)
    assert (first["every_days"], first["overdue"], first["rotation_unfinished"]) == (90, False, False)

    done = {"epoch": 2, "buckets": 1, "new_root_key": False, "new_signing_key": None, "resumed": False}
    said = volens("keys", "rotate", "--json")
    assert (said.code, said.json) == (0, done)
    assert "older copies of the keyring still open" in volens("keys", "rotate").out.replace("\n", " ")
    assert "can no longer be decrypted" in volens("keys", "rotate", "--root").out.replace("\n", " ")
    assert volens("keys", "rotate", "--root", "--json").json["new_root_key"] is True

    assert volens("keys", "schedule", 30, "--json").json["every_days"] == 30
    assert "30" not in (refused := volens("keys", "schedule", 0)).out
    assert refused.code == 2
    shown = volens("keys", "show").out
    assert "file:root.key" in shown
    assert "1 in 1 bucket" in shown
    assert volens("status", "--json").json["store_key_epoch"] == 5
    assert volens("audit", "verify").code == 0


def test_a_withdrawal_and_its_certificate_hold_over_a_rotation(ada: Path, volens: Command) -> None:
    withdrawn = volens("withdraw", ada, "--json")
    assert withdrawn.code == 0, withdrawn.err
    said = volens("keys", "rotate", "--root", "--signing")
    assert said.code == 0, said.err
    assert "signing key 2 is in use; publish" in said.out.replace("\n", " ")
    assert volens("keys", "show", "--json").json["signing_key"] == 2
    again = volens("withdraw", ada, "--json")
    assert (again.code, again.json["certificate"]) == (0, withdrawn.json["certificate"])
    key = ada.parent / "site" / "site.pub"
    assert volens("certificate", "verify", withdrawn.json["certificate"], "--trust", key).code == 0


def test_an_interrupted_rotation_is_reported_and_finished(ada: Path, volens: Command, home: Path) -> None:
    assert ada.exists()

    def interrupt() -> None:
        if peek(home / KEYRING, "SELECT count(*) FROM key_rotation") == [(1,)]:
            raise KeyboardInterrupt

    with after_each_write(Keyring, interrupt):
        assert volens("keys", "rotate").code not in {0, 4}
    shown = volens("keys", "show", "--json").json
    assert (shown["epoch"], shown["rotation_unfinished"]) == (1, True)
    assert "run 'volens keys rotate' to finish it" in volens("keys", "show").out
    assert volens("status").code == 0
    checks = {one["what"]: one for one in volens("doctor", "--json").json}
    assert not checks["store key"]["ok"]
    assert "a rotation was interrupted" in checks["store key"]["found"]
    with Site.open(home) as site:
        assert site.status().zones[0].live_consents == 1
    assert volens("keys", "rotate", "--json").json["resumed"] is True
    assert volens("keys", "show", "--json").json["rotation_unfinished"] is False
    checks = {one["what"]: one for one in volens("doctor", "--json").json}
    assert checks["store key"]["ok"]
    assert checks["store key"]["found"].startswith("number 2, rotation due by ")


def test_an_overdue_rotation_is_reported(ada: Path, volens: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ada.exists()
    assert volens("keys", "schedule", 1).code == 0
    later = datetime.now(UTC) + timedelta(days=2)
    monkeypatch.setitem(Site.open.__func__.__kwdefaults__, "clock", lambda: later)
    assert "(overdue)" in volens("keys", "show").out
    assert "rotation of the store key is overdue" in volens("status").err
    checks = {one["what"]: one for one in volens("doctor", "--json").json}
    assert "run 'volens keys rotate'" in checks["store key"]["found"]
    assert volens("keys", "rotate").code == 0
    assert "overdue" not in volens("keys", "show").out


COMMANDS = (("status",), ("keys", "show"), ("keys", "rotate"), ("keys", "rotate", "--root"), ("sweep",))


@pytest.mark.parametrize("command", COMMANDS)
def test_a_lost_root_key_ends_with_6_and_a_wrong_one_with_4(
    ada: Path, volens: Command, home: Path, tmp_path: Path, command: tuple[str, ...]
) -> None:
    assert ada.exists()
    (home / "root.key").rename(tmp_path / "root.key")
    said = volens(*command)
    assert (said.code, said.err.count("\n")) == (6, 1)
    assert "cannot read" in said.err
    assert "root.key: No such file or directory" in said.err
    assert not (home / "root.key").exists()

    with closing(sqlite3.connect(home / "keyring.db")) as connection:
        before = list(connection.iterdump())
    with Site.create(tmp_path / "other", name="Other Ltd", contact="x@example.org"):
        shutil.copy(tmp_path / "other" / "root.key", home / "root.key")
    said = volens(*command, "--json")
    assert said.code == 4
    assert "does not open with this root key; use the root key that was made with it" in said.json["error"]["message"]
    with closing(sqlite3.connect(home / "keyring.db")) as connection:
        assert list(connection.iterdump()) == before

    shutil.copy(tmp_path / "root.key", home / "root.key")
    assert volens(*command).code == 0


def test_a_lost_keyring_ends_with_6_and_one_of_another_site_with_4(
    ada: Path, volens: Command, home: Path, tmp_path: Path
) -> None:
    assert ada.exists()
    (home / "keyring.db").rename(tmp_path / "keyring.db")
    for command in COMMANDS:
        said = volens(*command)
        assert (said.code, said.err.count("\n")) == (6, 1)
        assert "keyring.db" in said.err
        assert not (home / "keyring.db").exists()
    with Site.create(tmp_path / "other", name="Other Ltd", contact="x@example.org"):
        pass
    shutil.copy(tmp_path / "other" / "keyring.db", home / "keyring.db")
    for command in COMMANDS:
        assert volens(*command).code == 4
    shutil.copy(tmp_path / "other" / "root.key", home / "root.key")
    for command in COMMANDS:
        said = volens(*command)
        assert (said.code, said.err.count("\n")) == (4, 1)


def test_a_site_with_its_root_key_in_the_os_keyring(volens: Command, home: Path, tmp_path: Path) -> None:
    before, backend = keyring.get_keyring(), PlaintextKeyring()  # type: ignore[no-untyped-call]
    backend.file_path = str(tmp_path / "entries.cfg")
    try:
        keyring.set_keyring(NoKeyring())  # type: ignore[no-untyped-call]
        said = init(volens, "--root-key", "keyring:doors")
        assert (said.code, home.exists()) == (6, False)
        assert "this machine or session has no OS keyring" in said.err
        keyring.set_keyring(backend)
        made = init(volens, "--root-key", "keyring:doors", "--json")
        assert made.json["root_key"] == "keyring:doors"
        assert volens("keys", "rotate", "--root").code == 0
        checks = {one["what"]: one for one in volens("doctor", "--json").json}
        assert checks["root key"] == {"what": "root key", "ok": True, "found": "answers: keyring:doors"}

        keyring.set_keyring(NoKeyring())  # type: ignore[no-untyped-call]
        assert volens("status").code == 6
        said = volens("doctor", "--json")
        checks = {one["what"]: one for one in said.json}
        assert (said.code, checks["root key"]["ok"]) == (6, False)
        assert "has no OS keyring" in checks["root key"]["found"]
    finally:
        keyring.set_keyring(before)


@pytest.mark.parametrize("url", ["root.key", "ftp:x", "vault:https://a:CANARY@vault.example/transit/k"])
def test_an_invalid_root_key_url_is_a_usage_error_and_creates_nothing(volens: Command, home: Path, url: str) -> None:
    said = init(volens, "--root-key", url)
    assert (said.code, home.exists()) == (2, False)
    assert "CANARY" not in said.err
