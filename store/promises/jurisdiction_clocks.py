"""The clocks that count here: those of the profile of a person's jurisdiction, and of several the shortest.

A jurisdiction whose profile is gone, because a site took its own back, gets the clocks of the general EU profile:
without a period, data would be kept for ever.
"""

from collections.abc import Iterable
from typing import Final, final

from sqlalchemy import Connection, bindparam, func, select

from volens.consent import RefusedError, TamperError
from volens.consent.law import Clocks, JurisdictionProfile, ProfileCatalogue, shortest
from volens.store.prepared_query import ReadSnapshot
from volens.store.promises.site_profiles import profiles_of_site
from volens.store.schema import data_tables as tables

_WITHOUT_PROFILE: Final = "EU"
_jurisdiction = tables.receipt.c.jurisdiction
_NEXT: Final = select(func.min(_jurisdiction)).where(_jurisdiction > bindparam("after"))


@final
class JurisdictionClocks:
    """The clocks of jurisdictions by a catalogue of profiles; each is looked up once."""

    def __init__(self, catalogue: ProfileCatalogue) -> None:
        self._catalogue = catalogue
        self._found: dict[str, JurisdictionProfile] = {}

    def of(self, jurisdiction: str) -> Clocks:
        """Return the clocks that count for a person of this jurisdiction."""
        return self._profile(jurisdiction).clocks

    def shortest(self, jurisdictions: Iterable[str]) -> Clocks:
        """Return of each clock the shortest of some jurisdictions; of none, the clocks of the general EU profile."""
        found = {one.code: one.clocks for one in map(self._profile, jurisdictions)}
        return shortest(sorted(found.items())) if found else self.of(_WITHOUT_PROFILE)

    def shortest_of_all(self) -> Clocks:
        """Return of each clock the shortest of all profiles: nothing is deleted before, wherever the person was."""
        return shortest((one.code, one.clocks) for one in self._catalogue.profiles)

    def _profile(self, jurisdiction: str) -> JurisdictionProfile:
        if jurisdiction not in self._found:
            try:
                found = self._catalogue.profile_of(jurisdiction)
            except RefusedError:
                found = self._catalogue.get(_WITHOUT_PROFILE)
            self._found[jurisdiction] = found
        return self._found[jurisdiction]


SHIPPED: Final = JurisdictionClocks(ProfileCatalogue())
"""By the shipped profiles alone, where the rows of the site may not be read."""


def clocks_in(connection: Connection | ReadSnapshot) -> JurisdictionClocks:
    """Return the clocks as the profiles of the site are now.

    If the rows of the site do not verify, they are those of the shipped profiles: that must not stop an end.
    """
    try:
        catalogue = profiles_of_site(connection)
    except TamperError:
        return SHIPPED
    return JurisdictionClocks(catalogue) if catalogue.has_own else SHIPPED


def jurisdictions_in_use(connection: Connection) -> list[str]:
    """Return the jurisdictions of all receipts that are kept, of consents in force and ended, in order.

    Cost: one search of an index for each, however many receipts there are.
    """
    found: list[str] = []
    while (one := connection.scalar(_NEXT, {"after": found[-1] if found else ""})) is not None:
        found.append(one)
    return found
