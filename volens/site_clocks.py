"""`Site.clocks`: leaving dates, retention, and what the expiry clocks of consents say is due or overdue."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, final

from volens.consent import EndReason, ErasureIncompleteError, NoLiveConsentError, ReceiptId, Zone, parse_purpose
from volens.erase import DUE_SOON, STALE_AFTER, DueReport, due, erase_consents, outliving
from volens.erase.proof import Erased
from volens.index import Installation
from volens.rights import build_policy, policy_file
from volens.store.people import shorten
from volens.store.people.deadlines import count_outliving, set_leaving
from volens.store.promises import shorten_retention


@final
class SiteClocks:
    """The expiry clocks of one open site. `Site.sweep` erases the consents that a clock has ended."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._store = installation.store

    def due(self, within: timedelta = DUE_SOON) -> DueReport:
        """Return how many consents a sweep would end now and soon; changes nothing."""
        return due(self._store, within)

    def leave(
        self,
        receipt_ids: Sequence[ReceiptId],
        on: datetime | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> list[Erased]:
        """Record that a person leaves: matching ends at `on`. If that is now or past, the data is erased at once.

        Of the person's consents, those that ended are ignored. `on` is aware; the default is now.

        Raises:
            NoLiveConsentError: none of them is in force.
            RefusedError: an earlier leaving date is recorded already.
        """
        now = self._store.now()
        at = now if on is None else on
        with self._store.write() as tx:
            noted = [one for one in receipt_ids if set_leaving(tx, one, at)]
        if not noted:
            raise NoLiveConsentError("no consent of this person is in force; nothing was changed")
        if at > now:
            return []
        return erase_consents(self._installation, noted, EndReason.LEFT, progress)

    def shorten_retention(self, zone: str, retention_days: int) -> tuple[Zone, int]:
        """Shorten a zone's retention, also for consents in force; return the zone and how many of them end earlier.

        Raises:
            InputError: there is no such zone, or the number of days is not valid.
            RefusedError: the new retention is not shorter.
        """
        with self._store.write() as tx:
            shortened = shorten_retention(tx, parse_purpose(zone), retention_days)
            return shortened, shorten(tx, purpose=shortened.purpose)

    def alarm(self, grace: timedelta = STALE_AFTER) -> ErasureIncompleteError | None:
        """Return an error if consents outlive their clock by more than `grace`, computed from the recorded facts."""
        counts = outliving(self._store, grace)
        reasons = ", ".join(f"{count} {reason.value}" for reason, count in counts.items())
        return _alarm(sum(counts.values()), grace, f" ({reasons})") if counts else None

    def quick_alarm(self, grace: timedelta = STALE_AFTER) -> ErasureIncompleteError | None:
        """Return the same from the expiry column alone, which is cheap enough for every opening."""
        with self._store.read() as connection:
            count = count_outliving(connection, self._store.now() - grace)
        return _alarm(count, grace, "") if count else None

    def quick_due(self, within: timedelta = DUE_SOON) -> tuple[int, int]:
        """Return how many consents expired and how many will soon, from the expiry column alone: without inactivity."""
        now = self._store.now()
        with self._store.read() as connection:
            past, soon = (count_outliving(connection, at + timedelta(seconds=1)) for at in (now, now + within))
        return past, soon - past

    def policy(self) -> dict[str, Any]:
        """Return the site's retention policy, generated from its configuration."""
        return build_policy(self._store)

    def signed_policy(self) -> bytes:
        """Return the policy as a signed file, which can be checked with the site's public key."""
        return policy_file(self._store)


def _alarm(count: int, grace: timedelta, reasons: str) -> ErasureIncompleteError:
    hours = grace // timedelta(hours=1)
    return ErasureIncompleteError(
        f"{count} consents outlive their clock by more than {hours} hours{reasons}; they no longer match, but their "
        "data is still here; run 'volens sweep' now, and once a day from now on"
    )
