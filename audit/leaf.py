"""Audit leaves: the log keeps the kind and time of an event and a salted commitment to its details.

The log is append-only, but a person's data must be erasable. So the details and a random salt (the opening) stay
outside the log; the leaf has only a hash over both. A holder of details and salt can prove that they are the logged
ones. Once the salt is erased the leaf reveals nothing about a person, even to a reader who guesses the details, and the
log still verifies.

A leaf is RFC 8785 canonical JSON::

    {"at":"2026-11-23T16:00:00Z","commitment":"<base64url>","kind":"consent.withdrawn","v":1}

    commitment = SHA-256("volens leaf v1" || 0x00 || salt || canonical JSON of the details)
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

import rfc8785

from volens.consent import InputError, TamperError, format_time, from_b64url, parse_time
from volens.consent.jws import b64url

SALT_BYTES: Final = 32
MAX_LEAF_BYTES: Final = 256
_VERSION: Final = 1
_DOMAIN: Final = b"volens leaf v1\x00"
_LEAF: Final = re.compile(
    rb'\{"at":"([^"]{20})","commitment":"([A-Za-z0-9_-]{43})","kind":"([a-z0-9_.]{1,64})","v":1\}'
)
_KIND: Final = re.compile(r"(?=.{1,64}\Z)[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+")


@dataclass(frozen=True, slots=True)
class Event:
    """An event to log.

    Attributes:
        kind: noun and past participle, ``consent.withdrawn``; 1 to 64 of ``a-z 0-9 _ .``. Public: the leaf shows it.
        at: aware, UTC, whole seconds. Public: the leaf shows it.
        details: what the commitment covers; own read-only copy. Integers between -(2**53 - 1) and 2**53 - 1.
        salt: 32 random bytes, new for each event; stored with the details and erased with the person's data.

    Raises:
        ValueError: a value is out of range.
        TypeError: a detail is neither text nor an integer.

    Not checked: whether the salt is random. With a reused or guessable salt the details can be guessed from the leaf.
    """

    kind: str
    at: datetime
    details: Mapping[str, str | int] = field(repr=False)
    salt: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if not _KIND.fullmatch(self.kind):
            raise ValueError(f"got event kind {self.kind[:80]!r}; expected one such as 'consent.withdrawn'")
        if self.at.utcoffset() != timedelta(0) or self.at.microsecond:
            raise ValueError(f"got time {self.at.isoformat()}; expected UTC with whole seconds")
        object.__setattr__(self, "details", MappingProxyType(dict(self.details)))
        _commit(self.details, self.salt)


def leaf_bytes(event: Event) -> bytes:
    """Return the leaf of an event: at most 256 bytes of ASCII, safe to keep forever. Deterministic."""
    return _encode(event.kind, event.at, _commit(event.details, event.salt))


def read_leaf(leaf: bytes) -> tuple[str, datetime]:
    """Return kind and time (aware UTC) of a leaf, also after its salt is erased.

    Raises:
        TamperError: the bytes are not exactly what `leaf_bytes` writes.

    Not checked: whether the leaf is in the log; see `verify_inclusion`.
    """
    kind, at, _commitment = _parse(leaf)
    return kind, at


def open_leaf(leaf: bytes, details: Mapping[str, str | int], salt: bytes) -> tuple[str, datetime]:
    """Return kind and time (aware UTC) of a logged leaf, if it commits to these details and this salt (32 bytes).

    Raises:
        TamperError: the bytes are not exactly what `leaf_bytes` writes, or commit to other details or another salt.
        ValueError: the salt is not 32 bytes, or a detail has no canonical form.
        TypeError: a detail is neither text nor an integer.

    The comparison is constant-time, so that a caller who tries details learns nothing about the salt.
    """
    kind, at, commitment = _parse(leaf)
    if not hmac.compare_digest(commitment, _commit(details, salt)):
        raise TamperError("integrity: the leaf was not made from these details and this salt")
    return kind, at


def open_stored_leaf(leaf: bytes, details: str, salt: bytes) -> tuple[str, datetime]:
    """Return the same as `open_leaf` for details in the exact text that the log stores; five times as fast.

    Raises:
        TamperError: as `open_leaf`, also if the text is not the canonical JSON that was committed to.
        ValueError: the salt is not 32 bytes.
    """
    kind, at, commitment = _parse(leaf)
    if not hmac.compare_digest(commitment, _hash(details.encode("utf-8", "replace"), salt)):
        raise TamperError("integrity: the leaf was not made from these details and this salt")
    return kind, at


def _hash(canonical: bytes, salt: bytes) -> bytes:
    """Return the commitment, 32 bytes; the fixed length of the salt separates it from the details."""
    if len(salt) != SALT_BYTES:
        raise ValueError(f"got a salt of {len(salt)} bytes; expected {SALT_BYTES}")
    return hashlib.sha256(_DOMAIN + salt + canonical).digest()


def _commit(details: Mapping[str, str | int], salt: bytes) -> bytes:
    """Return the commitment to details."""
    for value in details.values():
        # bool is an int to Python and a third thing to JSON; a float would not be exact.
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise TypeError(f"got a detail of type {type(value).__name__}; expected text or an integer")
    return _hash(rfc8785.dumps(dict(details)), salt)


def _encode(kind: str, at: datetime, commitment: bytes) -> bytes:
    return rfc8785.dumps({"v": _VERSION, "kind": kind, "at": format_time(at), "commitment": b64url(commitment)})


def _parse(leaf: bytes) -> tuple[str, datetime, bytes]:
    """Return kind, time and commitment. A leaf has one form only, that of `_encode`, which needs no JSON parser."""
    found = _LEAF.fullmatch(leaf)
    try:
        if found is None or not _KIND.fullmatch(kind := found[3].decode("ascii")):
            raise ValueError("another form")  # noqa: TRY301  one answer for every other form
        return kind, parse_time(found[1].decode("ascii")), from_b64url(found[2].decode("ascii"))
    except (InputError, ValueError):
        raise TamperError(f"integrity: got {len(leaf)} bytes that are not a Volens audit leaf") from None
