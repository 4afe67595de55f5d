"""The jurisdictions for whose people a site says in public what holds: its policy must not leave one of them out.

Those that the controller declared (`SiteFact.JURISDICTIONS`), or all that have a profile. They do not follow from the
consents in force: a policy must be there before the first person is asked (740 ILCS 14/15(a)), and a public page that
changes with a consent, or with its end, would tell of a person.
"""

from collections.abc import Collection, Iterator, Mapping

from sqlalchemy import Connection, select

from volens.consent import InputError, RefusedError, UnverifiedReceipt
from volens.consent.declarations import SiteFact, declared_jurisdictions
from volens.consent.law import ProfileCatalogue
from volens.consent.reason import Reason
from volens.store.promises.site_profiles import profiles_of_site
from volens.store.schema import data_tables as tables

_live, _invitation = tables.live_consent.c, tables.invitation.c


def stated_jurisdictions(facts: Mapping[SiteFact, str], catalogue: ProfileCatalogue) -> tuple[str, ...]:
    """Return the codes for which the site states what holds, from what was declared about it."""
    declared = facts.get(SiteFact.JURISDICTIONS)
    if declared is None:
        return tuple(one.code for one in catalogue.profiles)
    return declared_jurisdictions(declared)


def refuse_not_stated(connection: Connection, facts: Mapping[SiteFact, str], jurisdiction: str) -> None:
    """Check that the site states what holds for a person, before that person is asked or recorded.

    Raises:
        RefusedError: the controller declared other jurisdictions, or no profile covers it.
    """
    catalogue = profiles_of_site(connection)
    if SiteFact.JURISDICTIONS in facts and not _covers(catalogue, stated_jurisdictions(facts, catalogue), jurisdiction):
        raise RefusedError(
            f"this site asks people of {facts[SiteFact.JURISDICTIONS]} only, and its policy states nothing for people "
            f"of {jurisdiction}; 'volens declare site jurisdictions' changes that",
            reason=Reason.JURISDICTION_NOT_STATED,
        )


def refuse_to_leave_out(connection: Connection, declared: str) -> None:
    """Check a new declaration: every code has a profile, and all people with a consent or invitation are covered.

    Raises:
        RefusedError: one of the codes has no profile, or people of another jurisdiction are here.
    """
    codes, catalogue = declared_jurisdictions(declared), profiles_of_site(connection)
    for code in codes:
        catalogue.profile_of(code)
    left_out = sorted({one for one in _of_people(connection) if not _covers(catalogue, codes, one)})
    if left_out:
        raise RefusedError(
            f"there are people of {', '.join(left_out)} with a consent or an invitation; name their jurisdictions too"
        )


def _covers(catalogue: ProfileCatalogue, stated: Collection[str], person: str) -> bool:
    """Return whether the profile by which a person signs is that of a stated code."""
    return catalogue.profile_of(person).code in {catalogue.profile_of(code).code for code in stated}


def _of_people(connection: Connection) -> Iterator[str]:
    """Yield the jurisdiction of each consent in force and each open invitation. Reads all of them."""
    receipts = tables.receipt.join(tables.live_consent, tables.receipt.c.receipt_id == _live.receipt_id)
    for token in connection.scalars(select(tables.receipt.c.token).select_from(receipts)):
        try:
            yield UnverifiedReceipt.parse(token.encode("utf-8")).claims.jurisdiction
        except InputError:
            continue  # a damaged receipt, which `doctor` reports
    yield from connection.scalars(select(_invitation.jurisdiction).where(_invitation.ended_at.is_(None)).distinct())
