"""The data subject's own signing key. The site never needs the private half, nor keeps it."""

from dataclasses import dataclass
from hashlib import sha256
from typing import NoReturn, Self, final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from volens.consent import jws
from volens.consent.errors import InputError
from volens.consent.ids import DataSubjectId


@final
@dataclass(frozen=True, slots=True)
class SubjectPublicKey:
    """An Ed25519 public key, 32 raw bytes. Its thumbprint *is* the data subject's id, so neither can be swapped."""

    raw: bytes

    def __post_init__(self) -> None:
        """Refuse what is no Ed25519 public key."""
        try:
            Ed25519PublicKey.from_public_bytes(self.raw)
        except ValueError:
            raise InputError("got a subject key that is not a 32-byte Ed25519 public key") from None

    @property
    def key(self) -> Ed25519PublicKey:
        """The key in the library's own type."""
        return Ed25519PublicKey.from_public_bytes(self.raw)

    @property
    def subject_id(self) -> DataSubjectId:
        """RFC 7638 thumbprint: SHA-256 over the canonical JWK, base64url."""
        # Canonical JSON of `jws.public_jwk`, written out: this is asked for at a door.
        canonical = f'{{"crv":"Ed25519","kty":"OKP","x":"{jws.b64url(self.raw)}"}}'
        return DataSubjectId(jws.b64url(sha256(canonical.encode("ascii")).digest()))


@final
class SubjectKey:
    """The private half. Made and used at the moment of signing; `repr` and pickling show nothing."""

    __slots__ = ("_key",)

    def __init__(self, key: Ed25519PrivateKey) -> None:
        """Wrap a private key."""
        self._key = key

    @classmethod
    def from_seed(cls, seed: bytes) -> Self:
        """Make the key of a 32-byte random seed."""
        return cls(Ed25519PrivateKey.from_private_bytes(seed))

    @classmethod
    def from_pem(cls, data: bytes) -> Self:
        """Read an unencrypted PKCS #8 PEM file.

        Raises:
            InputError: the bytes are no such file, or the key is not Ed25519.
        """
        try:
            key = load_pem_private_key(data, password=None)
        except (ValueError, TypeError):
            raise InputError("got a key file that cannot be read; expected an unencrypted PKCS #8 PEM file") from None
        if not isinstance(key, Ed25519PrivateKey):
            raise InputError("got a key of another kind; expected Ed25519 (make one with --new-key)")
        return cls(key)

    def to_pem(self) -> bytes:
        """Return the key as PKCS #8 PEM, to be written 0600 into the person's hands."""
        return self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    @property
    def public(self) -> SubjectPublicKey:
        """The public half."""
        return SubjectPublicKey(self._key.public_key().public_bytes_raw())

    def sign(self, payload: bytes, typ: str) -> str:
        """Sign `payload` as a compact JWS."""
        return jws.sign(payload, typ, self._key)

    def __repr__(self) -> str:
        """Say nothing about the key."""
        return "SubjectKey(...)"

    def __reduce__(self) -> NoReturn:
        """Refuse pickling."""
        raise TypeError("a SubjectKey is not pickled; use to_pem()")
