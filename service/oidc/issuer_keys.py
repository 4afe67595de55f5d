"""The public keys of an issuer, from its JWK set (RFC 7517): only those that may sign a token. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias, final

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from volens.consent import InputError, from_b64url
from volens.consent.json_reader import read_json

PublicKey: TypeAlias = RSAKey | ECKey | OKPKey

MAX_KEYS: Final = 64
MIN_RSA_BITS: Final = 2048
MAX_RSA_BITS: Final = 8192
"""Larger keys only cost time."""

# Other algorithms are refused: no "none", no shared secrets, no other curve. "EdDSA" is the older name of the
# algorithm that RFC 9864 calls "Ed25519".
_MODELS: Final[Mapping[str, Any]] = {
    **{name: JWSRegistry.algorithms[name] for name in ("RS256", "PS256", "ES256", "Ed25519")},
    "EdDSA": JWSRegistry.algorithms["Ed25519"],
}
ALGORITHMS: Final = frozenset(_MODELS)

_USABLE: Final[Mapping[tuple[str, object], frozenset[str]]] = {
    ("RSA", None): frozenset({"RS256", "PS256"}),
    ("EC", "P-256"): frozenset({"ES256"}),
    ("OKP", "Ed25519"): frozenset({"EdDSA", "Ed25519"}),
}
_TYPES: Final[Mapping[str, type[PublicKey]]] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}


@final
@dataclass(frozen=True, slots=True)
class SigningKey:
    """One public key.

    Attributes:
        kid: the key id; None if the issuer gives none.
        algorithms: the algorithms that it may be used with.
    """

    kid: str | None
    algorithms: frozenset[str]
    public: PublicKey = field(repr=False)

    def has_signed(self, algorithm: str, signed: bytes, signature: bytes) -> bool:
        """Return whether the signature is by this key, with an algorithm that the key may be used with."""
        return algorithm in self.algorithms and bool(_MODELS[algorithm].verify(signed, signature, self.public))


def parse_keys(data: bytes) -> tuple[SigningKey, ...]:
    """Parse a JWK set; return the keys that may sign tokens, and skip keys of other kinds and for other uses.

    Also skipped: a private key, which should not have been published, and RSA keys below `MIN_RSA_BITS`.

    Raises:
        InputError: it is not a JWK set, or has more than `MAX_KEYS` keys, or none that can sign a token.
    """
    try:
        found = read_json(data)["keys"]
    except (ValueError, TypeError, KeyError):
        raise InputError("got no JWK set; expected an object with 'keys'") from None
    if not isinstance(found, list) or len(found) > MAX_KEYS:
        raise InputError(f"got no list of at most {MAX_KEYS} keys; expected a JWK set")
    keys = tuple(key for key in map(_signing_key, found) if key is not None)
    if not keys:
        raise InputError(f"got a JWK set without a key for any of {', '.join(sorted(ALGORITHMS))}")
    return keys


def usable_keys(keys: Sequence[SigningKey], algorithm: str, kid: str | None) -> list[SigningKey]:
    """Return the keys with a key id that may be used with an algorithm; without a key id, all that may."""
    return [key for key in keys if algorithm in key.algorithms and kid in {None, key.kid}]


def _signing_key(jwk: object) -> SigningKey | None:
    if not isinstance(jwk, dict):
        return None
    kty, kid = jwk.get("kty"), jwk.get("kid")
    curve = jwk.get("crv")
    if not isinstance(kty, str) or not isinstance(curve, str | None) or not isinstance(kid, str | None):
        return None
    algorithms = _USABLE.get((kty, curve), frozenset())
    if "alg" in jwk:
        algorithms &= {jwk["alg"]} if isinstance(jwk["alg"], str) else frozenset()
    operations = jwk.get("key_ops", ["verify"])
    may_verify = jwk.get("use", "sig") == "sig" and isinstance(operations, list) and "verify" in operations
    if not algorithms or not may_verify or "d" in jwk:
        return None
    try:
        # Checked first, because joserfc warns of small keys, and large ones cost time.
        if kty == "RSA" and not MIN_RSA_BITS <= _bits(jwk["n"]) <= MAX_RSA_BITS:
            return None
        # Only the parameters of the key; the other members were checked above.
        public = _TYPES[kty].import_key({name: jwk[name] for name in ("kty", "crv", "x", "y", "n", "e") if name in jwk})
    except (JoseError, InputError, ValueError, TypeError, KeyError, AttributeError):
        return None
    return SigningKey(kid, algorithms, public)


def _bits(number: str) -> int:
    return int.from_bytes(from_b64url(number)).bit_length()
