"""Registration of a passkey: the public key that a browser brings, and everything else that it may bring."""

import json
from typing import Any

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from signing import ATTESTED, DOOR_PAGE, PRESENT, VERIFIED, Passkey, cose_of, make_passkey

from volens.consent import InputError
from volens.consent.jws import b64url
from volens.consent.relying_party import RelyingParty
from volens.service.passkey_registration import read_registration

CHALLENGE = bytes(range(32))
PASSKEYS = {name: make_passkey(name) for name in ("ES256", "EdDSA", "RS256")}


def answer(passkey: Passkey, **changes: Any) -> dict[str, Any]:  # noqa: ANN401  any part of the answer
    """Return what navigator.credentials.create gives, as JSON."""
    party: RelyingParty = changes.get("party", DOOR_PAGE)
    client = {"type": "webauthn.create", "challenge": b64url(CHALLENGE), "origin": party.origin} | changes.get(
        "client", {}
    )
    credential_id = changes.get("credential_id", b"\7" * 16)
    signed = Passkey(passkey.private, flags=changes.get("flags", PRESENT | VERIFIED | ATTESTED), party=party)
    data = signed.assertion(b"").authenticator_data + bytes(16) + len(credential_id).to_bytes(2, "big") + credential_id
    data += changes.get("cose", cose_of(passkey.public))
    statement = changes.get("statement", {})
    attestation = {"fmt": changes.get("fmt", "none"), "attStmt": statement, "authData": data}
    return {
        "id": b64url(credential_id),
        "rawId": b64url(credential_id),
        "type": "public-key",
        "response": {
            "clientDataJSON": b64url(json.dumps(client).encode()),
            "attestationObject": b64url(cbor2.dumps(attestation)),
        },
    }


@pytest.mark.parametrize("algorithm", PASSKEYS)
def test_a_registration_brings_the_key_and_the_id_of_the_passkey(algorithm: str) -> None:
    passkey = PASSKEYS[algorithm]
    found = read_registration(answer(passkey), challenge=CHALLENGE, relying_party=DOOR_PAGE)
    assert found.public_key == passkey.public
    assert found.public_key.passkey_algorithm == algorithm
    assert found.credential_id == b"\7" * 16


P384 = cbor2.dumps({1: 2, 3: -35, -1: 2, -2: bytes(48), -3: bytes(48)})
REFUSED: dict[str, dict[str, Any]] = {
    "another challenge": {"client": {"challenge": b64url(bytes(32))}},
    "another web site": {"client": {"origin": "https://evil.example"}},
    "another relying party": {
        "party": RelyingParty.parse("https://evil.example"),
        "client": {"origin": DOOR_PAGE.origin},
    },
    "a signature instead": {"client": {"type": "webauthn.get"}},
    "no verification of the person": {"flags": PRESENT | ATTESTED},
    "no presence": {"flags": VERIFIED | ATTESTED},
    "no key": {"flags": PRESENT | VERIFIED},
    "another algorithm": {"cose": P384},
    "a key that is none": {"cose": b"\xa0"},
    "no id": {"credential_id": b""},
    "a statement with format none": {"statement": {"x5c": [b""]}},
    "an attestation of a maker": {"fmt": "packed", "statement": {"alg": -7, "sig": b"", "x5c": [b"certificate"]}},
    "an attestation by TPM": {"fmt": "tpm", "statement": {"ver": "2.0"}},
    "a long id": {"credential_id": b"\1" * 20_000},
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_registration_is_refused_with(case: str) -> None:
    with pytest.raises(InputError, match="got a passkey"):
        read_registration(answer(PASSKEYS["ES256"], **REFUSED[case]), challenge=CHALLENGE, relying_party=DOOR_PAGE)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
)


@settings(derandomize=True, deadline=None, max_examples=100, database=None)
@given(
    response=st.dictionaries(st.sampled_from(["clientDataJSON", "attestationObject", "transports"]), json_values),
    top=st.dictionaries(st.sampled_from(["id", "rawId", "type", "response"]), json_values),
    data=st.binary(max_size=60),
)
def test_any_json_is_a_registration_or_an_input_error(
    response: dict[str, Any], top: dict[str, Any], data: bytes
) -> None:
    good = answer(PASSKEYS["ES256"])
    damaged = good | {"response": good["response"] | {"attestationObject": b64url(data)}}
    for sent in (damaged, top, good | top, good | {"response": good["response"] | response}):
        try:
            found = read_registration(sent, challenge=CHALLENGE, relying_party=DOOR_PAGE)
        except InputError:
            continue
        assert found.public_key == PASSKEYS["ES256"].public
        assert sent["response"]["attestationObject"] == good["response"]["attestationObject"]
