"""The stored receipts: built again they are the same bytes, and each has the result that the manifest states."""

import json
from typing import Any

import pytest

from tests.vectors.build_vectors import FOLDER, VERIFIED, files
from volens import consent
from volens.audit import VerifierKey
from volens.consent import UnverifiedReceipt, VerifiedReceipt
from volens.consent.receipt import verify_receipt
from volens.consent.refusal import verify_refusal
from volens.consent.subject_key import SubjectPublicKey

MANIFEST: dict[str, Any] = json.loads((FOLDER / "manifest.json").read_text(encoding="utf-8"))
ANN = SubjectPublicKey.from_jwk(MANIFEST["subject_public_key"])
GOOD = [name for name, said in MANIFEST["receipts"].items() if said["expected"] == VERIFIED]
BAD = [name for name in MANIFEST["receipts"] if name not in GOOD]


def take(name: str) -> VerifiedReceipt:
    return verify_receipt(UnverifiedReceipt.parse((FOLDER / name).read_bytes()), ANN)


@pytest.mark.parametrize("name", sorted(files()))
def test_built_again_the_file_has_the_same_bytes(name: str) -> None:
    assert (FOLDER / name).read_bytes() == files()[name]


def test_no_vector_is_left_over_or_missing() -> None:
    stored = {path.name for path in FOLDER.glob("*.txt")}
    assert stored == set(MANIFEST["receipts"]) == {name for name in files() if name.endswith(".txt")}


@pytest.mark.parametrize("name", GOOD)
def test_the_good_receipt_is_verified(name: str) -> None:
    verified = take(name)
    assert verified.claims.subject_id == MANIFEST["subject_id"]
    assert verified.claims.jurisdiction
    assert verified.claims.expires_at > verified.claims.issued_at


@pytest.mark.parametrize("name", BAD)
def test_the_bad_receipt_is_refused(name: str) -> None:
    said = MANIFEST["receipts"][name]
    with pytest.raises(consent.VolensError) as caught:
        take(name)
    assert type(caught.value).__name__ == said["expected"]
    assert said["words"]
    assert said["words"] in str(caught.value)


def test_each_bad_receipt_is_bad_in_its_own_way() -> None:
    contents = {(FOLDER / name).read_bytes() for name in MANIFEST["receipts"]}
    assert len(contents) == len(MANIFEST["receipts"]) == len(GOOD) + len(BAD)
    assert len(GOOD) >= 5
    assert len(BAD) >= 30


@pytest.mark.parametrize(("name", "expected"), MANIFEST["refusals"].items())
def test_a_refusal_receipt_has_the_result_of_the_manifest(name: str, expected: str) -> None:
    key = VerifierKey.parse((FOLDER / "worked_site.pub").read_text("utf-8").strip())
    data = (FOLDER / name).read_bytes()
    if expected == VERIFIED:
        assert verify_refusal(data, *key.public_keys).zone == "front-door"
        return
    with pytest.raises(consent.VolensError) as caught:
        verify_refusal(data, *key.public_keys)
    assert type(caught.value).__name__ == expected


def test_no_refusal_receipt_is_left_over_or_missing() -> None:
    assert {path.name for path in FOLDER.glob("refusal_*.json")} == set(MANIFEST["refusals"])
