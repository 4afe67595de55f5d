"""Secrets and badges on the command line: the files for the person, and the exit code of each mistake."""

from pathlib import Path

import pytest
from declared_gates import open_gates_in
from publishing import publish_at_home
from said import Command

from volens.face import Extractor

PROMISES = ("--alternative", "a key", "--retention-days", "30")


@pytest.fixture
def vault(lobby: Path, volens: Command) -> Path:
    """A zone in which Ada holds a secret; she gave consent."""
    assert volens("zone", "add", "vault", "--custody", "subject_key", *PROMISES).code == 0
    open_gates_in(lobby / "site", "vault")
    publish_at_home("vault")
    give(volens, "vault", "ada")
    return lobby


@pytest.fixture
def gate(lobby: Path, volens: Command) -> Path:
    """A zone with badges; Ada gave consent."""
    assert volens("zone", "add", "gate", "--custody", "badge", *PROMISES).code == 0
    open_gates_in(lobby / "site", "gate")
    publish_at_home("gate")
    give(volens, "gate", "ada")
    return lobby


def give(volens: Command, zone: str, name: str) -> None:
    given = volens(
        *("consent", "give", "--zone", zone, "--name", name.title(), "--jurisdiction", "FR", "--yes-i-read-it"),
        *("--new-key", f"{name}.key", "--out", f"{name}.json"),
    )
    assert given.code == 0, given.err


def photos(album: Path) -> list[Path]:
    return [album / f"ada-{number}.png" for number in (1, 2, 3)]


def test_without_the_persons_secret_no_embedding_is_computed(
    vault: Path, volens: Command, album: Path, loaded: Extractor
) -> None:
    give(volens, "vault", "bob")
    before = loaded.embeddings_computed

    none = volens("enroll", "ada.json", *photos(album))
    wrong = volens("enroll", "ada.json", *photos(album), "--secret", "bob.secret.txt")
    badge = volens("enroll", "ada.json", *photos(album), "--badge-out", "ada.badge")
    both = volens(
        "enroll", "ada.json", *photos(album), "--secret", "ada.secret.txt", "--secret-qr", "ada.secret.qr.png"
    )
    no_qr = volens("enroll", "ada.json", *photos(album), "--secret-qr", album / "ada-1.png")

    assert (none.code, none.out) == (2, "")
    assert "zone 'vault' has custody 'subject_key'; give the person's secret (--secret or --secret-qr)" in none.err
    assert wrong.code == 1
    assert "this secret is not the one that goes with this receipt" in wrong.err
    assert (badge.code, both.code, no_qr.code) == (2, 2, 2)
    assert loaded.embeddings_computed == before
    assert not (vault / "ada.badge").exists()


def test_a_secret_opens_the_door_to_its_owner_only(vault: Path, volens: Command, album: Path) -> None:
    give(volens, "vault", "bob")
    done = volens("enroll", "ada.json", *photos(album), "--secret-qr", "ada.secret.qr.png", "--json")
    assert done.code == 0, done.err
    door = album / "ada-door.png"

    opened = volens("verify", "ada.json", door, "--secret", "ada.secret.txt", "--json")
    other = volens("verify", "ada.json", door, "--secret", "bob.secret.txt", "--json")
    torn = volens("verify", "ada.json", door, "--secret", "ada.key")

    assert opened.code == 0
    assert opened.json["face"] is not None
    assert (other.code, other.json["error"]["kind"]) == (1, "RefusedError")
    assert torn.code == 2
    assert "cut off or misread" in torn.err
    assert volens("identify", "--zone", "vault", door).code == 1
    secret = (vault / "ada.secret.txt").read_text().strip()
    assert all(secret not in said.out + said.err for said in (done, opened, other, torn))


def test_a_badge_is_valid_only_after_it_was_written_for_the_person(gate: Path, volens: Command, album: Path) -> None:
    (gate / "taken.qr-2.png").write_bytes(b"another file")

    nowhere = volens("enroll", "ada.json", *photos(album))
    taken = volens("enroll", "ada.json", *photos(album), "--badge-out", "taken.badge")

    assert nowhere.code == 2
    assert "give a place for the badge (--badge-out)" in nowhere.err
    assert taken.code == 2
    assert "taken.qr-2.png exists already" in taken.err
    assert sorted(path.name for path in gate.glob("taken*")) == ["taken.qr-2.png"]  # the other files were deleted again
    done = volens("enroll", "ada.json", *photos(album), "--badge-out", "ada.badge", "--json")
    assert done.code == 0, done.err
    assert done.json["badge"] == ["ada.badge", "ada.qr-1.png", "ada.qr-2.png"]
    assert volens("verify", "--badge", "ada.badge", album / "ada-door.png").code == 0


def test_each_kind_of_invalid_badge_has_its_exit_code(gate: Path, volens: Command, album: Path) -> None:
    assert volens("enroll", "ada.json", *photos(album), "--badge-out", "ada.badge").code == 0
    door = album / "ada-door.png"
    changed = bytearray((gate / "ada.badge").read_bytes())
    changed[-1] ^= 1
    (gate / "changed.badge").write_bytes(changed)
    foreign = (gate / "ada.badge").read_bytes()
    (gate / "foreign.badge").write_bytes(foreign[:15] + b"0" * 24 + foreign[39:])

    ends = {
        "changed": volens("verify", "--badge", "changed.badge", door),
        "foreign": volens("verify", "--badge", "foreign.badge", door),
        "no badge": volens("verify", "--badge", "ada.json", door),
        "half": volens("verify", "--badge-qr", "ada.qr-1.png", door),
        "both": volens("verify", "--badge", "ada.badge", "--badge-qr", "ada.qr-1.png", door),
        "nothing": volens("verify", door),
        "receipt alone": volens("verify", "ada.json", door),
        "another face": volens("verify", "--badge", "ada.badge", album / "group-0-1.png"),
        "with receipt": volens("verify", "ada.json", "--badge", "ada.badge", door),
    }

    codes = {what: said.code for what, said in ends.items()}
    assert codes == {
        "changed": 4,
        "foreign": 1,
        "no badge": 2,
        "half": 2,
        "both": 2,
        "nothing": 2,
        "receipt alone": 2,
        "another face": 3,
        "with receipt": 0,
    }
    assert "integrity: this badge is not the one that was issued under this consent" in ends["changed"].err
    assert "this badge is of another site; use it at the site that issued it" in ends["foreign"].err
