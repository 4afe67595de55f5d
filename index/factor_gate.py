"""Enforces the second factor: in a zone that requires one, a match stays only with the factor of that same person.

Both ways to a match, 1:N and 1:1, pass through it, and what the zone requires comes from the store, not from the
caller. It only removes matches: with a factor no person matches whose face alone would not have matched.
"""

from collections.abc import Sequence
from dataclasses import replace

from volens.consent import Purpose, ReceiptId, SecondFactor, ShownFactor
from volens.index.match import Decision
from volens.store import Store
from volens.store.people.second_factors import badge_owner, pin_owner


def enforce_factor(
    store: Store, purpose: Purpose, required: SecondFactor, decisions: Sequence[Decision], factor: ShownFactor | None
) -> list[Decision]:
    """Return the decisions, without the matches that lack their second factor.

    1. If the zone requires none, or no face is known, they stay as they are. A stranger's guess is never compared.
    2. Without a factor a known face does not match, and the decision says that a factor is required.
    3. A factor belongs to one person: a badge number is looked up; a PIN is compared with those of the people in the
       frame, and must be the PIN of exactly one.
    4. That person's match stays; every other known face does not match.

    `required` is what the store says of the zone. The factor is of this kind; it is read, and the caller wipes it.

    Raises:
        UnavailableError: the store cannot be written, and a try of a PIN must be counted before it is compared.
        TamperError: the row of a badge number is not that person's.
    """
    # 1.
    known = list(dict.fromkeys(one.match.receipt_id for one in decisions if one.match))
    if required is SecondFactor.NONE or not known:
        return list(decisions)
    # 2.
    if factor is None:
        return [_match_of(None, one, refused=False) for one in decisions]
    # 3.
    if required is SecondFactor.BADGE:
        owner = badge_owner(store, purpose, factor)
    else:
        owner = pin_owner(store, purpose, known, factor)
    # 4.
    return [_match_of(owner, one, refused=True) for one in decisions]


def _match_of(owner: ReceiptId | None, decision: Decision, *, refused: bool) -> Decision:
    """Return a decision without its match, unless it is the owner of the factor who matches."""
    if decision.match is None or decision.match.receipt_id == owner:
        return decision
    return replace(
        decision,
        match=None,
        factor_required=not refused,
        factor_refused=refused,
        undisclosed_reference_id=decision.match.reference_id,
    )
