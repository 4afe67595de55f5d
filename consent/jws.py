"""Compact JWS with one algorithm: Ed25519 (RFC 7515; algorithm name from RFC 9864).

The header is pinned to ``alg`` ``Ed25519`` and the ``typ`` that the caller expects, and has no other member. This
excludes algorithm confusion, keys supplied in the header, and critical extensions that a reader might ignore.
"""

import binascii
from functools import lru_cache
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from joserfc import jws
from joserfc.jwk import OKPKey

from volens.consent.errors import InputError, TamperError
from volens.consent.json_reader import DuplicateMemberError, JsonError, read_json

ALGORITHM: Final = "Ed25519"
MAX_TOKEN_BYTES: Final = 64 * 1024
_SEGMENTS: Final = 3
# The module base64 builds such a table at every call; a door decodes seven texts for each decision.
_TO_URL: Final = bytes.maketrans(b"+/", b"-_")
_FROM_URL: Final = bytes.maketrans(b"-_+/=", b"+/!!!")  # ! is in no alphabet


def sign(payload: bytes, typ: str, key: Ed25519PrivateKey) -> str:
    """Return `payload` as a compact JWS with the header ``{"alg": "Ed25519", "typ": typ}``."""
    return jws.serialize_compact(
        {"alg": ALGORITHM, "typ": typ}, payload, OKPKey.import_key(key), algorithms=[ALGORITHM]
    )


def peek(token: str, typ: str) -> bytes:
    """Return the payload of a well-formed token WITHOUT checking its signature.

    Raises:
        InputError: not three canonical base64url segments, too large, or another header than the pinned one.
    """
    payload, _signature = _split(token, typ)
    return payload


def verify(token: str, typ: str, key: Ed25519PublicKey) -> bytes:
    """Return the payload of a token signed by `key`.

    With the header pinned and the segments decoded, the rest of RFC 7515 is one signature over the first two segments
    as received; a test compares this with joserfc.

    Raises:
        InputError: the token is malformed (see `peek`).
        TamperError: the signature is not by this key over these bytes.
    """
    payload, signature = _split(token, typ)
    try:
        key.verify(signature, token.rpartition(".")[0].encode("ascii"))
    except InvalidSignature:
        raise TamperError("integrity: the signature does not match the signed bytes and the key") from None
    return payload


def _split(token: str, typ: str) -> tuple[bytes, bytes]:
    """Return payload and signature of a well-formed token."""
    if len(token) > MAX_TOKEN_BYTES:
        raise InputError(f"got a token of {len(token)} characters; expected at most {MAX_TOKEN_BYTES}")
    segments = token.split(".")
    if len(segments) != _SEGMENTS:
        raise InputError(f"got {len(segments)} dot-separated segments; expected a compact JWS with {_SEGMENTS}")
    _check_header(segments[0], typ)
    return from_b64url(segments[1]), from_b64url(segments[2])


@lru_cache(maxsize=32)  # caches valid headers; a refusal is not cached
def _check_header(segment: str, typ: str) -> None:
    try:
        header = read_json(from_b64url(segment))
    except DuplicateMemberError:
        header = None
    except JsonError:
        raise InputError("got a token whose header is not JSON; expected a compact JWS") from None
    if header != {"alg": ALGORITHM, "typ": typ}:
        raise InputError(f"got another JWS header; expected exactly alg {ALGORITHM!r} and typ {typ!r}")


def public_jwk(raw: bytes) -> dict[str, str]:
    """Return the JWK (RFC 8037) of a raw 32-byte Ed25519 public key."""
    return {"crv": "Ed25519", "kty": "OKP", "x": b64url(raw)}


def b64url(data: bytes) -> str:
    """Encode as base64url without padding (RFC 7515 section 2)."""
    return binascii.b2a_base64(data, newline=False).translate(_TO_URL).rstrip(b"=").decode("ascii")


def from_b64url(text: str) -> bytes:
    """Decode canonical base64url without padding.

    Raises:
        InputError: not base64url, or an encoding that is not the canonical one (so that one value has one text).
    """
    try:
        known = str.encode(text, "ascii").translate(_FROM_URL)  # a TypeError, if a JSON value is no text
        data = binascii.a2b_base64(known + b"=" * (-len(text) % 4), strict_mode=True)
    except (binascii.Error, ValueError):
        raise InputError("got text that is not base64url; expected only A-Z a-z 0-9 - _") from None
    # Only the last characters can have unused bits.
    rest = len(text) % 4
    if rest and b64url(data[1 - rest :]) != text[-rest:]:
        raise InputError("got base64url that is not canonical; expected unused bits to be zero and no padding")
    return data
