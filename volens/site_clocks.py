"""What a site does about time, in one place: `Site.clocks`."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, final

from volens.consent import EndReason, ErasureIncompleteError, NoLiveConsentError, ReceiptId, Zone, parse_purpose
from volens.erase import DUE_SOON, STALE_AFTER, DueReport, due, erase_consents, outliving
from volens.erase.proof import Erased
from volens.index import Galleries
from volens.rights import build_policy, policy_file
from volens.store import Store
from volens.store.people import shorten
from volens.store.people.deadlines import count_outliving, set_leaving
from volens.store.promises import shorten_retention


@final
class SiteClocks:
    """The clocks of one open site. `Site.sweep` ends what ran out."""

    def __init__(self, store: Store, galleries: Galleries, home: Path) -> None:
        """Work on what the site holds open."""
        self._store = store
        self._galleries = galleries
        self._home = home

    def due(self, within: timedelta = DUE_SOON) -> DueReport:
        """Return what a sweep would end now, and what comes due; changes nothing."""
        return due(self._store, within)

    def leave(
        self,
        receipt_ids: Sequence[ReceiptId],
        on: datetime | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> list[Erased]:
        """Note that a person leaves: matching ends at `on`; if that is now or past, what was allowed is erased.

        Args:
            receipt_ids: the person's consents; those that ended are passed over.
            on: aware; now if it is not given.
            progress: see `erase_consents`.

        Raises:
            NoLiveConsentError: none of them is in force.
            RefusedError: they were to leave earlier already.
        """
        now = self._store.now()
        at = now if on is None else on
        with self._store.write() as tx:
            noted = [one for one in receipt_ids if set_leaving(tx, one, at)]
        if not noted:
            raise NoLiveConsentError("no consent of this person is in force; nothing was changed")
        if at > now:
            return []
        return erase_consents(self._store, self._galleries, self._home, noted, EndReason.LEFT, progress)

    def shorten_retention(self, zone: str, retention_days: int) -> tuple[Zone, int]:
        """Shorten a zone's retention, for those whose consent is in force too; return the zone and how many those are.

        Raises:
            InputError: there is no such zone, or not a number of days.
            RefusedError: it is not shorter.
        """
        with self._store.write() as tx:
            shortened = shorten_retention(tx, parse_purpose(zone), retention_days)
            return shortened, shorten(tx, purpose=shortened.purpose)

    def alarm(self, grace: timedelta = STALE_AFTER) -> ErasureIncompleteError | None:
        """Return what must be told if anything outlives its clock by more than `grace`, read from the facts."""
        counts = outliving(self._store, grace)
        reasons = ", ".join(f"{count} {reason.value}" for reason, count in counts.items())
        return _alarm(sum(counts.values()), grace, f" ({reasons})") if counts else None

    def quick_alarm(self, grace: timedelta = STALE_AFTER) -> ErasureIncompleteError | None:
        """Return the same by the rows alone: cheap enough for every opening."""
        with self._store.read() as connection:
            count = count_outliving(connection, self._store.now() - grace)
        return _alarm(count, grace, "") if count else None

    def quick_due(self, within: timedelta = DUE_SOON) -> tuple[int, int]:
        """Return how many consents ran out, and how many more will, by the rows alone: without inactivity."""
        now = self._store.now()
        with self._store.read() as connection:
            past, soon = (count_outliving(connection, at + timedelta(seconds=1)) for at in (now, now + within))
        return past, soon - past

    def policy(self) -> dict[str, Any]:
        """Return the site's retention policy, generated from its configuration."""
        return build_policy(self._store)

    def signed_policy(self) -> bytes:
        """Return the policy as a file that everybody with the site's public key can check."""
        return policy_file(self._store)


def _alarm(count: int, grace: timedelta, reasons: str) -> ErasureIncompleteError:
    hours = grace // timedelta(hours=1)
    return ErasureIncompleteError(
        f"{count} consents outlive their clock by more than {hours} hours{reasons}; nobody is matched by them, but "
        "their data is still here; run 'volens sweep', and once a day from now on"
    )
