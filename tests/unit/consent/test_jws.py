"""Compact JWS with one algorithm and a header that leaves nothing to choose."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from joserfc import jws as reference
from joserfc.jwk import OKPKey

from tests.unit.consent.samples import ANN, ANN_SEED, BOB, token
from volens.consent import InputError, TamperError, from_b64url
from volens.consent.jws import b64url, peek, public_jwk, sign, verify

TYPE = "volens-test+jws"
HEADER = b'{"alg":"Ed25519","typ":"volens-test+jws"}'
ANN_KEY, BOB_KEY = (Ed25519PublicKey.from_public_bytes(one.public_key) for one in (ANN, BOB))

NOT_BASE64URL = {
    "base64's plus": "-_+_",
    "base64's slash": "-_/_",
    "padding": "AA==",
    "one character": "A",
    "five characters": "AAAAA",
    "a space": "AA AA",
    "a newline": "AAAA\n",
    "a dot": "AA.AA",
    "unused bits in two characters": "AB",
    "unused bits in three characters": "AAB",
    "a letter beyond ASCII": "AA\N{LATIN SMALL LETTER E WITH ACUTE}A",
}


@pytest.mark.parametrize("size", range(10))
def test_base64url_survives_every_length(size: int) -> None:
    data = bytes(range(250, 250 - size, -1))
    assert from_b64url(b64url(data)) == data
    assert b64url(data) == base64.urlsafe_b64encode(data).decode().rstrip("=")


@pytest.mark.parametrize("case", NOT_BASE64URL)
def test_base64url_is_refused_with(case: str) -> None:
    with pytest.raises(InputError, match="base64url"):
        from_b64url(NOT_BASE64URL[case])


def test_a_signed_token_has_the_standard_form() -> None:
    signer = ANN.sign(b'{"a":1}', TYPE)
    assert signer == token(b'{"a":1}', header=HEADER)


def test_another_library_verifies_what_is_signed_here() -> None:
    key = OKPKey.import_key(public_jwk(ANN.public_key))
    opened = reference.deserialize_compact(ANN.sign(b"payload", TYPE), key, algorithms=["Ed25519"])
    assert opened.payload == b"payload"
    assert opened.headers() == {"alg": "Ed25519", "typ": TYPE}


def test_the_order_of_the_two_header_members_is_free() -> None:
    swapped = token(b"payload", header=b'{ "typ": "volens-test+jws", "alg": "Ed25519" }')
    assert verify(swapped, TYPE, ANN_KEY) == b"payload"


def test_peeking_does_not_check_the_signature_and_verifying_does() -> None:
    head, payload, _ = ANN.sign(b"payload", TYPE).split(".")
    unsigned = f"{head}.{payload}.{b64url(bytes(64))}"
    assert peek(unsigned, TYPE) == b"payload"
    with pytest.raises(TamperError, match="integrity: the signature does not match the signed bytes and the key"):
        verify(unsigned, TYPE, ANN_KEY)


def test_a_token_does_not_verify_under_another_key() -> None:
    with pytest.raises(TamperError, match="integrity"):
        verify(ANN.sign(b"payload", TYPE), TYPE, BOB_KEY)


def test_a_token_of_one_type_is_not_taken_for_another() -> None:
    with pytest.raises(InputError, match=r"expected exactly alg 'Ed25519' and typ 'volens-other\+jws'"):
        verify(ANN.sign(b"payload", TYPE), "volens-other+jws", ANN_KEY)


def test_an_empty_payload_can_be_signed() -> None:
    assert verify(token(b"", header=HEADER), TYPE, ANN_KEY) == b""


def test_a_signature_covers_the_header() -> None:
    _, payload, signature = ANN.sign(b"payload", TYPE).split(".")
    other = b64url(HEADER.replace(b'":"', b'": "'))
    with pytest.raises(TamperError):
        verify(f"{other}.{payload}.{signature}", TYPE, ANN_KEY)


def test_sign_takes_the_key_as_an_argument() -> None:
    assert sign(b"payload", TYPE, ANN._key) == token(b"payload", header=HEADER, seed=ANN_SEED)
