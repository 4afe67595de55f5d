"""A bearer token of an issuer: signed, for us, now, and of a role that is ours. Pure: no clock, no network.

After RFC 7519 and the advice of RFC 8725; the test's table of bad tokens is named for its sections.

1. The token is three segments of canonical base64url, and no larger than `MAX_TOKEN_BYTES`.
2. The header names one of `ALGORITHMS`, no extension that must be understood, and brings no key or address of one.
3. A key of the issuer that may be used with this algorithm has signed the first two segments as they stand.
4. Issuer and audience are the expected ones; the token has begun, has not ended, and does not last too long.
5. The role is one of ours, and has a zone if it needs one.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, final

from volens.consent import InputError, Purpose, RefusedError, from_b64url, parse_purpose
from volens.service.oidc.issuer_keys import ALGORITHMS, SigningKey, fitting
from volens.service.oidc.issuer_trust import Trust
from volens.store.programs import Role
from volens.store.programs.credentials import check_reach

MAX_TOKEN_BYTES: Final = 16 * 2**10
MAX_SUBJECT_LENGTH: Final = 255

_SEGMENTS: Final = 3
_TYPES: Final = frozenset({"jwt", "at+jwt", "application/jwt", "application/at+jwt"})
_SMUGGLED: Final = frozenset({"jku", "jwk", "x5u", "x5c"})


class TokenError(RefusedError):
    """The token is none that is in force. The message names the flaw, for tests; callers are told no difference."""


class UnknownKeyError(TokenError):
    """No known key of the issuer has this name; it may be a new one."""


class ForeignRoleError(RefusedError):
    """The token is in force, and names no role and zone of ours."""


@final
@dataclass(frozen=True, slots=True)
class VerifiedToken:
    """Who the issuer says is asking, and what we let them be.

    Attributes:
        subject: what the issuer calls them; never written down (see `Credentials.name_for`).
        purpose: the only zone; None for the whole site.
    """

    issuer: str
    subject: str = field(repr=False)
    role: Role
    purpose: Purpose | None


def verify_token(token: str, keys: Sequence[SigningKey], trust: Trust, now: datetime) -> VerifiedToken:
    """Return who a token is about, by the steps above.

    Args:
        token: as it stood after ``Bearer``.
        keys: the issuer's.
        trust: what to expect.
        now: aware.

    Raises:
        UnknownKeyError: 3, for want of a key; try again with newer ones.
        TokenError: 1 to 4.
        ForeignRoleError: 5.

    Not checked: whether the issuer has taken the token back; hence the bound on how long it lasts.
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
        raise TokenError("signature is no base64url") from None
    # 2.
    algorithm, kid = _header(segments[0])
    # 3.
    found = fitting(keys, algorithm, kid)
    if not found:
        raise UnknownKeyError("no such key")
    if kid is None and len(found) > 1:
        raise TokenError("names no key, and several would do")
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
    return VerifiedToken(trust.issuer, subject, *_reach(claims, trust))


def _header(segment: str) -> tuple[str, str | None]:
    header = _object(segment, "header")
    algorithm, kid, typ = header.get("alg"), header.get("kid"), header.get("typ", "JWT")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise TokenError("another algorithm")
    if "crit" in header or "b64" in header:
        raise TokenError("an extension that must be understood")
    if _SMUGGLED & header.keys():
        raise TokenError("a key of its own")
    if not isinstance(typ, str) or typ.lower() not in _TYPES:
        raise TokenError("another type of token")
    if not isinstance(kid, str | None):
        raise TokenError("a key's name that is no text")
    return algorithm, kid


def _check_addresses(claims: Mapping[str, Any], trust: Trust) -> None:
    if claims.get("iss") != trust.issuer:
        raise TokenError("another issuer")
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    if trust.audience not in audiences or not all(isinstance(one, str) for one in audiences):
        raise TokenError("another audience")


def _check_times(claims: Mapping[str, Any], trust: Trust, now: float) -> None:
    leeway = trust.leeway.total_seconds()
    begun, ends = _time(claims, "iat"), _time(claims, "exp")
    if now >= ends + leeway:
        raise TokenError("has run out")
    if begun > now + leeway:
        raise TokenError("issued in the future")
    if "nbf" in claims and _time(claims, "nbf") > now + leeway:
        raise TokenError("has not begun")
    if ends - begun > trust.max_lifetime.total_seconds():
        raise TokenError("lasts too long")


def _time(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    # bool is an int to Python; NaN and Infinity are numbers to its JSON, and an int may be too large for a float.
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TokenError(f"no time {name}")
    try:
        seconds = float(value)
    except OverflowError:
        raise TokenError(f"no time {name}") from None
    if not math.isfinite(seconds):
        raise TokenError(f"no time {name}")
    return seconds


def _reach(claims: Mapping[str, Any], trust: Trust) -> tuple[Role, Purpose | None]:
    claimed, zone = claims.get(trust.role_claim, ""), claims.get(trust.zone_claim)
    try:
        role = Role(claimed)
        purpose = None if zone is None else parse_purpose(zone)
        check_reach(role, purpose)
    except (InputError, ValueError, TypeError):
        raise ForeignRoleError("the token names no role of ours, or a zone that the role may not have") from None
    return role, purpose


def _object(segment: str, what: str) -> dict[str, Any]:
    """Return a JSON object, of which no member stands twice: parsers disagree about which of the two counts."""

    def idempotent(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        members = dict(pairs)
        if len(members) != len(pairs):
            raise ValueError("twice")
        return members

    try:
        # Decoded here, for json.loads would guess at UTF-16.
        found = json.loads(from_b64url(segment).decode("utf-8"), object_pairs_hook=idempotent)
    except (InputError, ValueError, RecursionError):
        raise TokenError(f"{what} is no JSON") from None
    if not isinstance(found, dict):
        raise TokenError(f"{what} is no object")
    return found
