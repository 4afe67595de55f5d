"""`Site.offers`: how many people were asked in a zone, how and in which language, and how many said no.

An offer is an entry of the audit log: zone, way, language and who asked. A no is an entry with the zone alone. No
list of people who said no exists, and none can be made from the entries: a refusal has no language and no way.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, final

from volens.consent import Purpose, parse_purpose
from volens.consent.alternative import Alternative
from volens.consent.refusal import sign_refusal
from volens.index import Installation
from volens.store import Transaction
from volens.store.log.audit_log import entries_about_no_person
from volens.store.log.remembrance import INVITATION_REFUSED
from volens.store.people.consents_in_force import count_live
from volens.store.people.disclosures import COMMAND_LINE
from volens.store.people.invitation_rows import SENT
from volens.store.promises import zone_of
from volens.store.promises.declared_facts import zone_facts

OFFERED: Final = "consent.offered"
REFUSED: Final = "offer.refused"


class OfferWay(StrEnum):
    """How a person was asked."""

    DESK = "desk"
    """At the desk, which made the key or passed the offer on."""
    INVITATION = "invitation"
    """By the link of an invitation."""
    COMMAND = "command"
    """By a file that the person signs on their own machine."""


@final
@dataclass(frozen=True, slots=True)
class OfferCount:
    """How often people were asked in a zone in a month (UTC), in one way and language."""

    zone: str
    month: str
    way: str
    language: str
    count: int


@final
@dataclass(frozen=True, slots=True)
class ZoneComparison:
    """How the alternative of a zone fares beside the face.

    Attributes:
        people: consents in force now.
        asked: how often a person was asked; of one who was asked twice, both count.
        refused: how many said no.
        offers: the same as `asked`, by month, way and language.
    """

    zone: Purpose
    alternative_text: str
    people: int
    asked: int
    refused: int
    offers: tuple[OfferCount, ...]
    alternative: Alternative


def record_offer(tx: Transaction, zone: Purpose, way: OfferWay, language: str, offered_by: str = COMMAND_LINE) -> None:
    """Log that a person was asked. `offered_by` is the id of a credential, or ``command line``."""
    tx.log(OFFERED, {"zone": zone, "way": way.value, "language": language, "offered_by": offered_by})


@final
class Offers:
    """The offers of one site."""

    def __init__(self, installation: Installation) -> None:
        self._store = installation.store

    def refuse(self, zone: str, *, receipt_wanted: bool = False) -> bytes | None:
        """Count a no that a person said at the desk. Return a signed refusal receipt if the person wants one.

        The refusal of an invitation is `Invitations.refuse`, which deletes the invitation too.

        Raises:
            UnknownError: there is no such zone.
            RefusedError: the zone was removed.
        """
        purpose, store = parse_purpose(zone), self._store
        with store.write() as tx:
            zone_of(tx.connection, purpose).check_not_removed()
            tx.log(REFUSED, {"zone": purpose})
            if not receipt_wanted:
                return None
            return sign_refusal(store.keyring, store.site.controller, purpose, tx.random(16).hex(), tx.now)

    def compare(self, zone: str) -> ZoneComparison:
        """Return how the alternative of a zone fares. Cost: reads all entries of the log that are about no person.

        Raises:
            UnknownError: there is no such zone.
            TamperError: the rows of the zone, or an entry of the log, do not verify.
        """
        (found,) = self.compare_each([zone])
        return found

    def compare_each(self, zones: Sequence[str]) -> list[ZoneComparison]:
        """Return the same of several zones, with one look at the log."""
        asked: Counter[tuple[str, str, str, str]] = Counter()
        refused: Counter[str] = Counter()
        with self._store.read() as connection:
            for one in entries_about_no_person(connection):
                zone = str(one.details.get("zone"))
                if one.kind in {OFFERED, SENT}:
                    way = str(one.details.get("way", OfferWay.INVITATION))
                    asked[zone, f"{one.at:%Y-%m}", way, str(one.details["language"])] += 1
                elif one.kind in {REFUSED, INVITATION_REFUSED}:
                    refused[zone] += 1
            counts = [OfferCount(*key, count) for key, count in sorted(asked.items())]
            found = []
            for name in zones:
                its = zone_of(connection, parse_purpose(name))
                offers = tuple(one for one in counts if one.zone == its.purpose)
                found.append(
                    ZoneComparison(
                        zone=its.purpose,
                        alternative_text=its.alternative,
                        people=count_live(connection, its.purpose),
                        asked=sum(one.count for one in offers),
                        refused=refused[its.purpose],
                        offers=offers,
                        alternative=Alternative.of(zone_facts(connection, its.purpose)),
                    )
                )
        return found
