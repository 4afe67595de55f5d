"""The verifier that was written from docs/certificate-format.md: it agrees with ours, on good files and on bad ones."""

import ast
import json
import random
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import archive_verifier
import pytest
import receipt_verifier
import verifier
from house import House
from signed_documents import (
    KINDS,
    Check,
    house_with_documents,
    house_with_dossier,
    is_refused,
    newest_certificate,
    signed_documents,
)

from tests.unit.erase.test_certificate import reissue, statement_of
from tests.unit.erase.test_dossier import read, signed_again, written
from tests.vectors.build_vectors import FOLDER, VERIFIED, worked_example
from volens.audit import Checkpoint, VerifierKey, open_checkpoint, sign_checkpoint
from volens.consent import VolensError
from volens.erase.order import verify_dossier
from volens.erase.proof import log_details, verify_certificate
from volens.service.cli.app import run

HERE = Path(__file__).parent
PROGRAMS = ("verifier.py", "archive_verifier.py", "receipt_verifier.py")
PAGE = HERE.parents[1] / "docs" / "certificate-format.md"
MANIFEST: dict[str, Any] = json.loads((FOLDER / "manifest.json").read_text("utf-8"))
SIGNATURES = json.loads((FOLDER / "signature_vectors.json").read_text("utf-8"))["vectors"]
FLIPS = 60


@pytest.fixture(scope="module")
def house(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    house = house_with_documents(template, tmp_path_factory.mktemp("independent") / "home")
    yield house
    house.site.close()


@pytest.fixture(scope="module")
def site(house: House) -> verifier.Site:
    return verifier.Site((house.site.home / "site.pub").read_text("utf-8"))


@pytest.fixture(scope="module")
def dossier(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[House, Path]]:
    house, folder = house_with_dossier(template, tmp_path_factory.mktemp("order") / "home")
    yield house, folder
    house.site.close()


def documents(house: House, site: verifier.Site) -> dict[str, tuple[bytes, Check, Check]]:
    """Return what the house has signed: its bytes, the check of the independent verifier, and our own."""
    theirs: dict[str, Check] = {
        "certificate": site.certificate,
        "receipt": receipt_verifier.receipt,
        "checkpoint": lambda data: site.checkpoint(data.decode()),
        "access answer": lambda data: archive_verifier.access_answer(site, BytesIO(data)),
        "log": lambda data: archive_verifier.log(site, data),
    }
    return {kind: (data, theirs[kind], ours) for kind, (data, ours) in signed_documents(house).items()}


def files_of(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_verifier_uses_the_standard_library_and_cryptography_and_has_100_lines() -> None:
    allowed = sys.stdlib_module_names | {"cryptography", "verifier", "receipt_verifier"}
    for name in PROGRAMS:
        text = (HERE / name).read_text("utf-8")
        imported = {
            module
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.Import | ast.ImportFrom)
            for module in ([one.name for one in node.names] if isinstance(node, ast.Import) else [str(node.module)])
        }
        assert imported
        assert {one.partition(".")[0] for one in imported} <= allowed
        assert "import_module" not in text
        assert "__import__" not in text
    assert len((HERE / "verifier.py").read_text("utf-8").splitlines()) <= 100


@pytest.mark.parametrize("name", sorted(MANIFEST["receipts"]))
def test_the_verifier_judges_every_stored_receipt_as_the_manifest_does(name: str) -> None:
    def of_ann(data: bytes) -> None:
        _, agreed = receipt_verifier.receipt(data)
        assert agreed["pii_principal_id"] == MANIFEST["subject_id"]

    said = MANIFEST["receipts"][name]["expected"]
    assert is_refused(of_ann, (FOLDER / name).read_bytes()) == (said != VERIFIED)


@pytest.mark.parametrize("one", SIGNATURES, ids=lambda one: str(one["name"]))
def test_the_verifier_judges_every_stored_signature_as_its_file_does(one: dict[str, str]) -> None:
    assert is_refused(receipt_verifier.receipt, one["receipt"].encode()) == (one["expected"] != VERIFIED)


@pytest.mark.parametrize("name", ["certificate_v1.json", "worked_certificate.json"])
def test_the_verifier_accepts_a_stored_certificate_of_every_version(name: str) -> None:
    public = {"certificate_v1.json": "certificate_v1.pub", "worked_certificate.json": "worked_site.pub"}[name]
    site = verifier.Site((FOLDER / public).read_text("utf-8"))
    assert site.certificate((FOLDER / name).read_bytes())["reason"] == "withdrawn"


@pytest.mark.parametrize("kind", KINDS)
def test_both_verifiers_accept_what_the_site_has_just_signed(house: House, site: verifier.Site, kind: str) -> None:
    data, theirs, ours = documents(house, site)[kind]
    theirs(data)
    ours(data)


@pytest.mark.parametrize("kind", KINDS)
def test_both_verifiers_refuse_a_file_in_which_one_bit_was_changed(
    house: House, site: verifier.Site, kind: str
) -> None:
    data, theirs, ours = documents(house, site)[kind]
    bits = random.Random(17)
    places = {*(bits.randrange(len(data)) for _ in range(FLIPS)), 0, len(data) - 1}
    refused = 0
    for place in sorted(places):
        changed = data[:place] + bytes([data[place] ^ 1 << bits.randrange(8)]) + data[place + 1 :]
        is_the_same = (
            kind == "access answer" and not is_refused(files_of, changed) and files_of(changed) == files_of(data)
        )
        is_the_same |= kind == "receipt" and changed.strip() == data
        if not is_the_same:  # a zip has times and sizes that say nothing
            assert is_refused(theirs, changed), place
            assert is_refused(ours, changed), place
            refused += 1
    assert refused > FLIPS // 3


@pytest.mark.parametrize(
    "lie",
    [
        {"kind": "zone.added"},
        {"details": lambda said: log_details(said) | {"statement_sha256": "0" * 64}},
        {"details": lambda said: log_details(said) | {"certificate_id": "0" * 32}},
        {"details": lambda said: log_details(said) | {"more": 1}},
        {"change": lambda logged: replace(logged, entry=replace(logged.entry, index=0))},
        {"change": lambda logged: replace(logged, entry=replace(logged.entry, salt=bytes(32)))},
        {"change": lambda logged: replace(logged, note=logged.note.replace("\n\n", "\nmore\n\n"))},
        {"payload": lambda payload: b" " + payload},
        {"typ": "volens-access-answer+jws"},
    ],
)
def test_both_verifiers_refuse_a_certificate_that_the_site_itself_signed_wrongly(
    house: House, site: verifier.Site, lie: dict[str, Any]
) -> None:
    statement = statement_of(newest_certificate(house))
    site.certificate(reissue(house, statement))
    wrong = reissue(house, statement, **lie)
    assert is_refused(site.certificate, wrong)
    assert is_refused(lambda data: verify_certificate(data, house.site.verifier_key), wrong)


def test_both_verifiers_refuse_a_certificate_of_an_erasure_that_left_something(
    house: House, site: verifier.Site
) -> None:
    statement = statement_of(newest_certificate(house))
    for name in ("searched", "search_after"):
        wrong = reissue(house, statement | {name: [*statement[name], {"what": "name", "pieces": 1, "found": 1}]})
        assert is_refused(site.certificate, wrong)
        assert is_refused(lambda data: verify_certificate(data, house.site.verifier_key), wrong)


@pytest.mark.parametrize("kind", KINDS)
def test_both_verifiers_refuse_a_file_that_was_cut_off(house: House, site: verifier.Site, kind: str) -> None:
    data, theirs, ours = documents(house, site)[kind]
    for end in (0, 1, len(data) // 3, len(data) // 2, len(data) - 1):
        assert is_refused(theirs, data[:end]), end
        assert is_refused(ours, data[:end]), end


def test_what_one_site_has_signed_is_refused_under_the_key_of_another(
    house: House, site: verifier.Site, dossier: tuple[House, Path]
) -> None:
    other = verifier.Site((FOLDER / "worked_site.pub").read_text("utf-8"))
    other.name = site.name  # only the key is another
    by_kind: dict[str, Check] = {
        "certificate": other.certificate,
        "checkpoint": lambda data: other.checkpoint(data.decode()),
        "access answer": lambda data: archive_verifier.access_answer(other, BytesIO(data)),
        "log": lambda data: archive_verifier.log(other, data),
    }
    for kind, check in by_kind.items():
        assert is_refused(check, documents(house, site)[kind][0])
    assert is_refused(lambda _: archive_verifier.dossier(other, dossier[1]), b"")


def test_both_verifiers_accept_a_dossier_of_two_operators(dossier: tuple[House, Path]) -> None:
    house, folder = dossier
    ours = verify_dossier(folder, house.site.verifier_key)
    plan = archive_verifier.dossier(verifier.Site(house.site.verifier_key.line()), folder)
    assert plan["cohort_id"] == ours.plan.cohort_id
    assert len(ours.certificates) == 2


def test_both_verifiers_refuse_a_dossier_in_which_any_file_was_changed(dossier: tuple[House, Path]) -> None:
    house, folder = dossier
    site, bits = verifier.Site(house.site.verifier_key.line()), random.Random(18)
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    assert {"manifest.sig.json", "log.json", "plan.json", "counts.json", "2.json"} <= {path.name for path in paths}
    for path in paths:
        data = path.read_bytes()
        place = bits.randrange(len(data))
        try:
            for changed in (data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :], None):
                path.unlink() if changed is None else path.write_bytes(changed)
                assert is_refused(lambda _: archive_verifier.dossier(site, folder), b""), path.name
                with pytest.raises(VolensError):
                    verify_dossier(folder, house.site.verifier_key)
        finally:
            path.write_bytes(data)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("counts.json", b'"requests_answered":0', b'"requests_answered":1'),
        ("counts.json", b'"joined_since":0', b'"joined_since":1'),
        ("log.json", b'"index":', b'"index":1'),
        ("approvals/2.json", b'": "', b'": "x'),
    ],
)
def test_both_verifiers_refuse_a_dossier_signed_again_with_other_claims(
    dossier: tuple[House, Path], tmp_path: Path, name: str, old: bytes, new: bytes
) -> None:
    house, folder = dossier
    files = read(folder)
    assert old in files[name]
    copy = written(signed_again(house, files | {name: files[name].replace(old, new)}), tmp_path)
    with pytest.raises(VolensError):
        verify_dossier(copy, house.site.verifier_key)
    site = verifier.Site(house.site.verifier_key.line())
    assert is_refused(lambda _: archive_verifier.dossier(site, copy), b"")


def test_both_verifiers_accept_an_unchanged_dossier_that_was_signed_again(
    dossier: tuple[House, Path], tmp_path: Path
) -> None:
    house, folder = dossier
    copy = written(signed_again(house, read(folder)), tmp_path)
    verify_dossier(copy, house.site.verifier_key)
    archive_verifier.dossier(verifier.Site(house.site.verifier_key.line()), copy)


def test_the_program_says_of_each_file_that_it_is_valid(
    house: House, site: verifier.Site, dossier: tuple[House, Path], tmp_path: Path
) -> None:
    paths = [tmp_path / kind.replace(" ", "-") for kind in KINDS]
    for path, (data, _, _) in zip(paths, documents(house, site).values(), strict=True):
        path.write_bytes(data)
    public = house.site.home / "site.pub"

    def program(*arguments: object) -> subprocess.CompletedProcess[str]:
        words = [sys.executable, str(HERE / "archive_verifier.py"), *map(str, arguments)]
        return subprocess.run(words, cwd=tmp_path, env={}, capture_output=True, text=True, check=False)

    said = program(public, *paths)
    assert (said.returncode, said.stdout) == (0, "".join(f"valid: {path}\n" for path in paths)), said.stderr
    assert program(dossier[0].site.home / "site.pub", dossier[1]).returncode == 0
    assert program(FOLDER / "worked_site.pub", *paths).returncode == 1


def test_the_page_shows_the_worked_example_of_the_vectors() -> None:
    text = PAGE.read_text("utf-8")
    for line in worked_example().lines:
        assert line in text.splitlines()
    site = verifier.Site((FOLDER / "worked_site.pub").read_text("utf-8"))
    size, root = archive_verifier.log(site, (FOLDER / "worked_log.jsonl").read_bytes())
    assert (size, f"root              {root.hex()}" in text.splitlines()) == (3, True)


def test_the_commands_of_the_page_say_that_the_worked_example_is_valid(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(HERE.parents[1])
    typed = [line[2:].split() for line in PAGE.read_text("utf-8").splitlines() if line.startswith("$ ")]
    assert [words[0] for words in typed] == ["python", "volens", "volens"]
    program = subprocess.run([sys.executable, *typed[0][1:]], capture_output=True, text=True, check=True)
    assert program.stdout.count("valid: ") == len(typed[0]) - 3
    for words in typed[1:]:
        assert run(words[1:]) == 0
        assert capsys.readouterr().out.startswith("valid: ")


def test_after_rotations_both_verify_what_each_key_signed_and_no_longer_log(template: Path, tmp_path: Path) -> None:
    house = House.copied(template, tmp_path / "home")
    thief = house.store.keyring.unlocked.site.signing
    files, notes, texts = [], [], []
    for _ in range(3):
        files.append(house.withdraw(house.admit()).certificate_path.read_bytes())
        notes.append(house.site.log.checkpoint())
        texts.append((house.site.home / "site.pub").read_text("utf-8"))
        house.site.keys.rotate(signing=True)
    newest = verifier.Site(texts[-1])
    assert newest.line == verifier.Site(texts[0]).line
    for data, note in zip(files, notes, strict=True):
        verify_certificate(data, VerifierKey.parse(texts[-1]))
        newest.certificate(data)
        newest.checkpoint(note)
    for data, note in zip(files[1:], notes[1:], strict=True):
        assert is_refused(verifier.Site(texts[0]).certificate, data)
        assert is_refused(lambda data: verifier.Site(texts[0]).checkpoint(data.decode()), note.encode())
    house.invite()
    head = Checkpoint(newest.name, house.site.log.verify().size, bytes(32))
    house.site.close()
    late = sign_checkpoint(head, thief)
    for check in (newest.checkpoint, lambda note: open_checkpoint(note, VerifierKey.parse(texts[-1]))):
        assert is_refused(lambda data, check=check: check(data.decode()), late.encode())
