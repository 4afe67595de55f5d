"""The data subject's own signing key (Ed25519). The site neither needs nor keeps the private half."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Self, final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from volens.consent import jws
from volens.consent.errors import InputError
from volens.consent.ids import DataSubjectId
from volens.consent.private_key import PrivateKey


@final
@dataclass(frozen=True, slots=True)
class SubjectPublicKey:
    """An Ed25519 public key, 32 raw bytes. Its thumbprint *is* the data subject's id, so the two cannot be mixed up."""

    raw: bytes

    def __post_init__(self) -> None:
        try:
            Ed25519PublicKey.from_public_bytes(self.raw)
        except ValueError:
            raise InputError("got a subject key that is not a 32-byte Ed25519 public key") from None

    @property
    def subject_id(self) -> DataSubjectId:
        """RFC 7638 thumbprint: SHA-256 over the canonical JWK, base64url."""
        # Canonical JSON of `jws.public_jwk`, written by hand because a door needs it for every decision.
        canonical = f'{{"crv":"Ed25519","kty":"OKP","x":"{jws.b64url(self.raw)}"}}'
        return DataSubjectId(jws.b64url(sha256(canonical.encode("ascii")).digest()))


@final
class SubjectKey(PrivateKey):
    """The private half, used at the moment of signing."""

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
        return SubjectPublicKey(self.public_key)
