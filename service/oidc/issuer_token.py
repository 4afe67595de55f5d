"""Verification of an issuer's bearer token (JWT): signature, issuer, audience, times, role. Pure: no clock, no network.

After RFC 7519 and the advice of RFC 8725; the table of bad tokens in the tests is named after its sections.

1. The token is three segments of canonical base64url, at most `MAX_TOKEN_BYTES` long.
2. The header names one of `ALGORITHMS`, has no critical extension, and contains no key and no address of a key.
3. The signature over the first two segments, byte for byte, is by a key of the issuer for this algorithm.
4. Issuer and audience are the expected ones; the token is valid now, and its lifetime is not too long.
5. The role is one of ours, and has a zone if it needs one.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, final

from volens.consent import InputError, Purpose, RefusedError, from_b64url, parse_purpose
from volens.consent.json_reader import JsonError, read_json
from volens.service.oidc.issuer_keys import ALGORITHMS, SigningKey, usable_keys
from volens.service.oidc.issuer_trust import Trust
from volens.store.programs import Role
from volens.store.programs.credentials import check_reach

MAX_TOKEN_BYTES: Final = 16 * 2**10
MAX_SUBJECT_LENGTH: Final = 255

_SEGMENTS: Final = 3
_TYPES: Final = frozenset({"jwt", "at+jwt", "application/jwt", "application/at+jwt"})
_KEY_MEMBERS: Final = frozenset({"jku", "jwk", "x5u", "x5c"})


class TokenError(RefusedError):
    """The token is not valid. The message names the flaw, for tests; callers get the same response for every flaw."""


class UnknownKeyError(TokenError):
    """The issuer has no known key with this id; it may be a new one."""


class ForeignRoleError(RefusedError):
    """The token is valid, but names no role and zone of ours."""


@final
@dataclass(frozen=True, slots=True)
class VerifiedToken:
    """The caller as the issuer identifies it, and the role that we grant.

    Attributes:
        subject: the issuer's id of the caller; never stored (see `Credentials.name_for`).
        purpose: the only zone; None for the whole site.
        nonce: what an ID token repeats of the request for it (OpenID Connect Core 1.0, section 2); else None.
        name: the caller's name, if an ID token has one, for the caller's own pages; never stored.
    """

    issuer: str
    subject: str = field(repr=False)
    role: Role
    purpose: Purpose | None
    nonce: str | None = field(default=None, repr=False)
    name: str | None = field(default=None, repr=False)


def verify_token(token: str, keys: Sequence[SigningKey], trust: Trust, now: datetime) -> VerifiedToken:
    """Verify a token in the steps above, and return its caller.

    Raises:
        UnknownKeyError: 3 fails because the key is unknown; retry with newer keys.
        TokenError: 1 to 4 fails.
        ForeignRoleError: 5 fails.

    Not checked: whether the issuer revoked the token; therefore its lifetime is limited.
    """
    # 1.
    if len(token) > MAX_TOKEN_BYTES:
        raise TokenError("too large")
    segments = token.split(".")
    if len(segments) != _SEGMENTS or not token.isascii():
        raise TokenError("not three segments of ASCII")
    try:
        signature = from_b64url(segments[2])
    except InputError:
        raise TokenError("signature is not base64url") from None
    # 2.
    algorithm, kid = _header(segments[0])
    # 3.
    found = usable_keys(keys, algorithm, kid)
    if not found:
        raise UnknownKeyError("unknown key")
    if kid is None and len(found) > 1:
        raise TokenError("names no key, and several keys are possible")
    signed = token.rpartition(".")[0].encode("ascii")
    if not any(key.has_signed(algorithm, signed, signature) for key in found):
        raise TokenError("not signed by the issuer")
    # 4.
    claims = _object(segments[1], "payload")
    _check_addresses(claims, trust)
    _check_times(claims, trust, now.timestamp())
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 1 <= len(subject) <= MAX_SUBJECT_LENGTH:
        raise TokenError("no subject")
    # 5.
    nonce, name = (_text(claims, one) for one in ("nonce", "name"))
    return VerifiedToken(trust.issuer, subject, *_reach(claims, trust), nonce, name)


def _text(claims: Mapping[str, Any], name: str) -> str | None:
    value = claims.get(name)
    return value if isinstance(value, str) and len(value) <= MAX_SUBJECT_LENGTH else None


def _header(segment: str) -> tuple[str, str | None]:
    header = _object(segment, "header")
    algorithm, kid, typ = header.get("alg"), header.get("kid"), header.get("typ", "JWT")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise TokenError("unsupported algorithm")
    if "crit" in header or "b64" in header:
        raise TokenError("a critical extension")
    if _KEY_MEMBERS & header.keys():
        raise TokenError("the header contains a key")
    if not isinstance(typ, str) or typ.lower() not in _TYPES:
        raise TokenError("unsupported type of token")
    if not isinstance(kid, str | None):
        raise TokenError("a key id that is not text")
    return algorithm, kid


def _check_addresses(claims: Mapping[str, Any], trust: Trust) -> None:
    if claims.get("iss") != trust.issuer:
        raise TokenError("wrong issuer")
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    if trust.audience not in audiences or not all(isinstance(one, str) for one in audiences):
        raise TokenError("wrong audience")


def _check_times(claims: Mapping[str, Any], trust: Trust, now: float) -> None:
    leeway = trust.leeway.total_seconds()
    begun, ends = _time(claims, "iat"), _time(claims, "exp")
    if now >= ends + leeway:
        raise TokenError("expired")
    if begun > now + leeway:
        raise TokenError("issued in the future")
    if "nbf" in claims and _time(claims, "nbf") > now + leeway:
        raise TokenError("not valid yet")
    if ends - begun > trust.max_lifetime.total_seconds():
        raise TokenError("lifetime too long")


def _time(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    # In Python a bool is an int, its JSON parser accepts NaN and Infinity, and an int can be too large for a float.
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TokenError(f"missing or invalid {name}")
    try:
        seconds = float(value)
    except OverflowError:
        raise TokenError(f"missing or invalid {name}") from None
    if not math.isfinite(seconds):
        raise TokenError(f"missing or invalid {name}")
    return seconds


def _reach(claims: Mapping[str, Any], trust: Trust) -> tuple[Role, Purpose | None]:
    claimed, zone = claims.get(trust.role_claim, ""), claims.get(trust.zone_claim)
    if not isinstance(zone, str | None):
        raise ForeignRoleError("the token names a zone that is not text")
    try:
        role = Role(claimed)
        purpose = None if zone is None else parse_purpose(zone)
        check_reach(role, purpose)
    except (InputError, ValueError, TypeError):
        raise ForeignRoleError("the token names no role of this site, or a zone that the role cannot have") from None
    return role, purpose


def _object(segment: str, what: str) -> dict[str, Any]:
    try:
        found = read_json(from_b64url(segment))
    except (InputError, JsonError):
        raise TokenError(f"{what} is not JSON") from None
    if not isinstance(found, dict):
        raise TokenError(f"{what} is not an object")
    return found
