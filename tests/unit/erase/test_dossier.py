"""The dossier: checked with nothing but the public key, and worthless once a byte, a file or a claim was changed."""

import base64
import json
import shutil
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from house import House

from tests.unit.erase.orders import approval, carry_out, desk_alone, operator, planned
from tests.unit.erase.test_certificate import reissue, statement_of
from volens.audit import VerifierKey, consistency_proof, open_checkpoint
from volens.consent import InputError, TamperError
from volens.consent.errors import WrongKeyError
from volens.erase.order import Dossier, checkpoint_note, execution, select_live, sign_manifest, verify_dossier
from volens.erase.order.dossier_check import _add_up, _certificates
from volens.erase.proof import verify_certificate
from volens.store.log import node_reader

Files = dict[str, bytes]


@pytest.fixture(scope="module")
def house(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    house = desk_alone(House.copied(template, tmp_path_factory.mktemp("dossiers") / "home"))
    yield house
    house.site.close()


@pytest.fixture(scope="module")
def folder(house: House) -> Path:
    """Two of three people are erased, one of them enrolled, after two operators agreed; collecting is stopped."""
    house.admit(jurisdiction="DE")
    house.admit()
    house.invite()
    keys = [operator(house, label) for label in ("anna", "ben")]
    house.site.cohorts.require_operators(2)
    house.site.cohorts.stop_collecting("FR", None)
    plan = planned(house)
    done = carry_out(house, plan, [approval(house, plan, key) for key in keys])
    # Others, whose certificates and plan do not belong here.
    house.site.cohorts.require_operators(1, keys)
    house.withdraw(house.admit(jurisdiction="DE"))
    return done.dossier


def read(folder: Path) -> Files:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def written(files: Files, folder: Path) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def signed_again(house: House, files: Files) -> Files:
    """Return the files with a new manifest that the site signed over their present content."""
    inside = {name: data for name, data in files.items() if not name.startswith("manifest")}
    manifest = json.loads(files["manifest.json"])
    manifest["files"] = {name: sha256(data).hexdigest() for name, data in inside.items()}
    data = rfc8785.dumps(manifest)
    signature = sign_manifest(house.store.keyring, manifest["cohort_id"], data)
    return inside | {"manifest.json": data, "manifest.sig.json": signature}


def refused(house: House, folder: Path, words: str) -> None:
    with pytest.raises(TamperError, match=f"integrity: .*{words}"):
        verify_dossier(folder, house.site.verifier_key)


def test_a_dossier_is_checked_without_the_site_and_says_what_was_done(folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "anywhere"))
    key = VerifierKey.parse((copy / "site.pub").read_text().strip())

    dossier = verify_dossier(copy, key)

    assert isinstance(dossier, Dossier)
    assert dossier.approved_by == ["anna", "ben"]
    assert dossier.counts["before"]["cohort"]["consents"] == len(dossier.certificates) == 2
    assert dossier.counts["after"]["cohort"]["consents"] == 0
    assert dossier.counts["after"]["outside"]["people"] == 1
    page = (copy / "index.html").read_text()
    assert "<td>anna, ben</td>" in page
    assert "stopped since 2099-03-01T12:00:00Z by order" in page
    assert "<script" not in page


def test_a_dossier_names_no_person(house: House, folder: Path) -> None:
    everything = b"".join(read(folder).values())

    for person in house.people:
        for secret in (person.receipt_id, person.subject_id, person.code, "Canary"):
            assert secret.encode() not in everything


def test_a_changed_byte_anywhere_fails(house: House, folder: Path, tmp_path: Path) -> None:
    copy, key = Path(shutil.copytree(folder, tmp_path / "copy")), house.site.verifier_key
    for name, data in read(folder).items():
        step = 7 if name.startswith("manifest") else max(1, len(data) // 12)
        for at in {*range(0, len(data), step), len(data) - 1}:
            (copy / name).write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
            with pytest.raises(TamperError):
                verify_dossier(copy, key)
        (copy / name).write_bytes(data)
    verify_dossier(copy, key)


def test_a_missing_file_fails(house: House, folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    for name, data in read(folder).items():
        (copy / name).unlink()
        refused(house, copy, "missing")
        (copy / name).write_bytes(data)


def test_a_file_a_folder_or_a_link_too_many_fails(house: House, folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    for name in ("more.txt", "certificates/more.json", ".hidden"):
        (copy / name).write_bytes(b"x")
        refused(house, copy, "there are 1 files that the manifest does not list")
        (copy / name).unlink()
    (copy / "more").mkdir()
    refused(house, copy, "it contains another folder")
    (copy / "more").rmdir()
    (copy / "index.html").unlink()
    (copy / "index.html").symlink_to(folder / "index.html")
    refused(house, copy, "it contains a symbolic link")


def test_the_key_of_another_site_fails(house: House, folder: Path) -> None:
    stranger = VerifierKey(house.site.verifier_key.name, bytes(31) + b"\x01")
    with pytest.raises(TamperError):
        verify_dossier(folder, stranger)
    renamed = VerifierKey("volens/another", house.site.verifier_key.public_key)
    with pytest.raises(TamperError, match="of another site"):
        verify_dossier(folder, renamed)


def test_a_dossier_of_another_site_is_called_that(house: House, folder: Path) -> None:
    stranger = VerifierKey("volens/another", bytes(31) + b"\x01")
    with pytest.raises(WrongKeyError, match=f"this dossier is of another site .*{house.site.verifier_key.name}"):
        verify_dossier(folder, stranger)


def test_a_dossier_under_a_replaced_key_needs_the_newest_public_key(template: Path, tmp_path: Path) -> None:
    house = desk_alone(House.copied(template, tmp_path / "home"))
    house.admit()
    first = house.site.verifier_key
    house.site.keys.rotate(signing=True)
    erased = house.withdraw(house.admit(jurisdiction="DE"))
    done = carry_out(house, planned(house))
    verify_dossier(done.dossier, house.site.verifier_key)
    verify_certificate(erased.certificate_path.read_bytes(), house.site.verifier_key)
    for check in (
        lambda: verify_dossier(done.dossier, first),
        lambda: verify_certificate(erased.certificate_path.read_bytes(), first),
    ):
        with pytest.raises(WrongKeyError, match=r"is signed with key [0-9a-f]{8} of .*; .* get its newest site\.pub"):
            check()
    house.site.close()


def test_line_ends_that_a_copy_changed_are_not_content(house: House, folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    for name, data in read(folder).items():
        (copy / name).write_bytes(b"\xef\xbb\xbf" + data.replace(b"\n", b"\r\n"))
    verify_dossier(copy, house.site.verifier_key)


def test_a_dossier_can_be_read_by_whom_it_is_shown_to(folder: Path) -> None:
    modes = {path.stat().st_mode & 0o777 for path in folder.rglob("*") if path.is_file()}
    folders = {path.stat().st_mode & 0o777 for path in (folder, *folder.rglob("*")) if path.is_dir()}
    assert (modes, folders) == ({0o644}, {0o755})


def test_a_folder_that_is_not_a_dossier_is_an_input_error(house: House, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no dossier"):
        verify_dossier(tmp_path / "nothing", house.site.verifier_key)
    refused(house, tmp_path, "the manifest or its signature is missing")


def in_json(name: str, change: Callable[[Any], None]) -> Callable[[House, Files], None]:
    def changed(_house: House, files: Files) -> None:
        document = json.loads(files[name])
        change(document)
        files[name] = rfc8785.dumps(document)

    return changed


def put(*path: str | int, value: object) -> Callable[[Any], None]:
    def change(document: Any) -> None:  # noqa: ANN401  any JSON
        *way, last = path
        for step in way:
            document = document[step]
        document[last] = value

    return change


def without_a_certificate(_house: House, files: Files) -> None:
    name = next(name for name in files if name.startswith("certificates/"))
    del files[name]


def without_a_certificate_and_its_proof(house: House, files: Files) -> None:
    before = {name for name in files if name.startswith("certificates/")}
    without_a_certificate(house, files)
    (gone,) = before - set(files)
    log = json.loads(files["log.json"])
    del log["certificates"][Path(gone).stem]
    files["log.json"] = rfc8785.dumps(log)


def with_anothers_certificate(house: House, files: Files) -> None:
    mine = {Path(name).name for name in files}
    path = next(one for one in (house.site.home / "certificates").iterdir() if one.name not in mine)
    without_a_certificate_and_its_proof(house, files)
    files[f"certificates/{path.name}"] = path.read_bytes()


def with_a_certificate_twice(_house: House, files: Files) -> None:
    name = next(name for name in files if name.startswith("certificates/"))
    files["certificates/0.json"] = files[name]


def with_another_plan(house: House, files: Files) -> None:
    files["plan.json"] = planned(house)


def without_an_approval(_house: House, files: Files) -> None:
    del files["approvals/2.json"]


def with_one_approval_only(house: House, files: Files) -> None:
    without_an_approval(house, files)
    counts = json.loads(files["counts.json"])
    counts["before"]["approved_by"].pop()
    files["counts.json"] = rfc8785.dumps(counts)


def with_one_approval_required(house: House, files: Files) -> None:
    with_one_approval_only(house, files)
    in_json("counts.json", put("before", "operators_required", value=1))(house, files)


def with_one_approval_twice(_house: House, files: Files) -> None:
    files["approvals/2.json"] = files["approvals/1.json"]


def with_the_first_approver_twice(_house: House, files: Files) -> None:
    files["approvals/2.json"] = files["approvals/1.json"]
    counts = json.loads(files["counts.json"])
    counts["before"]["approved_by"][1] = counts["before"]["approved_by"][0]
    files["counts.json"] = rfc8785.dumps(counts)


def with_an_older_beginning(house: House, files: Files) -> None:
    """Both checkpoints are the log's own; the older one covers entries that are not part of the order."""
    log = json.loads(files["log.json"])
    old, new = (open_checkpoint(log[name], house.site.verifier_key) for name in ("before", "after"))
    with house.store.read() as connection:
        log["before"] = checkpoint_note(connection, old.size - 2)
        proof = consistency_proof(old.size - 2, new.size, node_reader(connection))
    log["consistency"] = [base64.b64encode(one).decode() for one in proof]
    files["log.json"] = rfc8785.dumps(log)


LIES: dict[str, tuple[Callable[[House, Files], None], str]] = {
    "more people before": (
        in_json("counts.json", put("before", "cohort", "people", value=3)),
        "the log's beginning is not of this plan and these counts",
    ),
    "requests that were never answered": (
        in_json("counts.json", put("before", "requests_answered", value=7)),
        "the log's beginning is not of",
    ),
    "fewer others after": (
        in_json("counts.json", put("after", "outside", "people", value=0)),
        "the log's end is not of these counts and certificates",
    ),
    "no order to stop": (
        in_json("counts.json", put("after", "collecting_stopped_by", value=[])),
        "the log's end is not of",
    ),
    "a certificate left out": (without_a_certificate, "not of the people whom the plan counted"),
    "a certificate and its proof left out": (without_a_certificate_and_its_proof, "not of the people whom the plan"),
    "another person's certificate": (with_anothers_certificate, "not of the people whom the plan counted"),
    "a certificate twice": (with_a_certificate_twice, "a certificate has another's name"),
    "another plan": (with_another_plan, "it contains the plan of another order"),
    "an approval left out": (without_an_approval, "more or fewer approvals than were counted"),
    "one approval where two are needed": (with_one_approval_only, "the approvals do not hold"),
    "a rule that was never set": (with_one_approval_required, "the log's beginning is not of"),
    "one approval twice": (with_one_approval_twice, "the approvals do not hold: got two approvals by one operator"),
    "one operator twice": (with_the_first_approver_twice, "the approvals do not hold"),
    "an older checkpoint": (in_json("log.json", lambda log: log.update(after=log["before"])), ""),
    "no consistency": (in_json("log.json", put("consistency", value=[])), "expected a proof from"),
    "a proof of another place": (
        in_json("log.json", lambda log: next(iter(log["certificates"].values())).update(index=0)),
        "a certificate has another place in the log than it states",
    ),
    "an empty proof": (
        in_json("log.json", lambda log: next(iter(log["certificates"].values())).update(proof=[])),
        "the inclusion proof is too short",
    ),
    "no proof": (
        in_json("log.json", lambda log: log["certificates"].popitem()),
        "the log's proofs are of other certificates",
    ),
    "no beginning": (in_json("log.json", lambda log: log["entries"].pop(0)), "not have the form of a dossier"),
    "no end": (in_json("log.json", lambda log: log["entries"].pop(1)), "not have the form of a dossier"),
    "no entry of the order to stop": (
        in_json("log.json", lambda log: log["entries"].pop(2)),
        "other orders to stop collecting",
    ),
    "no entry of an operator": (
        in_json("log.json", lambda log: log["entries"].pop()),
        "the operators who approved were added",
    ),
    "the operators' entries in another order": (
        in_json("log.json", lambda log: log["entries"].append(log["entries"].pop(-2))),
        "the operators who approved were added",
    ),
    "an entry without a proof": (
        in_json("log.json", put("entries", 0, "proof", value=[])),
        "the inclusion proof is too short",
    ),
    "a beginning that is older": (with_an_older_beginning, "the checkpoints are not those of beginning and end"),
    "an entry's other salt": (
        in_json("log.json", put("entries", 0, "salt", value="A" * 43 + "=")),
        "was not made from these details and this salt",
    ),
    "a file of another kind": (
        lambda _house, files: files.update({"more.txt": b""}),
        "files that do not belong to a dossier",
    ),
    "counts that are none": (
        lambda _house, files: files.update({"counts.json": b"[]"}),
        "not have the form of a dossier",
    ),
}


@pytest.mark.parametrize("lie", LIES)
def test_signed_files_that_differ_from_the_log_are_refused(
    house: House, folder: Path, tmp_path: Path, lie: str
) -> None:
    change, words = LIES[lie]
    files = read(folder)
    change(house, files)

    refused(house, written(signed_again(house, files), tmp_path / "lie"), words)


def test_the_same_files_signed_again_hold(house: House, folder: Path, tmp_path: Path) -> None:
    """The control: the false files above are refused for their content, not for the way they were made."""
    verify_dossier(written(signed_again(house, read(folder)), tmp_path / "again"), house.site.verifier_key)


COUNTS: dict[str, tuple[Callable[[Any, Any], None], str]] = {
    "one more before": (
        lambda before, _after: before["cohort"].update(consents=3),
        "the consents before, less those after",
    ),
    "a reference more before": (
        lambda before, _after: before["cohort"].update(references=2),
        "the references before, less those after",
    ),
    "another zone": (lambda before, _after: before["cohort"]["zones"].update(lab={}), "by zone are not what was"),
    "people left": (lambda _before, after: after["cohort"].update(consents=1), "some people of the cohort are left"),
    "a certificate more": (lambda _before, after: after.update(certificates=3), "more or fewer certificates"),
    "a leaver without a certificate": (
        lambda before, _after: before["left_since_plan"].append("00"),
        "more or fewer certificates than were counted",
    ),
}


@pytest.mark.parametrize("case", COUNTS)
def test_the_counts_add_up(house: House, folder: Path, case: str) -> None:
    change, words = COUNTS[case]
    dossier = verify_dossier(folder, house.site.verifier_key)
    before, after = dossier.counts["before"], dossier.counts["after"]
    _add_up(before, after, dossier.certificates)
    change(before, after)

    with pytest.raises(TamperError, match=words):
        _add_up(before, after, dossier.certificates)


def test_a_count_that_was_wrong_from_the_start_does_not_verify(
    house: House, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The count is logged, signed and consistent, but differs from the certificates."""
    assert folder.exists()
    house.admit(jurisdiction="IT")
    true = execution.census

    def wrong(people: Any) -> dict[str, Any]:  # noqa: ANN401  as the original
        counts = true(people)
        counts["cohort"]["references"] += 1
        return counts

    monkeypatch.setattr(execution, "census", wrong)
    plan = planned(house, execution.Selection(jurisdiction="IT"))

    refused(house, carry_out(house, plan, name="wrong").dossier, "the references before, less those after")


def test_certificates_of_people_who_were_erased_before_do_not_count(
    house: House, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dishonest site counts people as present whom it erased long ago."""
    assert folder.exists()
    person = house.admit(jurisdiction="ES")
    selection = execution.Selection(jurisdiction="ES")
    with house.store.read() as connection:
        present = select_live(connection, selection)
    house.withdraw(person)
    house.clock.move(minutes=1)
    pretended = iter([present] * 3)  # for the plan, the open requests, and the count before
    for module in ("volens.erase.order.plan", "volens.erase.order.execution"):
        monkeypatch.setattr(
            f"{module}.select_live", lambda *arguments: next(pretended, None) or select_live(*arguments)
        )

    dossier = carry_out(house, planned(house, selection), name="pretended").dossier

    refused(house, dossier, "a certificate is older than the order that it is for")


def test_two_certificates_for_one_receipt_are_refused(house: House, folder: Path) -> None:
    data = next((folder / "certificates").iterdir()).read_bytes()
    statement = statement_of(data)
    again = reissue(house, statement | {"certificate_id": "0" * 32})
    files = {f"certificates/{statement['certificate_id']}.json": data, f"certificates/{'0' * 32}.json": again}

    with pytest.raises(TamperError, match="there are two certificates for one receipt"):
        _certificates(files, house.site.verifier_key)
