"""The stored signatures of every form: built again they are the same bytes, and each has the result that is stated."""

import json
from typing import Any

import pytest

from tests.vectors.build_signature_vectors import FILE, content
from volens.consent import UnverifiedReceipt, VerifiedReceipt
from volens.consent.errors import ReceiptError, ReceiptSignatureError
from volens.consent.receipt import verify_receipt, verify_stored

STORED: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
VECTORS = {one["name"]: one for one in STORED["vectors"]}
ERRORS = {"malformed": ReceiptError, "not signed": ReceiptSignatureError}
GOOD = [name for name, one in VECTORS.items() if one["expected"] == "verified"]
BAD = [name for name in VECTORS if name not in GOOD]


def test_built_again_the_file_has_the_same_bytes() -> None:
    assert FILE.read_bytes() == content()


def taken(token: str) -> VerifiedReceipt:
    receipt = UnverifiedReceipt.parse(token.encode())
    return verify_receipt(receipt, receipt.claims.subject_key)


@pytest.mark.parametrize("name", GOOD)
def test_the_good_signature_is_verified_in_both_places(name: str) -> None:
    verified = taken(VECTORS[name]["receipt"])
    assert name.startswith(verified.claims.signature.form.value)
    assert verify_stored(verified.token, verified.claims.subject_key).claims == verified.claims


@pytest.mark.parametrize("name", BAD)
def test_the_bad_signature_is_refused_for_its_reason(name: str) -> None:
    one = VECTORS[name]
    with pytest.raises((ReceiptError, ReceiptSignatureError)) as caught:
        taken(one["receipt"])
    assert type(caught.value) is ERRORS[one["expected"]]
    assert one["reason"] in str(caught.value)


def test_every_form_and_algorithm_is_among_the_good_and_each_vector_is_another() -> None:
    receipts = {one["receipt"] for one in VECTORS.values()}
    assert len(receipts) == len(VECTORS) == len(STORED["vectors"])
    assert {"person_key", "desk", "passkey_es256", "passkey_eddsa", "passkey_rs256"} <= set(GOOD)
    assert len(BAD) >= 50
