"""A private signing key (Ed25519) in a PKCS #8 PEM file: what the keys of people, operators and recipients share."""

from typing import Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from volens.consent import jws
from volens.consent.in_process import InProcess


class PrivateKey(InProcess):
    """The private half of a key; `repr` and pickling show nothing."""

    __slots__ = ("_key",)

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key

    @classmethod
    def from_seed(cls, seed: bytes) -> Self:
        """Return the key of a 32-byte random seed."""
        return cls(Ed25519PrivateKey.from_private_bytes(seed))

    def to_pem(self, passphrase: bytes | None = None) -> bytes:
        """Return the key as PKCS #8 PEM, encrypted if there is a passphrase; to be written with mode 0600."""
        protection = NoEncryption() if passphrase is None else BestAvailableEncryption(passphrase)
        return self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, protection)

    @property
    def public_key(self) -> bytes:
        """The public half, 32 bytes."""
        return self._key.public_key().public_bytes_raw()

    def sign(self, payload: bytes, typ: str) -> str:
        """Sign `payload` as a compact JWS."""
        return jws.sign(payload, typ, self._key)
