"""Passkey signatures, fuzzed: damage is refused, and py_webauthn judges every answer as our verifier does."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from signing import ATTESTED, DOOR_PAGE, EXTENDED, PRESENT, VERIFIED, Passkey, cose_of, make_passkey
from webauthn import verify_authentication_response
from webauthn.helpers.exceptions import WebAuthnException

from tests.vectors.build_signature_vectors import FILE, passkey_receipt
from volens.consent import InputError, TamperError, UnverifiedReceipt
from volens.consent.errors import ReceiptError, ReceiptSignatureError
from volens.consent.json_reader import read_json
from volens.consent.jws import b64url, from_b64url
from volens.consent.passkey_assertion import PasskeyAssertion
from volens.consent.receipt import verify_receipt
from volens.consent.receipt_offer import ReceiptOffer
from volens.consent.receipt_signature import SignatureForm
from volens.consent.relying_party import RelyingParty
from volens.consent.subject_key import SubjectPublicKey

REPEATABLE = settings(derandomize=True, deadline=None, max_examples=150, database=None)
PASSKEYS = {name: make_passkey(name) for name in ("ES256", "EdDSA", "RS256")}
RECEIPTS = {name: passkey_receipt(one) for name, one in PASSKEYS.items()}
TOKENS = {name: one.token(RECEIPTS[name]) for name, one in PASSKEYS.items()}
VECTORS = {
    one["name"]: one for one in json.loads(FILE.read_text("utf-8"))["vectors"] if one["name"].startswith("passkey_")
}
STRICTER = {
    "passkey_cross_origin": "py_webauthn does not look at crossOrigin",
    "passkey_cross_origin_text": "nor at a crossOrigin that is no boolean",
    "passkey_top_origin": "nor at topOrigin",
    "passkey_padded_challenge": "it decodes the challenge, padded or not, and compares bytes",
    "passkey_client_data_twice": "its JSON reader takes the last of two members",
    "passkey_client_data_too_long": "it has no limit of size",
    "passkey_key_of_another_subject": "whose key it is, it is told by its caller",
    "passkey_that_states_a_person_key": "what a receipt states about its form is ours",
    "passkey_rp_id_not_the_host": "as is the relying party in it",
    "passkey_header_in_another_order": "as is the token around the three parts",
    "passkey_not_canonical": "the same",
    "passkey_further_part": "the same",
    "passkey_extension_data_no_map": "it takes any CBOR item for extension data, not only a map (section 6.1)",
}
"""The vectors that we refuse and py_webauthn accepts, each with the reason."""
algorithms = st.sampled_from(sorted(PASSKEYS))


def oracle_accepts(parts: dict[str, str], key: SubjectPublicKey, text: bytes, party: RelyingParty) -> bool:
    """Ask py_webauthn about the parts of an assertion, each in base64url."""
    response = {
        "authenticatorData": parts["authenticator_data"],
        "clientDataJSON": parts["client_data_json"],
        "signature": parts["signature"],
    }
    try:
        verify_authentication_response(
            credential={"id": "AA", "rawId": "AA", "type": "public-key", "response": response},
            expected_challenge=ReceiptOffer(text).challenge,
            expected_rp_id=party.rp_id,
            expected_origin=party.origin,
            credential_public_key=cose_of(key),
            credential_current_sign_count=0,
            require_user_verification=True,
        )
    except (WebAuthnException, ValueError, TypeError, AttributeError, OverflowError):
        return False
    return True


def ours_accepts(parts: dict[str, str], key: SubjectPublicKey, text: bytes, party: RelyingParty) -> bool:
    """Ask our verifier the same."""
    try:
        assertion = PasskeyAssertion.from_json(parts)
        assertion.check_signature(key, text)
        assertion.check_relying_party(party.origin, party.rp_id)
    except (InputError, TamperError):
        return False
    return True


def parts_of(token: str) -> dict[str, str]:
    found: dict[str, str] = read_json(from_b64url(token.split(".")[2]))
    return found


@pytest.mark.parametrize("name", sorted(VECTORS))
def test_py_webauthn_judges_each_vector_alike_but_for_those_that_are_listed(name: str) -> None:
    one = VECTORS[name]
    try:
        header, payload, _ = one["receipt"].split(".")
        parts, text = parts_of(one["receipt"]), from_b64url(payload)
        key = SubjectPublicKey.from_receipt(read_json(text)["pii_principal_key"])
        named = {"alg": key.passkey_algorithm, "typ": "volens-receipt+webauthn"}
        theirs = read_json(from_b64url(header)) == named and oracle_accepts(parts, key, text, DOOR_PAGE)
    except (ValueError, InputError, KeyError):
        theirs = False
    assert theirs == (one["expected"] == "verified" or name in STRICTER)


@REPEATABLE
@given(
    algorithm=algorithms,
    flags=st.integers(0, 255).filter(lambda one: not one & (ATTESTED | EXTENDED)),
    counter=st.integers(0, 2**32 - 1),
    extension=st.sampled_from([b"", b"\xa0", b"\xa1\x61a\x01", b"\xa1\x61a\x82\x01\x41b", b"\xa1\x61a", b"\xff"]),
    client=st.dictionaries(
        st.sampled_from(["type", "challenge", "origin", "extra"]),
        st.one_of(st.none(), st.text(max_size=4), st.integers(), st.sampled_from(["webauthn.get", DOOR_PAGE.origin])),
        max_size=2,
    ),
)
def test_py_webauthn_agrees_about_every_combination(
    algorithm: str, flags: int, counter: int, extension: bytes, client: dict[str, Any]
) -> None:
    text = RECEIPTS[algorithm]
    answer = replace(PASSKEYS[algorithm], flags=flags, counter=counter, extension_data=extension, client=client)
    parts = answer.assertion(text).to_json()
    question = (parts, answer.public, text, DOOR_PAGE)
    assert ours_accepts(*question) == oracle_accepts(*question)


@REPEATABLE
@given(algorithm=algorithms, place=st.integers(0, 10**6), bit=st.integers(0, 7))
def test_a_flipped_bit_of_a_token_is_refused(algorithm: str, place: int, bit: int) -> None:
    data = bytearray(TOKENS[algorithm].encode())
    data[place % len(data)] ^= 1 << bit
    refused(bytes(data))


@REPEATABLE
@given(
    algorithm=algorithms, part=st.sampled_from(["authenticator_data", "client_data_json", "signature"]), data=st.data()
)
def test_a_changed_byte_of_an_assertion_is_refused(algorithm: str, part: str, data: st.DataObject) -> None:
    parts = parts_of(TOKENS[algorithm])
    value = bytearray(from_b64url(parts[part]))
    at = data.draw(st.integers(0, len(value) - 1))
    value[at] ^= data.draw(st.integers(1, 255))
    parts[part] = b64url(bytes(value))
    question = (parts, PASSKEYS[algorithm].public, RECEIPTS[algorithm], DOOR_PAGE)
    assert not ours_accepts(*question)
    assert not oracle_accepts(*question)


@REPEATABLE
@given(
    authenticator_data=st.binary(max_size=80),
    client_data=st.one_of(st.binary(max_size=60), st.text(max_size=60).map(lambda one: json.dumps(one).encode())),
    signature=st.binary(max_size=80),
)
def test_any_bytes_are_an_assertion_or_an_input_error(
    authenticator_data: bytes, client_data: bytes, signature: bytes
) -> None:
    try:
        made = PasskeyAssertion.parse(authenticator_data, client_data, signature)
    except InputError:
        return
    with pytest.raises(TamperError):
        made.check_signature(PASSKEYS["ES256"].public, b"{}")


@REPEATABLE
@given(first=st.sampled_from([PRESENT | VERIFIED | EXTENDED]), rest=st.binary(max_size=24))
def test_extension_data_of_any_bytes_is_read_without_an_error(first: int, rest: bytes) -> None:
    answer = Passkey(PASSKEYS["EdDSA"].private, flags=first, extension_data=rest)
    parts = answer.assertion(RECEIPTS["EdDSA"]).to_json()
    question = (parts, answer.public, RECEIPTS["EdDSA"], DOOR_PAGE)
    # py_webauthn reads the content, refuses also what is no canonical CBOR, and takes an item that is no map.
    is_map = rest[:1] and rest[0] >> 5 == 5
    assert ours_accepts(*question) or not oracle_accepts(*question) or not is_map


@REPEATABLE
@given(jwk=st.dictionaries(st.sampled_from(["kty", "crv", "x", "y", "n", "e", "d"]), st.text(max_size=50)))
def test_any_members_are_a_key_or_an_input_error(jwk: dict[str, str]) -> None:
    with pytest.raises(InputError):
        SubjectPublicKey.from_jwk(jwk)


def test_each_algorithm_gives_the_same_verified_receipt() -> None:
    for name, token in TOKENS.items():
        receipt = UnverifiedReceipt.parse(token.encode())
        verified = verify_receipt(receipt, PASSKEYS[name].public)
        assert verified.claims.signature.form is SignatureForm.PASSKEY
        assert verified.document == RECEIPTS[name]


def refused(token: bytes) -> None:
    """Check that a token is refused with one of the two errors of a receipt."""
    try:
        receipt = UnverifiedReceipt.parse(token)
    except ReceiptError:
        return
    with pytest.raises(ReceiptSignatureError):
        verify_receipt(receipt, receipt.claims.subject_key)
