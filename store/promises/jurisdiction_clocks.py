"""The clocks that count here: those of the profile of a person's jurisdiction, and of several the shortest.

A jurisdiction whose profile is gone, because a site took its own back, gets the clocks of the general EU profile: an
evidence without a period would be kept for ever.
"""

from collections.abc import Iterable
from typing import Final

from sqlalchemy import Connection, select

from volens.consent import RefusedError
from volens.consent.law import Clocks, JurisdictionProfile, ProfileCatalogue, shortest
from volens.store.schema import data_tables as tables

_WITHOUT_PROFILE: Final = "EU"
_IN_USE: Final = select(tables.receipt.c.jurisdiction).distinct().order_by(tables.receipt.c.jurisdiction)


def profile_that_counts(jurisdiction: str, catalogue: ProfileCatalogue | None = None) -> JurisdictionProfile:
    """Return the profile of a jurisdiction; of one that no profile covers any more, the general one of the EU."""
    profiles = catalogue or ProfileCatalogue()
    try:
        return profiles.profile_of(jurisdiction)
    except RefusedError:
        return profiles.get(_WITHOUT_PROFILE)


def clocks_of(jurisdiction: str) -> Clocks:
    """Return the clocks that count for a person of this jurisdiction."""
    return profile_that_counts(jurisdiction).clocks


def jurisdictions_in_use(connection: Connection) -> list[str]:
    """Return the jurisdictions of all receipts that are kept, of consents in force and ended, in order."""
    return list(connection.scalars(_IN_USE))


def shortest_clocks(jurisdictions: Iterable[str]) -> Clocks:
    """Return of each clock the shortest of some jurisdictions; of none, the clocks of the general EU profile."""
    found = {one.code: one.clocks for one in map(profile_that_counts, jurisdictions)}
    return shortest(sorted(found.items())) if found else profile_that_counts(_WITHOUT_PROFILE).clocks


def shortest_of_all() -> Clocks:
    """Return of each clock the shortest of all profiles: nothing is deleted before, whatever the jurisdiction was."""
    return shortest((one.code, one.clocks) for one in ProfileCatalogue().profiles)
