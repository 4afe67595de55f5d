"""The sweep: consents whose time has run out are erased, begun erasures are finished, stray secrets destroyed."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final, final

from consent import EndReason, ErasureIncompleteError
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
        progress: called with how many erasures have been tried, of how many.

    Raises:
        ErasureIncompleteError: an erasure could not be finished; all others were.
    """
    with store.read() as connection:
        begun = unfinished(connection)
        due = live_receipts(connection, expired_at=store.now())
    total = len(begun) + len(due)
    resumed: list[Erased] = []
    expired: list[Erased] = []
    stuck: ErasureIncompleteError | None = None
    for done, receipt_id in enumerate([*begun, *due], start=1):
        # One that is stuck must not keep the others from being erased; it is told of when all have been tried.
        try:
            if done <= len(begun):
                resumed.append(resume(store, galleries, home, receipt_id))
            else:
                expired.append(erase_consent(store, galleries, home, receipt_id, EndReason.EXPIRED))
        except ErasureIncompleteError as error:
            stuck = stuck or error
        progress(done, total)
    stray_secrets = _destroy_stray_secrets(store)
    if stuck is not None:
        raise stuck
    return SweepReport(tuple(expired), tuple(resumed), stray_secrets)


def _destroy_stray_secrets(store: Store) -> int:
    kept = store.keyring.kept(store.now() - STRAY_AFTER)
    with store.read() as connection:
        stray = kept - set(live_receipts(connection))
    return sum(store.keyring.destroy(receipt_id) for receipt_id in stray)
