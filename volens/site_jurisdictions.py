"""`Site.jurisdictions`: the jurisdiction profiles that ship with Volens, and those that the site adds."""

from typing import final

from volens.consent import RefusedError
from volens.consent.declarations import SiteFact
from volens.consent.law import JurisdictionProfile, ProfileCatalogue
from volens.index import Installation
from volens.store.people import shorten
from volens.store.promises import zones
from volens.store.promises.declared_facts import site_facts
from volens.store.promises.site_profiles import add_profile, profiles_of_site, remove_profile


@final
class SiteJurisdictions:
    """The jurisdiction profiles of one open site."""

    def __init__(self, installation: Installation) -> None:
        self._store = installation.store

    def catalogue(self) -> ProfileCatalogue:
        """Return all profiles.

        Raises:
            TamperError: the rows of the site do not verify.
        """
        with self._store.read() as connection:
            return profiles_of_site(connection)

    def add(self, data: bytes) -> JurisdictionProfile:
        """Add a profile from its TOML file, or replace the site's own of the same code; see `add_profile`.

        Consents in force end by its clocks, if those are shorter.
        """
        with self._store.write() as tx:
            added = add_profile(tx, data)
            shorten(tx)
            return added

    def remove(self, code: str) -> JurisdictionProfile:
        """Remove a profile that the site added; see `volens.store.promises.remove_profile`.

        Raises:
            InputError: the site added no profile of this code.
            RefusedError: the controller declared that people of a jurisdiction are asked that no profile would cover.
        """
        with self._store.write() as tx:
            removed, left = remove_profile(tx, code), profiles_of_site(tx.connection)
            declared = site_facts(tx.connection).get(SiteFact.JURISDICTIONS, "")
            uncovered = [one for one in declared.split(", ") if one and left.find(one) is None]
            if uncovered:
                names = ", ".join(uncovered)
                raise RefusedError(
                    f"'volens declare site jurisdictions' names {names}, and no other profile covers it; declare the "
                    "jurisdictions without it first"
                )
            return removed

    def closed_zones(self, profile: JurisdictionProfile) -> list[str]:
        """Return the zones whose custody a profile forbids: its people cannot be asked there."""
        with self._store.read() as connection:
            return [zone.purpose for zone in zones(connection) if zone.custody in profile.forbidden_custodies]
