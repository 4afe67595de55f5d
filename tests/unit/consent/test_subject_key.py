"""The data subject's key, and the id that is its thumbprint."""

import base64
import hashlib
import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from tests.unit.consent.samples import ANN, ANN_SEED, BOB
from volens.consent import InputError, SubjectKey
from volens.consent.jws import b64url, from_b64url, verify
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
    x = base64.urlsafe_b64encode(ANN.public_key).rstrip(b"=").decode()
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
    with pytest.raises(InputError, match="public key of another kind or form"):
        SubjectPublicKey.from_raw(bytes(size))


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_seed_of_another_length_is_a_callers_bug(size: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        SubjectKey.from_seed(bytes(size))


def test_the_public_half_verifies_what_the_private_half_signed() -> None:
    public = ed25519.Ed25519PublicKey.from_public_bytes(ANN.public_key)
    assert verify(ANN.sign(b"payload", "x+jws"), "x+jws", public) == b"payload"


P256 = ec.derive_private_key(7, ec.SECP256R1()).public_key()
RSA = rsa.generate_private_key(65537, 2048).public_key()


@pytest.mark.parametrize("key", [ed25519.Ed25519PrivateKey.from_private_bytes(ANN_SEED).public_key(), P256, RSA])
def test_every_kind_of_key_is_read_from_a_file_as_pem_or_jwk(key: object) -> None:
    one = SubjectPublicKey.of(key)
    text = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)  # type: ignore[attr-defined]
    exported = one.to_jwk() | {"ext": True, "key_ops": ["verify"], "alg": "any"}
    assert SubjectPublicKey.from_file(text) == one
    assert SubjectPublicKey.from_file(json.dumps(exported).encode()) == one
    assert SubjectPublicKey(one.jwk) == one
    assert one.subject_id == base64.urlsafe_b64encode(hashlib.sha256(one.jwk).digest()).rstrip(b"=").decode()
    assert json.loads(one.jwk) == one.to_jwk()
    assert "raw" not in repr(one)


def test_the_thumbprint_of_an_rsa_key_is_that_of_rfc_7638() -> None:
    n = (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhM"
        "stn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5"
        "hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
    )
    key = SubjectPublicKey.from_jwk({"kty": "RSA", "n": n, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29"})
    assert key.subject_id == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


def jwk_of(bits: int, e: int = 65537) -> dict[str, str]:
    numbers = rsa.generate_private_key(e, bits).public_key().public_numbers()
    n = numbers.n.to_bytes((numbers.n.bit_length() + 7) // 8, "big")
    return {"kty": "RSA", "e": b64url(e.to_bytes(3, "big").lstrip(b"\0")), "n": b64url(n)}


GOOD_N = SubjectPublicKey.of(RSA).to_jwk()["n"]
OTHER_KEYS: dict[str, dict[str, object]] = {
    "RSA of 1024 bits": dict(jwk_of(1024)),
    "RSA with exponent 3": dict(jwk_of(2048, 3)),
    "an even RSA modulus": {"kty": "RSA", "e": "AQAB", "n": b64url(from_b64url(GOOD_N)[:-1] + b"\2")},
    "an RSA modulus that begins with zero": {"kty": "RSA", "e": "AQAB", "n": b64url(b"\0" + from_b64url(GOOD_N))},
    "a point that is not on the curve": SubjectPublicKey.of(P256).to_jwk() | {"x": b64url(bytes(32))},
    "P-384": {"kty": "EC", "crv": "P-384", "x": b64url(bytes(48)), "y": b64url(bytes(48))},
    "Ed448": {"kty": "OKP", "crv": "Ed448", "x": b64url(bytes(57))},
    "a symmetric key": {"kty": "oct", "k": b64url(bytes(32))},
    "a number": {"kty": "OKP", "crv": "Ed25519", "x": 7},
    "a quote": {"kty": "OKP", "crv": "Ed25519", "x": '","y":"'},
    "no kind": {"x": b64url(bytes(32))},
    "nothing": {},
}


@pytest.mark.parametrize("case", OTHER_KEYS)
def test_a_jwk_is_refused_that_is(case: str) -> None:
    with pytest.raises(InputError, match=r"public key of another kind or form|got a private key"):
        SubjectPublicKey.from_jwk(OTHER_KEYS[case])


def test_a_private_key_is_refused_where_a_public_one_is_expected() -> None:
    for data in (ANN.to_pem(), json.dumps(ANN.public.to_jwk() | {"d": "AA"}).encode()):
        with pytest.raises(InputError, match="got a private key"):
            SubjectPublicKey.from_file(data)
    for data in (b"", b"{", b"[]", b"text", bytes(9000)):
        with pytest.raises(InputError):
            SubjectPublicKey.from_file(data)
