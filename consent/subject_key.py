"""The data subject's signing key. The site keeps the public half; the private half stays with the person."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from typing import Final, Self, TypeAlias, final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePublicKey,
    EllipticCurvePublicNumbers,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from volens.consent import jws
from volens.consent.errors import InputError, TamperError
from volens.consent.ids import DataSubjectId
from volens.consent.json_reader import JsonError, read_json
from volens.consent.plain_text import plain_bytes
from volens.consent.private_key import PrivateKey

MIN_RSA_BITS: Final = 2048
MAX_RSA_BITS: Final = 4096
MAX_KEY_FILE_BYTES: Final = 8192
MIN_JWK_BYTES: Final = 79
MAX_JWK_BYTES: Final = 714
_COORDINATE_BYTES: Final = 32
_RSA_EXPONENT: Final = 65537
_KINDS: Final = "Ed25519, P-256, or RSA of 2048 to 4096 bits with exponent 65537"
_TEXTS: Final = {
    "OKP": '{"crv":"%(crv)s","kty":"OKP","x":"%(x)s"}',
    "EC": '{"crv":"%(crv)s","kty":"EC","x":"%(x)s","y":"%(y)s"}',
    "RSA": '{"e":"%(e)s","kty":"RSA","n":"%(n)s"}',
}
"""The canonical JSON of each kind, before its values; `_load` refuses every value that would need quotes or escapes."""
_PRIVATE: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_ED25519: Final = re.compile(rb'\{"crv":"Ed25519","kty":"OKP","x":"([\w-]{43})"\}')
_P256: Final = re.compile(rb'\{"crv":"P-256","kty":"EC","x":"([\w-]{43})","y":"([\w-]{43})"\}')
_RSA: Final = re.compile(rb'\{"e":"AQAB","kty":"RSA","n":"([\w-]{342,683})"\}')
_Key: TypeAlias = Ed25519PublicKey | EllipticCurvePublicKey | RSAPublicKey


@final
@dataclass(frozen=True, slots=True)
class SubjectPublicKey:
    """A public key as a JWK: Ed25519, P-256 or RSA. Its thumbprint *is* the data subject's id: the two cannot differ.

    Attributes:
        jwk: the required members as canonical JSON (RFC 7638 section 3), the one text of the key; 79 bytes for Ed25519,
            126 for P-256, 373 to 714 for RSA. It is stored as it is.
    """

    jwk: bytes
    _key: _Key = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_key", _load(self.jwk))

    @classmethod
    def from_jwk(cls, jwk: Mapping[str, object]) -> Self:
        """Read a JWK, as `crypto.subtle.exportKey` gives it; members that are not part of the key are ignored.

        Raises:
            InputError: it is no key of these kinds, or has a private member.
        """
        if _PRIVATE & jwk.keys():
            raise InputError("got a private key; send the public half only, and keep the private one")
        try:
            return cls((_TEXTS[str(jwk.get("kty"))] % jwk).encode("utf-8"))
        except (KeyError, ValueError):
            raise _other_key() from None

    @classmethod
    def from_receipt(cls, jwk: Mapping[str, object]) -> Self:
        """Read a JWK that has no member besides those of the key.

        Raises:
            InputError: it has another form.
        """
        if len(jwk) != (4 if "y" in jwk else 3):
            raise _other_key()
        return cls.from_jwk(jwk)

    @classmethod
    def from_file(cls, data: bytes) -> Self:
        """Read a key file: PEM (SubjectPublicKeyInfo, as `openssl pkey -pubout` writes it) or a JWK.

        Raises:
            InputError: it is neither, or holds a private key or a key of another kind.
        """
        if len(data) > MAX_KEY_FILE_BYTES:
            raise InputError(f"got a key file of {len(data)} bytes; expected at most {MAX_KEY_FILE_BYTES}")
        text = plain_bytes(data).strip()
        if b"PRIVATE KEY" in text:
            raise InputError("got a private key; give the public half (openssl pkey -pubout), and keep the private one")
        if text.startswith(b"{"):
            try:
                return cls.from_jwk(read_json(text))
            except JsonError as error:
                raise InputError(str(error)) from None
        try:
            key = load_pem_public_key(text)
        except (ValueError, TypeError):
            raise InputError("got a key file that cannot be read; expected a public key as PEM or JWK") from None
        return cls.of(key)

    @classmethod
    def of(cls, key: object) -> Self:
        """Return the key that a library object holds.

        Raises:
            InputError: it is a key of another kind.
        """
        match key:
            case Ed25519PublicKey():
                return cls.from_raw(key.public_bytes_raw())
            case EllipticCurvePublicKey() if isinstance(key.curve, SECP256R1):
                point = key.public_numbers()
                x, y = (jws.b64url(one.to_bytes(_COORDINATE_BYTES, "big")) for one in (point.x, point.y))
                return cls.from_jwk({"crv": "P-256", "kty": "EC", "x": x, "y": y})
            case RSAPublicKey():
                numbers = key.public_numbers()
                e, n = (jws.b64url(one.to_bytes((one.bit_length() + 7) // 8, "big")) for one in (numbers.e, numbers.n))
                return cls.from_jwk({"e": e, "kty": "RSA", "n": n})
        raise _other_key()

    @classmethod
    def from_raw(cls, raw: bytes) -> Self:
        """Return an Ed25519 key of its 32 raw bytes."""
        return cls.from_jwk(jws.public_jwk(raw))

    def to_jwk(self) -> dict[str, str]:
        """Return the members of the key."""
        members: dict[str, str] = read_json(self.jwk)
        return members

    @property
    def subject_id(self) -> DataSubjectId:
        """RFC 7638 thumbprint: SHA-256 over the canonical JWK, base64url."""
        return DataSubjectId(jws.b64url(sha256(self.jwk).digest()))

    @property
    def ed25519(self) -> Ed25519PublicKey | None:
        """The key, if it is Ed25519."""
        return self._key if isinstance(self._key, Ed25519PublicKey) else None

    @property
    def passkey_algorithm(self) -> str:
        """The algorithm of a passkey with this key: ``EdDSA``, ``ES256`` or ``RS256`` (COSE -8, -7, -257)."""
        match self._key:
            case Ed25519PublicKey():
                return "EdDSA"
            case EllipticCurvePublicKey():
                return "ES256"
            case _:
                return "RS256"

    def check(self, signature: bytes, data: bytes) -> None:
        """Check a signature with `passkey_algorithm`. ECDSA is ASN.1 DER; a second encoding of it is refused.

        Raises:
            TamperError: it is not by this key over these bytes.

        Not checked: whether S of an ECDSA signature is the lower of its two values: authenticators give either.
        """
        try:
            match self._key:
                case Ed25519PublicKey():
                    self._key.verify(signature, data)
                case EllipticCurvePublicKey():
                    # Encoded again, so that one pair of numbers has one text.
                    self._key.verify(_strict_der(signature), data, ECDSA(SHA256()))
                case _:
                    self._key.verify(signature, data, PKCS1v15(), SHA256())
        except (InvalidSignature, ValueError):
            raise TamperError("integrity: the signature does not match the signed bytes and the key") from None


@lru_cache(maxsize=16)
def _load(jwk: bytes) -> _Key:
    """Return the key of a canonical JWK; there is no JSON parser, because a door calls this for every decision.

    The cache spares the second call of a verification, for the key that the receipt names. It holds public keys, which
    are in the receipts that a site keeps as evidence.
    """
    try:
        if found := _ED25519.fullmatch(jwk):
            return Ed25519PublicKey.from_public_bytes(_decoded(found[1]))
        if found := _P256.fullmatch(jwk):
            x, y = (int.from_bytes(_decoded(one), "big") for one in found.groups())
            return EllipticCurvePublicNumbers(x, y, SECP256R1()).public_key()
        if found := _RSA.fullmatch(jwk):
            data = _decoded(found[1])
            n = int.from_bytes(data, "big")
            if data[0] and n % 2 and MIN_RSA_BITS <= n.bit_length() <= MAX_RSA_BITS:
                return RSAPublicNumbers(_RSA_EXPONENT, n).public_key()
    except (ValueError, InputError):
        pass
    raise _other_key()


def _strict_der(signature: bytes) -> bytes:
    if encode_dss_signature(*decode_dss_signature(signature)) != signature:
        raise ValueError
    return signature


def _decoded(text: bytes) -> bytes:
    return jws.from_b64url(text.decode("ascii"))


def _other_key() -> InputError:
    return InputError(f"got a public key of another kind or form; expected a JWK: {_KINDS}")


@final
class SubjectKey(PrivateKey):
    """The private half, Ed25519, used at the moment of signing: at the desk, or on the person's own machine."""

    __slots__ = ()

    @classmethod
    def from_pem(cls, data: bytes) -> Self:
        """Read an unencrypted PKCS #8 PEM file.

        Raises:
            InputError: the bytes are not such a file, or the key is not Ed25519.
        """
        try:
            key = load_pem_private_key(data, password=None)
        except (ValueError, TypeError):
            raise InputError("got a key file that cannot be read; expected an unencrypted PKCS #8 PEM file") from None
        if not isinstance(key, Ed25519PrivateKey):
            raise InputError("got a key of another kind; expected Ed25519 (make one with --new-key)")
        return cls(key)

    @property
    def public(self) -> SubjectPublicKey:
        """The public half."""
        return SubjectPublicKey.from_raw(self.public_key)
