"""The sweep: consents whose time has run out are erased, begun erasures are finished, stray secrets destroyed."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final, final

from consent import EndReason
from erase.procedure import Erased, erase_consent, resume
from index import Galleries
from store import Store, live_receipts, unfinished

STRAY_AFTER: Final = timedelta(hours=1)
"""A secret is made just before its consent is recorded; after a crash between the two it belongs to nobody."""


@final
@dataclass(frozen=True, slots=True)
class SweepReport:
    """What a sweep did."""

    expired: tuple[Erased, ...]
    resumed: tuple[Erased, ...]
    stray_secrets: int


def _quiet(_done: int, _total: int) -> None:
    return


def sweep(store: Store, galleries: Galleries, home: Path, progress: Callable[[int, int], None] = _quiet) -> SweepReport:
    """Do all that is due now; what fails is left for the next sweep.

    Args:
        store: of the site.
        galleries: of this process.
        home: see `erase_consent`.
        progress: called with how many erasures are done, of how many.

    Raises:
        ErasureIncompleteError: an erasure could not be finished.
    """
    with store.read() as connection:
        begun = unfinished(connection)
        due = live_receipts(connection, expired_at=store.now())
    total = len(begun) + len(due)
    resumed, expired = [], []
    for done, receipt_id in enumerate(begun, start=1):
        resumed.append(resume(store, galleries, home, receipt_id))
        progress(done, total)
    for done, receipt_id in enumerate(due, start=len(begun) + 1):
        expired.append(erase_consent(store, galleries, home, receipt_id, EndReason.EXPIRED))
        progress(done, total)
    return SweepReport(tuple(expired), tuple(resumed), _destroy_stray_secrets(store))


def _destroy_stray_secrets(store: Store) -> int:
    kept = store.keyring.kept(store.now() - STRAY_AFTER)
    with store.read() as connection:
        stray = kept - set(live_receipts(connection))
    return sum(store.keyring.destroy(receipt_id) for receipt_id in stray)
