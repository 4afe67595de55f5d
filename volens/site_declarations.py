"""`Site.declarations`: facts that only people know, about the controller and each zone, for notices and papers."""

from collections.abc import Mapping
from typing import final

from volens.consent import parse_purpose
from volens.consent.declarations import SiteFact, ZoneFact, parse_fact
from volens.consent.processing_record import ProcessingRecord
from volens.store import Store
from volens.store.promises import processing_record, zone_of
from volens.store.promises.declared_facts import declare_site_facts, declare_zone_facts, site_facts, zone_facts


@final
class SiteDeclarations:
    """The declarations of one open site; see `volens.consent.declarations`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def of_site(self) -> dict[SiteFact, str]:
        """Return what is declared about the controller.

        Raises:
            TamperError: the rows of the site do not verify.
        """
        with self._store.read() as connection:
            return site_facts(connection)

    def of_zone(self, name: str) -> dict[ZoneFact, str]:
        """Return what is declared about a zone.

        Raises:
            InputError: there is no such zone.
            TamperError: its rows do not verify.
        """
        with self._store.read() as connection:
            return zone_facts(connection, zone_of(connection, parse_purpose(name)).purpose)

    def record(self, zone: str, jurisdiction: str) -> ProcessingRecord:
        """Return what holds now for people of a jurisdiction in a zone; see `volens.store.promises.processing_record`.

        Raises:
            InputError: there is no such zone, or the jurisdiction is not a code.
            RefusedError: no profile covers the jurisdiction.
            TamperError: rows of the zone or of the site do not verify.
        """
        with self._store.read() as connection:
            return processing_record(connection, self._store.site.controller, parse_purpose(zone), jurisdiction)

    def declare(self, facts: Mapping[str, str]) -> dict[SiteFact, str]:
        """Declare facts about the controller, by their names; an empty text takes one back. Return all that hold now.

        Raises:
            InputError: none is given, or a name or value is not valid; nothing was stored.
            RefusedError: all of them are declared so already.
        """
        given = {parse_fact(SiteFact, name): text for name, text in facts.items()}
        with self._store.write() as tx:
            return declare_site_facts(tx, given)

    def declare_zone(self, zone: str, facts: Mapping[str, str]) -> dict[ZoneFact, str]:
        """Declare facts about a zone; as `declare`.

        Raises:
            InputError: there is no such zone, none is given, or a name or value is not valid; nothing was stored.
            RefusedError: all of them are declared so already, or the zone was removed.
        """
        given = {parse_fact(ZoneFact, name): text for name, text in facts.items()}
        with self._store.write() as tx:
            return declare_zone_facts(tx, parse_purpose(zone), given)
