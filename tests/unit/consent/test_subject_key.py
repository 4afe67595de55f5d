"""The data subject's key, and the id that is its thumbprint."""

import base64
import hashlib
import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat

from tests.unit.consent.samples import ANN, ANN_SEED, BOB
from volens.consent import InputError, SubjectKey
from volens.consent.jws import verify
from volens.consent.subject_key import SubjectPublicKey

# RFC 8037, appendices A.1 to A.3: an Ed25519 key and its thumbprint.
RFC8037_SEED = base64.urlsafe_b64decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=")
RFC8037_THUMBPRINT = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def pem(
    key: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | x25519.X25519PrivateKey,
) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def encrypted_pem() -> bytes:
    key = ed25519.Ed25519PrivateKey.from_private_bytes(ANN_SEED)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))


UNREADABLE = {
    "nothing": b"",
    "text": b"not a key",
    "a cut-off file": ANN.to_pem()[:60],
    "a public key": b"-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA\n-----END PUBLIC KEY-----\n",
    "an encrypted key": encrypted_pem(),
    "DER": base64.b64decode(b"".join(ANN.to_pem().splitlines()[1:-1])),
}

OTHER_KINDS = {
    "P-256": pem(ec.derive_private_key(7, ec.SECP256R1())),
    "X25519": pem(x25519.X25519PrivateKey.from_private_bytes(bytes(range(32)))),
}


def test_the_subject_id_is_the_thumbprint_of_rfc_8037() -> None:
    assert SubjectKey.from_seed(RFC8037_SEED).public.subject_id == RFC8037_THUMBPRINT


def test_the_subject_id_is_the_hash_of_the_key_as_canonical_json() -> None:
    x = base64.urlsafe_b64encode(ANN.public.raw).rstrip(b"=").decode()
    jwk = json.dumps({"crv": "Ed25519", "kty": "OKP", "x": x}, separators=(",", ":"))
    digest = hashlib.sha256(jwk.encode()).digest()
    assert ANN.public.subject_id == base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def test_two_people_have_two_ids() -> None:
    assert ANN.public.subject_id != BOB.public.subject_id
    assert ANN.public != BOB.public


def test_a_key_survives_its_file() -> None:
    again = SubjectKey.from_pem(ANN.to_pem())
    assert again.public == ANN.public
    assert again.to_pem() == ANN.to_pem()
    assert ANN.to_pem().startswith(b"-----BEGIN PRIVATE KEY-----\n")


@pytest.mark.parametrize("case", UNREADABLE)
def test_a_key_file_is_refused_that_is(case: str) -> None:
    with pytest.raises(InputError, match="expected an unencrypted PKCS #8 PEM file") as caught:
        SubjectKey.from_pem(UNREADABLE[case])
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("case", OTHER_KINDS)
def test_a_key_of_another_kind_is_refused_as(case: str) -> None:
    with pytest.raises(InputError, match="got a key of another kind; expected Ed25519"):
        SubjectKey.from_pem(OTHER_KINDS[case])


@pytest.mark.parametrize("size", [0, 31, 33, 64])
def test_a_public_key_of_another_length_is_refused(size: int) -> None:
    with pytest.raises(InputError, match="not a 32-byte Ed25519 public key"):
        SubjectPublicKey(bytes(size))


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_seed_of_another_length_is_a_callers_bug(size: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        SubjectKey.from_seed(bytes(size))


def test_the_public_half_verifies_what_the_private_half_signed() -> None:
    public = ed25519.Ed25519PublicKey.from_public_bytes(ANN.public.raw)
    assert verify(ANN.sign(b"payload", "x+jws"), "x+jws", public) == b"payload"
