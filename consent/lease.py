"""Lease: a signed, short permission with which a door decides while it cannot reach the service (ADR 0081).

The holder counts the term on its own monotonic clock, from the moment *before it asked*, and stops a drift margin
earlier. The primary counts it on its clock from the moment after, and waits a drift margin longer. So the holder's end
is never after the primary's, as long as neither clock is wrong by more than the margin over the term.

What the person has agreed to limits a lease: it contains no one whose receipt says less than its term.
Source: Gray and Cheriton, Leases (1989).
"""

import hmac
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final, Self, final

from volens.consent.errors import InputError, TamperError
from volens.consent.ids import ModelId, Purpose, SiteId, check_purpose
from volens.consent.signed_document import SignedDocument
from volens.consent.times import format_time, parse_time
from volens.consent.zone import MAX_LEASE_SECONDS, MIN_LEASE_SECONDS, AfterLease, Trigger

MAX_LEASED_PEOPLE: Final = 2_000
"""How many people one lease contains at most: a megabyte, made again at each renewal."""
_HEX: Final = re.compile(r"[0-9a-f]{16}|[0-9a-f]{32}|[0-9a-f]{64}")
_WHOLE_SECONDS_S: Final = 1
"""The store's times are cut off to seconds, so a lease may have been given up to a second later than its row says."""


def drift_margin_s(term_seconds: int) -> int:
    """Return by how much two clocks may differ over a term, in seconds: one second, and 1 % of the term.

    Crystals of computers drift by less than 0.01 %; clocks that NTP slews by at most 0.05 % (RFC 5905).
    """
    return 1 + math.ceil(term_seconds / 100)


@final
@dataclass(frozen=True, slots=True)
class LeaseTerm:
    """The term of a lease as its holder counts it; all times are seconds of one monotonic clock.

    Attributes:
        asked_at_s: before the holder asked for the lease.
    """

    asked_at_s: float
    term_seconds: int

    @property
    def ends_at_s(self) -> float:
        """From when on nothing may be decided with the lease."""
        return self.asked_at_s + self.term_seconds - drift_margin_s(self.term_seconds)

    @property
    def renew_at_s(self) -> float:
        """When the holder asks for the next lease: after a third of the term."""
        return self.asked_at_s + self.term_seconds / 3

    def is_over(self, now_s: float) -> bool:
        """Return whether the term is over. A clock before the beginning was set back, and ends it too."""
        return not self.asked_at_s <= now_s < self.ends_at_s


def ends_everywhere_at(given_at: datetime, term_seconds: int) -> datetime:
    """Return from when on the holder of a lease cannot decide with it any more, on the primary's clock.

    `given_at` is when the row was written, before the answer was sent; whole seconds.
    """
    return given_at + timedelta(seconds=lasts_everywhere_s(term_seconds))


def lasts_everywhere_s(term_seconds: int) -> int:
    """Return how many seconds after its row was written a lease has ended everywhere."""
    return term_seconds + drift_margin_s(term_seconds) + _WHOLE_SECONDS_S


@final
@dataclass(frozen=True, slots=True)
class LeaseHolding:
    """A door that could still decide about people when something was stopped.

    Attributes:
        door: its label.
        door_id: the id of its credential.
        ends_at: when the last lease that may contain them has ended everywhere (`ends_everywhere_at`).
        acknowledged_at: when the door said that it holds none of them any more; None if it has not.
    """

    door: str
    door_id: str
    ends_at: datetime
    acknowledged_at: datetime | None

    @property
    def stopped_at(self) -> datetime:
        """From when on this door decides nothing with them: as it acknowledged, or by the end at the latest."""
        return self.ends_at if self.acknowledged_at is None else min(self.acknowledged_at, self.ends_at)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Read what `to_json` writes.

        Raises:
            InputError: it is something else.
        """
        at = document.get("acknowledged_at")
        return cls(
            _text(document.get("door")),
            _hex(document.get("door_id")),
            parse_time(document.get("ends_at")),
            None if at is None else parse_time(at),
        )

    def to_json(self) -> dict[str, str | None]:
        """Return the holding as a certificate states it."""
        return {
            "door": self.door,
            "door_id": self.door_id,
            "ends_at": format_time(self.ends_at),
            "acknowledged_at": None if self.acknowledged_at is None else format_time(self.acknowledged_at),
        }


def stopped_everywhere_at(stopped_at: datetime, holdings: Iterable[LeaseHolding]) -> datetime:
    """Return from when on no door decides about a person any more, who was stopped at the primary at `stopped_at`.

    Of a holder that has not acknowledged, the end of its lease counts. Without holders both times are equal.
    """
    return max([stopped_at, *(one.stopped_at for one in holdings)])


@final
@dataclass(frozen=True, slots=True)
class LeaseStop:
    """A stop of matching, of one person or of a whole zone, and the doors that could still decide then.

    Attributes:
        stopped_at: at the primary: doors that ask match no more.
        holders: the doors that held a lease then, as far as is known.
    """

    stopped_at: datetime
    holders: tuple[LeaseHolding, ...] = ()

    @property
    def stopped_everywhere_at(self) -> datetime:
        """From when on no door decides any more, with or without a connection."""
        return stopped_everywhere_at(self.stopped_at, self.holders)

    def to_json(self) -> dict[str, Any]:
        """Return both times and the doors, as commands and answers state them."""
        return {
            "stopped_at": format_time(self.stopped_at),
            "stopped_everywhere_at": format_time(self.stopped_everywhere_at),
            "holders": [one.to_json() for one in self.holders],
        }


@final
@dataclass(frozen=True, slots=True)
class LeaseClaims:
    """What a lease says.

    Attributes:
        holder: the id of the door's credential.
        generation: of the store when the lease was given: it knows every withdrawal up to then.
        threshold: the lowest comparison score that matches, as the zone had it then.
        trigger: what lets the door embed a face.
        liveness_model: with which the door must examine faces, as the service does (`Liveness.detector_id`); empty in a
            zone without liveness.
        after_lease: what the door does when its lease has ended and it has no connection.
        people: how many references it has.
        references_sha256: SHA-256 of the sealed references, which are sent with it.
    """

    lease_id: str
    site_id: SiteId
    purpose: Purpose
    holder: str
    generation: int
    term_seconds: int
    issued_at: datetime
    model_id: ModelId
    threshold: float
    trigger: Trigger
    people: int
    references_sha256: str
    liveness_model: str = ""
    after_lease: AfterLease = AfterLease.CLOSED

    def to_json(self) -> dict[str, Any]:
        """Return the payload to sign."""
        return asdict(self) | {
            "version": LEASE.version,
            "issued_at": format_time(self.issued_at),
            "trigger": self.trigger.value,
            "after_lease": self.after_lease.value,
        }


@final
@dataclass(frozen=True, slots=True)
class LeaseDoor:
    """The door that asks for leases: by whose keys they must be signed, and what they must be for.

    Attributes:
        public_keys: of the site (``site.pub``), 32 bytes each.
        door_id: the id of its credential.
    """

    public_keys: tuple[bytes, ...]
    site_id: str
    purpose: Purpose
    door_id: str


def verify_lease(token: str, references: bytes, door: LeaseDoor) -> LeaseClaims:
    """Return what a lease says, after checking that this site gave it to this door of this zone.

    Raises:
        InputError: the token is malformed.
        TamperError: the signature is by none of these keys; or the lease is of another site or zone, for another door,
            or of other references.

    Not checked: the term, which the holder counts by itself (`LeaseTerm`).
    """
    claims = LEASE.verify(token, *door.public_keys)
    for what, got, expected in (
        ("site", claims.site_id, door.site_id),
        ("zone", claims.purpose, door.purpose),
        ("door", claims.holder, door.door_id),
        ("list of references", claims.references_sha256, sha256(references).hexdigest()),
    ):
        if not hmac.compare_digest(got.encode(), expected.encode()):
            raise TamperError(f"integrity: this lease is for another {what}; nothing is decided with it")
    return claims


def _read(document: dict[str, Any], _token: str) -> LeaseClaims:
    claims = LeaseClaims(
        lease_id=_hex(document["lease_id"]),
        site_id=SiteId(_text(document["site_id"])),
        purpose=check_purpose(_text(document["purpose"])),
        holder=_hex(document["holder"]),
        generation=_number(document["generation"]),
        term_seconds=_number(document["term_seconds"]),
        issued_at=parse_time(document["issued_at"]),
        model_id=ModelId(_text(document["model_id"])),
        threshold=float(document["threshold"]),
        trigger=Trigger(document["trigger"]),
        people=_number(document["people"]),
        references_sha256=_hex(document["references_sha256"]),
        liveness_model=_hex(document["liveness_model"]) if document["liveness_model"] else "",
        after_lease=AfterLease(document["after_lease"]),
    )
    is_good = MIN_LEASE_SECONDS <= claims.term_seconds <= MAX_LEASE_SECONDS and -1 <= claims.threshold <= 1
    if not is_good or claims.people > MAX_LEASED_PEOPLE or set(document) != {*asdict(claims), "version"}:
        raise ValueError
    return claims


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise InputError("expected text")
    return value


def _hex(value: object) -> str:
    text = _text(value)
    if not _HEX.fullmatch(text):
        raise InputError("expected hexadecimal digits")
    return text


def _number(value: object) -> int:
    if type(value) is not int or value < 0:
        raise InputError("expected a whole number")
    return value


LEASE: Final = SignedDocument(
    typ="volens-lease+jws",
    name="a lease",
    advice="ask the service for another one",
    read=_read,
)
