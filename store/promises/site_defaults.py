"""Defaults of a site: zone, jurisdiction and time zone, used if none is given, and the public URL of the pages.

A default is chosen where a person is asked, so it is sealed with the rows of the site, and each change is in the log.
What is stored and logged is always UTC; the time zone is for texts, and for times that people type, such as ``18:00``.
"""

import zoneinfo
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, final

from sqlalchemy import func, insert, select

from volens.consent import InputError, parse_purpose
from volens.consent.jurisdiction import parse_jurisdiction
from volens.consent.reason import Reason
from volens.consent.relying_party import RelyingParty
from volens.consent.zone import ZoneState
from volens.store.promises.zones_and_notices import inspect_zones
from volens.store.row_seals import seals_of
from volens.store.schema import data_tables as tables
from volens.store.schema.authenticated import Scope
from volens.store.store import Store
from volens.store.transaction import Transaction

UTC_NAME: Final = "UTC"


@final
@dataclass(frozen=True, slots=True)
class SiteDefaults:
    """The defaults that are set; None where none is."""

    zone: str | None
    jurisdiction: str | None
    time_zone: str | None
    public_url: str | None


@final
class Defaults:
    """The defaults of one site."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def get(self) -> SiteDefaults:
        """Return the defaults.

        Raises:
            TamperError: the rows of the site do not verify.
        """
        with self._store.read() as connection:
            rows = seals_of(connection).site(connection).records(tables.site_default)
        newest = {row["name"]: row["value"] for row in sorted(rows, key=lambda row: int(row["number"]))}
        return SiteDefaults(
            newest.get("zone"), newest.get("jurisdiction"), newest.get("time_zone"), newest.get("public_url")
        )

    def set(
        self,
        *,
        zone: str | None = None,
        jurisdiction: str | None = None,
        time_zone: str | None = None,
        public_url: str | None = None,
    ) -> SiteDefaults:
        """Set some defaults; None leaves one as it is. A zone need not exist yet.

        Raises:
            InputError: none is given, or one is not valid.
        """
        given = self.check(zone=zone, jurisdiction=jurisdiction, time_zone=time_zone, public_url=public_url)
        with self._store.write() as tx:
            _add(tx, given)
        return self.get()

    @staticmethod
    def check(
        *, zone: str | None, jurisdiction: str | None, time_zone: str | None, public_url: str | None = None
    ) -> dict[str, str]:
        """Return those that are given, if all of them are valid; see `set`."""
        if public_url is not None:
            public_url = RelyingParty.parse(public_url).origin
        values = {"zone": zone, "jurisdiction": jurisdiction, "time_zone": time_zone, "public_url": public_url}
        given = {name: value for name, value in values.items() if value is not None}
        if not given:
            raise InputError("got no default to set; give a zone, a jurisdiction, a time zone or a public URL")
        if zone is not None:
            parse_purpose(zone)
        if jurisdiction is not None:
            parse_jurisdiction(jurisdiction)
        if time_zone is not None:
            parse_time_zone(time_zone)
        return given

    def zone(self, given: str | None) -> str:
        """Return the zone that was given, the default, or the only one of the site.

        Raises:
            InputError: there are several zones, or none.
        """
        if given is not None or (given := self.get().zone) is not None:
            return given
        with self._store.read() as connection:
            known = [one.purpose for one, _ in inspect_zones(connection) if one.state is not ZoneState.REMOVED]
        if len(known) == 1:
            return known[0]
        names = ", ".join(known) or "none yet; add one with 'volens zone add'"
        raise InputError(f"pass --zone (zones: {names}), or set a default with 'volens defaults set --zone ZONE'")

    def jurisdiction(self, given: str | None) -> str:
        """Return the jurisdiction that was given, or the default.

        Raises:
            InputError: there is no default.
        """
        if given is not None or (given := self.get().jurisdiction) is not None:
            return given
        raise InputError(
            "pass --jurisdiction, or set a default with 'volens defaults set --jurisdiction FR'",
            reason=Reason.NO_JURISDICTION,
        )

    def time_zone(self) -> zoneinfo.ZoneInfo:
        """Return the time zone of the site: the one that was set, or UTC."""
        return parse_time_zone(self.get().time_zone or UTC_NAME)

    def public_url(self) -> RelyingParty | None:
        """Return the address of the site's pages, to which passkeys are bound; None if none was set."""
        found = self.get().public_url
        return None if found is None else RelyingParty(found)

    def address_for_links(self) -> RelyingParty:
        """Return the address of the site's pages.

        Raises:
            InputError: none was set.
        """
        found = self.public_url()
        if found is None:
            raise InputError(
                "this site has no public URL, so no link can be made; set the address of its pages with "
                "'volens defaults set --public-url https://HOST'",
                reason=Reason.NO_PUBLIC_URL,
            )
        return found


def parse_time_zone(name: str) -> zoneinfo.ZoneInfo:
    """Return a time zone by its IANA name, such as ``Europe/Paris``.

    Raises:
        InputError: this machine knows no such time zone.
    """
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise InputError(
            f"this machine knows no time zone {name[:40]!r}; expected a name such as Europe/Paris (IANA)"
        ) from None


def _add(tx: Transaction, given: Mapping[str, str]) -> None:
    newest = tx.connection.scalar(select(func.max(tables.site_default.c.number)))
    first = 0 if newest is None else newest + 1
    rows = [
        {"number": number, "name": name, "value": value, "set_at": tx.now}
        for number, (name, value) in enumerate(given.items(), first)
    ]
    with tx.changing(Scope.SITE, [seals_of(tx.connection).keyring.site_id]):
        tx.connection.execute(insert(tables.site_default), rows)
        tx.log("site.defaults_set", given)
