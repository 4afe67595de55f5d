"""The public keys of an issuer, out of its JWK set (RFC 7517): those that may sign a token, and no others. Pure."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias, final

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from volens.consent import InputError, from_b64url

PublicKey: TypeAlias = RSAKey | ECKey | OKPKey

MAX_KEYS: Final = 64
MIN_RSA_BITS: Final = 2048
MAX_RSA_BITS: Final = 8192
"""Larger ones only take time."""

# What is not here cannot be asked for: no "none", no shared secrets, no other curve. "EdDSA" is the older name of the
# algorithm that RFC 9864 calls "Ed25519".
_MODELS: Final[Mapping[str, Any]] = {
    name: JWSRegistry.algorithms[model]
    for name, model in (
        ("RS256", "RS256"),
        ("PS256", "PS256"),
        ("ES256", "ES256"),
        ("EdDSA", "Ed25519"),
        ("Ed25519", "Ed25519"),
    )
}
ALGORITHMS: Final = frozenset(_MODELS)

_FITTING: Final[Mapping[tuple[str, object], frozenset[str]]] = {
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
        kid: what the issuer calls it; None where it does not.
        algorithms: what it may be used with.
    """

    kid: str | None
    algorithms: frozenset[str]
    public: PublicKey = field(repr=False)

    def has_signed(self, algorithm: str, signed: bytes, signature: bytes) -> bool:
        """Tell whether a signature over some bytes is by this key, with an algorithm that it may be used with."""
        return algorithm in self.algorithms and bool(_MODELS[algorithm].verify(signed, signature, self.public))


def parse_keys(data: bytes) -> tuple[SigningKey, ...]:
    """Return the keys of a JWK set that may sign tokens; those of other kinds and for other uses are left out.

    Left out as well: a private key, which should never have been published, and RSA below `MIN_RSA_BITS`.

    Raises:
        InputError: it is no JWK set, or has more than `MAX_KEYS` keys, or none that could sign a token.
    """
    try:
        found = json.loads(data.decode("utf-8"))["keys"]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise InputError("got no JWK set; expected an object with 'keys'") from None
    if not isinstance(found, list) or len(found) > MAX_KEYS:
        raise InputError(f"got no list of at most {MAX_KEYS} keys; expected a JWK set")
    keys = tuple(key for key in map(_signing_key, found) if key is not None)
    if not keys:
        raise InputError(f"got a JWK set without a key for any of {', '.join(sorted(ALGORITHMS))}")
    return keys


def fitting(keys: Sequence[SigningKey], algorithm: str, kid: str | None) -> list[SigningKey]:
    """Return the keys of a name that may be used with an algorithm; without a name, all that may."""
    return [key for key in keys if algorithm in key.algorithms and kid in {None, key.kid}]


def _signing_key(jwk: object) -> SigningKey | None:
    if not isinstance(jwk, dict):
        return None
    kty, kid = jwk.get("kty"), jwk.get("kid")
    curve = jwk.get("crv")
    if not isinstance(kty, str) or not isinstance(curve, str | None) or not isinstance(kid, str | None):
        return None
    algorithms = _FITTING.get((kty, curve), frozenset())
    if "alg" in jwk:
        algorithms &= {jwk["alg"]} if isinstance(jwk["alg"], str) else frozenset()
    operations = jwk.get("key_ops", ["verify"])
    may_verify = jwk.get("use", "sig") == "sig" and isinstance(operations, list) and "verify" in operations
    if not algorithms or not may_verify or "d" in jwk:
        return None
    try:
        # Judged first: joserfc warns of small keys, and large ones take time.
        if kty == "RSA" and not MIN_RSA_BITS <= _bits(jwk["n"]) <= MAX_RSA_BITS:
            return None
        # Only what the key is made of; the rest was judged above.
        public = _TYPES[kty].import_key({name: jwk[name] for name in ("kty", "crv", "x", "y", "n", "e") if name in jwk})
    except (JoseError, InputError, ValueError, TypeError, KeyError, AttributeError):
        return None
    return SigningKey(kid, algorithms, public)


def _bits(number: str) -> int:
    return int.from_bytes(from_b64url(number)).bit_length()
