"""Minors: below the age of a profile a guardian signs beside the person, or the consent is refused.

A zone takes minors only if the operator declared so (`ZoneFact.MINORS`); `refused` is what holds without a word.
"""

from collections.abc import Mapping
from typing import Final

from volens.consent.age_statement import AgeAnswer, AgeStatement
from volens.consent.declarations import ZoneFact
from volens.consent.errors import InputError, RefusedError
from volens.consent.law.jurisdiction_profile import JurisdictionProfile
from volens.consent.law.law_terms import Guardian
from volens.consent.reason import Reason
from volens.consent.subject_key import SubjectPublicKey

TAKEN: Final = "guardian"
"""The value of `ZoneFact.MINORS` in a zone that takes minors."""


def state_age(
    profile: JurisdictionProfile,
    zone: str,
    facts: Mapping[ZoneFact, str],
    *,
    person: SubjectPublicKey,
    answer: AgeAnswer,
) -> AgeStatement:
    """Return the age statement for a receipt.

    Args:
        profile: of the person's jurisdiction.
        zone: its name.
        facts: what is declared about the zone.
        person: the key of the person.
        answer: whether the person is at least as old as the profile asks, as they say, and the guardian's key if not.

    Raises:
        InputError: a guardian is given for a person who is of age, or the key is not Ed25519.
        RefusedError: the person is under age, and the zone or the law does not take them, no guardian is named, or the
            guardian's key is the person's.

    Not checked: whether the answer is true, and who the guardian is; the operator is responsible for both.
    """
    minors, guardian = profile.minors, answer.guardian
    if answer.of_age:
        if guardian is not None:
            raise InputError("got a guardian for a person who says that they are of age; leave the guardian out")
        return AgeStatement(minors.consent_age, of_age=True)
    if minors.guardian is Guardian.REFUSED or facts.get(ZoneFact.MINORS) != TAKEN:
        by_zone = minors.guardian is not Guardian.REFUSED
        next_step = f", or answer with 'volens declare zone {zone} minors {TAKEN}'" if by_zone else ""
        raise RefusedError(
            f"zone {zone!r} takes no one younger than {minors.consent_age} years ({minors.source}); nothing was "
            f"recorded; let the person use the alternative{next_step}",
            reason=Reason.MINOR_REFUSED,
        )
    if guardian is None:
        raise RefusedError(
            f"a person younger than {minors.consent_age} years consents together with a guardian ({minors.source}); "
            "nothing was recorded; let the guardian sign too",
            reason=Reason.GUARDIAN_NEEDED,
        )
    if guardian.ed25519 is None:
        raise InputError("got a guardian's key that is not Ed25519; expected an Ed25519 key")
    if guardian == person:
        raise RefusedError("the guardian's key is the person's own; use a key of the guardian")
    return AgeStatement(minors.consent_age, of_age=False, guardian=guardian)
