"""Stopped consents: consents that have ended for this process, in memory, whether or not a disk has recorded it yet.

A withdrawal must end matching even if nothing can be written. So the gate of every decision reads this set besides the
data file: a consent in it is not in force in this process, whatever its rows say. Nothing leaves the set before the
process ends: a decision that began before the commit, with an older snapshot, must not match the person after it.
"""

from collections.abc import Iterable
from typing import final


@final
class StoppedConsents:
    """The ids of receipts. Thread-safe: adding an id and asking for one are single operations of a set."""

    __slots__ = ("_ids",)

    def __init__(self) -> None:
        """Start empty."""
        self._ids = set[str]()

    def add(self, receipt_ids: Iterable[str]) -> None:
        """Stop consents; every decision that begins afterwards leaves them out."""
        self._ids.update(receipt_ids)

    def __contains__(self, receipt_id: object) -> bool:
        return receipt_id in self._ids

    def __len__(self) -> int:
        return len(self._ids)


@final
class PausedConsents:
    """The ids of receipts whose restriction (GDPR 18) is not recorded yet; this process does not match them.

    Thread-safe. An id leaves the set when the store has the restriction, which a decision reads, or when it is lifted.
    """

    __slots__ = ("_ids",)

    def __init__(self) -> None:
        """Start empty."""
        self._ids = set[str]()

    def add(self, receipt_ids: Iterable[str]) -> None:
        """Pause consents; every decision that begins afterwards leaves them out."""
        self._ids.update(receipt_ids)

    def discard(self, receipt_ids: Iterable[str]) -> None:
        """Let the rows of the store decide about these consents."""
        self._ids.difference_update(receipt_ids)

    def __contains__(self, receipt_id: object) -> bool:
        return receipt_id in self._ids

    def __len__(self) -> int:
        return len(self._ids)
