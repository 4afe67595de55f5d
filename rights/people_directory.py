"""Directory of people: lists the consents in force with names, finds people by a part of the name, shows one person.

For the desk, the operator and the privacy officer. Every call is bound to a zone where the caller is, and recorded
before a name is returned (`volens.store.people.disclosures`): the log says who looked, for which zone and at how many
people, and each person shown finds the day and the reader in the answer to an access request. If the record cannot be
written, no name is returned.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, final

from sqlalchemy import Connection

from volens.consent import DataSubjectId, EndReason, InputError, NoLiveConsentError, Purpose, ReceiptId
from volens.consent.typed_text import comparison_key
from volens.erase import certificates_of
from volens.store import Store
from volens.store.batches import batches
from volens.store.people.consents import consent_ended
from volens.store.people.disclosures import COMMAND_LINE, add_disclosures
from volens.store.people.people_list import (
    PAGE,
    ConsentFilter,
    ListedConsent,
    consent_ids,
    listed_consents,
    open_names,
    receipts_of_person,
)
from volens.store.promises import zone_of

MAX_FOUND: Final = 200
"""The most people that a search returns."""
MAX_DAYS: Final = 3660
ENDING_DAYS: Final = 30
_EVERYONE: Final = ConsentFilter()


@final
@dataclass(frozen=True, slots=True)
class PersonEntry:
    """A consent in force, with the name of the person; None if the name does not open."""

    name: str | None
    consent: ListedConsent


@final
@dataclass(frozen=True, slots=True)
class PeoplePage:
    """A part of a list; `last` is the receipt id after which the next page begins, None at the end."""

    entries: tuple[PersonEntry, ...]
    last: ReceiptId | None


@final
@dataclass(frozen=True, slots=True)
class PeopleCounts:
    """How many consents in force there are, without names; a consent can count in several members.

    Attributes:
        consented: without photos.
        enrolled: with a reference or a badge.
        restricted: paused by the person.
        ending: end within `ENDING_DAYS`.
    """

    consented: int
    enrolled: int
    restricted: int
    ending: int

    @property
    def total(self) -> int:
        """All consents in force."""
        return self.consented + self.enrolled


@final
@dataclass(frozen=True, slots=True)
class FoundPeople:
    """The result of a search.

    Attributes:
        entries: at most `MAX_FOUND`, by name.
        has_more: more people have such a name; search for a longer part.
        unopened: how many names did not open, and so were not compared.
    """

    entries: tuple[PersonEntry, ...]
    has_more: bool
    unopened: int


@final
@dataclass(frozen=True, slots=True)
class EndedConsent:
    """A consent that has ended: its receipt is kept as evidence, without a name.

    `certificate_id` is None while the erasure is not finished.
    """

    receipt_id: ReceiptId
    purpose: Purpose
    reason: EndReason
    ended_at: datetime
    certificate_id: str | None


@final
@dataclass(frozen=True, slots=True)
class PersonRecord:
    """One person: the consents in force, each with the name given for it, and those that have ended."""

    subject_id: DataSubjectId
    in_force: tuple[PersonEntry, ...]
    ended: tuple[EndedConsent, ...]


@final
class PeopleDirectory:
    """The directory of one site.

    `zone` bounds what the caller may see; None for all. `shown_to` is the id of the caller, for the record.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def page(
        self,
        wanted: ConsentFilter = _EVERYONE,
        *,
        after: str = "",
        limit: int = PAGE,
        shown_to: str = COMMAND_LINE,
    ) -> PeoplePage:
        """Return up to `limit` (1 to 500) consents of a filter with names, by receipt id, after a receipt id.

        Raises:
            UnknownError: there is no such zone.
            UnavailableError: the record cannot be written.
        """
        with self._store.read() as connection:
            self._check_zone(connection, wanted.zone)
            ids = consent_ids(connection, wanted, after=after, limit=limit + 1)
            of_page = ids[:limit]
            found = listed_consents(connection, of_page, self._store.now())
        entries = self._shown(_with_names(found, open_names(self._store, of_page)), shown_to, wanted.zone, "list")
        return PeoplePage(tuple(entries), of_page[-1] if len(ids) > limit else None)

    def counts(self, zone: Purpose | None = None) -> PeopleCounts:
        """Count the consents in force of a zone, or of all. No name is opened, so nothing is recorded.

        Raises:
            UnknownError: there is no such zone.
        """
        everyone = ConsentFilter(zone=zone)
        filters = {
            "consented": replace(everyone, is_enrolled=False),
            "enrolled": replace(everyone, is_enrolled=True),
            "restricted": replace(everyone, is_restricted=True),
            "ending": self.ends_within(ENDING_DAYS, everyone),
        }
        with self._store.read() as connection:
            self._check_zone(connection, zone)
            return PeopleCounts(**{name: len(consent_ids(connection, one)) for name, one in filters.items()})

    def everyone(
        self,
        wanted: ConsentFilter = _EVERYONE,
        *,
        shown_to: str = COMMAND_LINE,
        progress: Callable[[int, int], None] = lambda _done, _total: None,
    ) -> list[PersonEntry]:
        """Return all consents of a filter with names, by zone and name; one record for the whole list.

        Raises:
            UnknownError, UnavailableError: as `page`.
        """
        with self._store.read() as connection:
            self._check_zone(connection, wanted.zone)
            ids = consent_ids(connection, wanted)
        entries: list[PersonEntry] = []
        for batch in batches(ids, PAGE):
            progress(len(entries), len(ids))
            with self._store.read() as connection:
                found = listed_consents(connection, batch, self._store.now())
            entries += _with_names(found, open_names(self._store, batch))
        shown = self._shown(entries, shown_to, wanted.zone, "list")
        return sorted(
            shown, key=lambda one: (one.consent.purpose, comparison_key(one.name or ""), one.consent.receipt_id)
        )

    def find(
        self,
        part: str,
        *,
        zone: Purpose | None = None,
        shown_to: str = COMMAND_LINE,
        progress: Callable[[int, int], None] = lambda _done, _total: None,
    ) -> FoundPeople:
        """Return the people whose name contains a text, compared by `volens.consent.typed_text.comparison_key`.

        Names are sealed, so all of them are opened, 500 at a time; those that do not match are not kept.

        Raises:
            InputError: the text is empty.
            UnknownError: there is no such zone.
            UnavailableError: the record cannot be written.

        Not checked: other spellings, such as a name without its accents.
        """
        sought = comparison_key(part)
        if not sought:
            raise InputError("got an empty text to search for; give a part of the name")
        with self._store.read() as connection:
            self._check_zone(connection, zone)
            ids = consent_ids(connection, ConsentFilter(zone=zone))
        names: dict[ReceiptId, str] = {}
        done = unopened = 0
        for batch in batches(ids, PAGE):
            progress(done, len(ids))
            opened = open_names(self._store, batch)
            names |= {one: name for one, name in opened.items() if sought in comparison_key(name)}
            done, unopened = done + len(batch), unopened + len(batch) - len(opened)
        chosen = sorted(names, key=lambda one: (comparison_key(names[one]), one))
        with self._store.read() as connection:
            found = listed_consents(connection, chosen[:MAX_FOUND], self._store.now())
        entries = self._shown(_with_names(found, names), shown_to, zone, "search")
        entries.sort(key=lambda one: (comparison_key(one.name or ""), one.consent.receipt_id))
        return FoundPeople(tuple(entries), len(chosen) > MAX_FOUND, unopened)

    def show(self, person: str, *, zone: Purpose | None = None, shown_to: str = COMMAND_LINE) -> PersonRecord:
        """Return all consents of a person, in force and ended, by the person's subject id or one of the receipt ids.

        Raises:
            NoLiveConsentError: no such person ever consented here, or not in this zone.
            UnavailableError: the record cannot be written.
        """
        with self._store.read() as connection:
            subject_id, zones = receipts_of_person(connection, person, zone)
            if not zones:
                raise NoLiveConsentError("no person of this id has consented here; see 'volens people find'")
            ids = consent_ids(connection, ConsentFilter(zone=zone, subject_id=subject_id))
            found = listed_consents(connection, ids, self._store.now())
            ended = _ended(connection, {one: where for one, where in zones.items() if one not in set(ids)})
        entries = self._shown(_with_names(found, open_names(self._store, ids)), shown_to, zone, "person")
        return PersonRecord(subject_id, tuple(entries), ended)

    def ends_within(self, days: int, wanted: ConsentFilter = _EVERYONE) -> ConsentFilter:
        """Return a filter narrowed to the consents that end within some days from now, 0 to 3660.

        Raises:
            InputError: it is another number of days.
        """
        if not 0 <= days <= MAX_DAYS:
            raise InputError(f"got {days} days; expected 0 to {MAX_DAYS}")
        return replace(wanted, ends_before=self._store.now() + timedelta(days=days, seconds=1))

    def _check_zone(self, connection: Connection, zone: Purpose | None) -> None:
        if zone is not None:
            zone_of(connection, zone)

    def _shown(
        self, entries: Sequence[PersonEntry], shown_to: str, zone: Purpose | None, how: str
    ) -> list[PersonEntry]:
        """Record that entries are shown, and return those whose consent has not been erased meanwhile."""
        with self._store.write() as tx:
            ids = [one.consent.receipt_id for one in entries]
            left = add_disclosures(tx, ids, shown_to=shown_to, zone=zone, how=how)
        return [one for one in entries if one.consent.receipt_id in left]


def _with_names(consents: Sequence[ListedConsent], names: dict[ReceiptId, str]) -> list[PersonEntry]:
    return [PersonEntry(names.get(one.receipt_id), one) for one in consents]


def _ended(connection: Connection, zones: dict[ReceiptId, Purpose]) -> tuple[EndedConsent, ...]:
    certificates = certificates_of(connection, list(zones))
    found = []
    for receipt_id, zone in zones.items():
        end, certificate = consent_ended(connection, receipt_id), certificates.get(receipt_id)
        if end is not None:
            certificate_id = None if certificate is None else certificate.certificate_id
            found.append(EndedConsent(receipt_id, zone, *end, certificate_id))
    return tuple(sorted(found, key=lambda one: (one.ended_at, one.receipt_id)))
