"""The visit in front of a kiosk between two frames: sealed, and kept by the page, not by the service.

A service with several workers needs no common memory for it. The page cannot read it, so it does not learn whether a
look found a person before the visit is decided.

1. It is sealed under a key of the site, for one kiosk, and ends by itself (`volens.store.programs.session_seals`).
2. It holds what `volens.identify.passage` keeps between looks: ids of references, times and counts.
3. A visit that is decided is not continued, but for a person who must still type a PIN.
4. No visit is continued in a zone that asks to turn the head: there the passed head turn is the whole visit.
"""

import json
from dataclasses import asdict
from datetime import timedelta
from typing import Final

from volens import Site
from volens.consent import ReferenceId, Zone
from volens.consent.json_reader import JsonError, read_json
from volens.identify import FaceVisit, VisitState
from volens.service.web.kiosk_decision import COME_IN, KioskAnswer, is_to_turn, new_visit

MAX_SEALED: Final = 2000
LOOKING_FOR: Final = timedelta(seconds=5)
"""How long the next frame may take: a visit that is older begins anew."""
FACTOR_FOR: Final = timedelta(seconds=60)
"""How long a recognised person may take to type a PIN; the page itself waits 30 s."""

_KIND: Final = "kiosk visit"
_PADDED: Final = 480
"""All visits are of this length, so that their length does not tell what a look found."""


def continued_visit(site: Site, zone: Zone, caller_id: str, sealed: str | None, at_s: float) -> FaceVisit:
    """Return the visit that a page sends with its next frame; a new one if that is none of this kiosk, or too old."""
    # 4.
    facts = None if not sealed or is_to_turn(zone) else site.programs.sessions.open(_KIND, sealed)
    if facts is None or (facts.get("zone"), facts.get("caller")) != (zone.purpose, caller_id):
        return new_visit(zone)
    try:
        kept = read_json(facts["visit"])
        visit = FaceVisit(**kept)
        visit.state = VisitState(visit.state)
        visit.recent = tuple(None if one is None else ReferenceId(one) for one in visit.recent)
    except (JsonError, KeyError, TypeError, ValueError):
        return new_visit(zone)  # of another version
    went_back = visit.looked_at is not None and at_s < visit.looked_at
    return new_visit(zone) if went_back else visit


def sealed_visit(site: Site, zone: Zone, caller_id: str, visit: FaceVisit, answer: KioskAnswer) -> str:
    """Return a visit for the page to send with its next frame; empty if it is over."""
    # 3. and 4.
    is_over = is_to_turn(zone) or answer.word == COME_IN or visit.state is VisitState.NOT_RECOGNISED
    if is_over or visit.looked_at is None:
        return ""
    facts = {"zone": zone.purpose, "caller": caller_id, "visit": json.dumps(asdict(visit)).ljust(_PADDED)}
    lifetime = FACTOR_FOR if visit.state is VisitState.RECOGNISED else LOOKING_FOR
    text, _ends_at = site.programs.sessions.seal(_KIND, facts, lifetime)
    return text
