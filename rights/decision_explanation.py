"""Explains to a person what the doors decided about them lately, and what would keep a door closed now (GDPR 15(1)(h)).

The person proves the consent with the receipt or the withdrawal code; the desk cannot ask. The answer has only what is
kept: visits by the minute, and the facts on which a decision depends. It contains no comparison score of a door,
because none is kept, and nothing about any other person.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, final

from volens.consent import Custody, EndReason, Purpose, ReceiptId, SecondFactor, Zone, format_time
from volens.consent.zone import ZoneState
from volens.rights.who_may_withdraw import consent_to_withdraw
from volens.store import Store
from volens.store.people.consents import consent_ended, stored_receipts
from volens.store.people.people_list import ConsentState, ListedConsent, listed_consents
from volens.store.people.second_factors import Factors
from volens.store.people.visits import KeptVisit, visits_since
from volens.store.promises import zone_of

LATELY: Final = timedelta(days=7)
"""How far back visits are told. The code on a lost sheet of paper must not show months of someone's ways; the answer to
an access request, handed over at the desk, has all visits that are kept."""

NOT_KEPT: Final = (
    "a face that matches no person leaves no record: whether a door saw you and did not recognise you is not known",
    "no comparison score of a door is kept, of you or of anyone else; neither are the face at the door and the photos",
    "visits are kept by the minute, and only the first one of each minute",
)


class Closed(StrEnum):
    """What keeps a door closed for a person."""

    ENDED = "ended"
    ZONE_PAUSED = "zone_paused"
    DAMAGED = "damaged"
    CLOCK = "clock"
    RESTRICTED = "restricted"
    NOT_ENROLLED = "not_enrolled"
    SHOW_KEY = "show_key"
    FACTOR_MISSING = "factor_missing"
    FACTOR_LOCKED = "factor_locked"


@final
@dataclass(frozen=True, slots=True)
class ClosedReason:
    """A reason; `value` is the clock that ended, the kind of the factor that is missing, or until when it is locked."""

    kind: Closed
    value: str = ""


_OF_STATE: Final = {
    ConsentState.DAMAGED: Closed.DAMAGED,
    ConsentState.ENDED: Closed.CLOCK,
    ConsentState.RESTRICTED: Closed.RESTRICTED,
    ConsentState.CONSENTED: Closed.NOT_ENROLLED,
}

_TO_THE_PERSON: Final = {
    Closed.ENDED: "your consent has ended: no door recognises you, and your face data is erased",
    Closed.ZONE_PAUSED: "the operator has paused this zone: no one is recognised there at present",
    Closed.DAMAGED: "the record of your consent was changed by another program: closed until the site restores it",
    Closed.CLOCK: "your consent ended by itself ({}); the data is erased by the next sweep",
    Closed.RESTRICTED: "you have paused your consent: nothing is matched until you resume it with your code or receipt",
    Closed.NOT_ENROLLED: "you are not enrolled yet: there are no photos of you to compare with",
    Closed.SHOW_KEY: "in this zone a door decides only if you also show your secret or badge",
    Closed.FACTOR_MISSING: "this zone requires a second factor ({}), and none is set for you: ask at the desk",
    Closed.FACTOR_LOCKED: "after too many wrong PINs the door is locked for you until {}",
}


@final
@dataclass(frozen=True, slots=True)
class Explanation:
    """What is known about a consent and the doors of its zone.

    Attributes:
        ended: why and when the consent ended; None while it is in force.
        closed_because: what would keep a door closed for this person now, in sentences; empty if nothing would.
        visits: of the last seven days, the newest first; empty if the zone keeps none.
        match_history_days: how long the zone keeps visits; 0 keeps none.
        not_kept: what no one can tell, and why.
    """

    zone: Purpose
    ended: tuple[EndReason, datetime] | None
    closed_because: tuple[str, ...]
    visits: tuple[KeptVisit, ...]
    since: datetime
    match_history_days: int
    not_kept: tuple[str, ...] = NOT_KEPT


def explain_decisions(store: Store, *, receipt: bytes | None = None, code: str | None = None) -> Explanation:
    """Explain the decisions of the doors to the holder of a receipt (take-home file or bare JWS) or withdrawal code.

    Raises:
        InputError: both or neither are given, or the code is malformed.
        NoLiveConsentError: no such consent was ever given here.
        ReceiptError, TamperError: the receipt is malformed, or was not signed by the person who gave the consent.
    """
    now = store.now()
    with store.read() as connection:
        receipt_id = consent_to_withdraw(connection, receipt, code)
        (stored,) = stored_receipts(connection, [receipt_id]).values()
        zone = zone_of(connection, stored.purpose)
        ended = consent_ended(connection, receipt_id)
        consents = listed_consents(connection, [receipt_id], now)
        visits = visits_since(connection, receipt_id, now - LATELY)
    reasons = closed_reasons(store, zone, receipt_id, consents, ended, now)
    closed = tuple(_TO_THE_PERSON[one.kind].format(one.value) for one in reasons)
    return Explanation(zone.purpose, ended, closed, tuple(visits), now - LATELY, zone.match_history_days)


def closed_reasons(
    store: Store,
    zone: Zone,
    receipt_id: ReceiptId,
    consents: list[ListedConsent],
    ended: tuple[EndReason, datetime] | None,
    now: datetime,
) -> Iterator[ClosedReason]:
    """Yield what would keep a door closed for the person of a consent now."""
    if ended is not None or not consents:
        yield ClosedReason(Closed.ENDED)
        return
    (consent,) = consents
    if zone.state is ZoneState.PAUSED:
        yield ClosedReason(Closed.ZONE_PAUSED)
    if (kind := _OF_STATE.get(consent.state)) is not None:
        yield ClosedReason(kind, consent.end_reason if kind is Closed.CLOCK else "")
    if zone.custody is not Custody.OPERATOR:
        yield ClosedReason(Closed.SHOW_KEY)
    if zone.second_factor is not SecondFactor.NONE:
        factor = Factors(store).of(receipt_id)
        if factor is None:
            yield ClosedReason(Closed.FACTOR_MISSING, zone.second_factor)
        elif factor.locked_until is not None and factor.locked_until > now:
            yield ClosedReason(Closed.FACTOR_LOCKED, format_time(factor.locked_until))
