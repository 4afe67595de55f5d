"""The gate of a zone that asks for something besides the face: a match passes it with the factor of that same person.

It stands behind both ways to a match, 1:N and 1:1, and asks the store what the zone asks for, not the caller. It only
ever takes matches away: with a factor nobody is matched whose face alone would not have been.
"""

from collections.abc import Sequence
from dataclasses import replace

from volens.consent import Purpose, ReceiptId, SecondFactor, ShownFactor
from volens.index.match import Decision
from volens.store import Store
from volens.store.people.second_factors import badge_owner, pin_owner


def with_factor(
    store: Store, purpose: Purpose, asked: SecondFactor, decisions: Sequence[Decision], shown: ShownFactor | None
) -> list[Decision]:
    """Return the decisions, without the matches that lack their second factor.

    1. Where the zone asks for none, or no face is known, they stay as they are. A stranger's guess is never looked at.
    2. A known face without anything shown is no match, and says that a factor is required.
    3. What was shown is one person's: a badge is looked up, a PIN compared with those of the people in the frame, and
       must be of exactly one.
    4. That person's match stays; every other known face is no match.

    Args:
        store: decides.
        purpose: the zone.
        asked: what it asks for, as the store says; `shown` is of this kind.
        decisions: about the faces of one frame.
        shown: read, never written. The caller wipes it.

    Raises:
        UnavailableError: the store cannot be written, and a try of a PIN must be counted before it is looked at.
        TamperError: a badge's row is not that person's.
    """
    # 1.
    known = list(dict.fromkeys(one.match.receipt_id for one in decisions if one.match))
    if asked is SecondFactor.NONE or not known:
        return list(decisions)
    # 2.
    if shown is None:
        return [_withheld(one, refused=False) for one in decisions]
    # 3.
    if asked is SecondFactor.BADGE:
        owner = badge_owner(store, purpose, shown)
    else:
        owner = pin_owner(store, purpose, known, shown)
    # 4.
    return [one if _is_of(one, owner) else _withheld(one, refused=True) for one in decisions]


def _is_of(decision: Decision, owner: ReceiptId | None) -> bool:
    return decision.match is not None and decision.match.receipt_id == owner


def _withheld(decision: Decision, *, refused: bool) -> Decision:
    if decision.match is None:
        return decision
    return replace(
        decision,
        match=None,
        factor_required=not refused,
        factor_refused=refused,
        withheld=decision.match.reference_id,
    )
