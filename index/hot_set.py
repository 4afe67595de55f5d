"""The hot set: what a decision needs of each person in a gallery, as stored and sealed, in memory of our own.

A decision opens a few references. Reading them from the databases took longer than the scan, and left wrapped secrets
and sealed embeddings in memory that the database driver frees without wiping it. Here each has a row in slabs that are
locked and wiped (`LockedMemory`): the wrapped grant secret and the sealed embedding byte for byte as stored, the end of
the consent, and what the seals are bound to. See docs/adr/0036.

1. A row is valid as long as the store's generation (`Store.generation`) is the one to which its gallery was levelled.
2. What an event may have changed is read again: `outdate` makes every row of an older snapshot a miss.
3. A row is overwritten with zeros as soon as its reference leaves the gallery. Rows are only kept of references that
   the gallery holds, so a reader of an older snapshot cannot bring one back.
4. The seal of the consent's rows and the receipt's signature are verified once for each row, when the row is filled
   in or when the person first matches. A row that is read again is verified again.
5. A miss is no error: the caller reads the reference from the store, and puts it here.
6. The memory is bounded. When it is full, a new row replaces the oldest one.
"""

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Final, final

from volens.consent import ModelId, Purpose, ReferenceId, TamperError, VolensError
from volens.index.hot_row import HotFacts, HotRow, facts_in, facts_of, row_bytes, write_receipt_until, write_row
from volens.index.row_map import RowMap
from volens.store import Store
from volens.store.files.locked_memory import LockedMemory
from volens.store.keys import KeyId, Keyring, Wrapped
from volens.store.log import log_size
from volens.store.people import SealedReference
from volens.store.people.consents import AuthenticConsent, inspect_consents
from volens.store.people.references import live_candidates, live_references_after

HOT_SET_BYTES: Final = 4 << 30
"""The default limit of the hot set of one gallery: 1.8 million people with 512 dimensions, 5.4 million with 128."""

_SLAB_BYTES: Final = 1 << 20
_READ_TOGETHER: Final = 64


@final
class HotSet:
    """The rows of one gallery. Thread-safe.

    Attributes:
        filled_to: the highest reference id that `fill` has read.
    """

    def __init__(
        self,
        purpose: Purpose,
        model_id: ModelId,
        dimension: int,
        holds: Callable[[ReferenceId], bool],
        limit_bytes: int = HOT_SET_BYTES,
    ) -> None:
        """Start empty. `holds` says whether the gallery has a reference; rows of others are not kept."""
        self.filled_to = ReferenceId(0)
        self._of = (purpose, model_id, dimension)
        self._holds = holds
        self._width = row_bytes(dimension)
        self._slab_rows = max(1, _SLAB_BYTES // self._width)
        self._limit = limit_bytes // self._width
        self._slabs: list[LockedMemory] = []
        self._rows = RowMap()
        self._free: list[int] = []
        self._next = 0
        self._oldest = 0
        self._outdated_before = 0
        self._to_read_again: list[ReferenceId] = []
        self._keys_epoch = 0
        self._lock = threading.Lock()
        self._spare: deque[HotRow] = deque()

    @contextmanager
    def borrowed_row(self) -> Generator[HotRow]:
        """Lend working memory to a decision; it is wiped afterwards."""
        try:
            row = self._spare.pop()
        except IndexError:
            row = HotRow(*self._of)
        try:
            yield row
        finally:
            row.wipe()
            self._spare.append(row)

    def read(self, reference_id: ReferenceId, into: HotRow) -> bool:
        """Copy a row; False if there is none, or if it must be read from the store again."""
        with self._lock:
            number = self._rows.get(reference_id)
            if number is None:
                return False
            into.copy[:] = self._row(number)
            into.facts = facts_in(into.copy)
            return into.facts.as_of >= self._outdated_before

    def add(self, reference: SealedReference, wrapped: Wrapped, as_of: int, receipt_until: int = 0) -> None:
        """Keep a reference as read in a snapshot of this generation, if the gallery holds it and no newer row is here.

        `receipt_until` is the end of the consent by its verified rows and receipt, if they were verified.
        """
        reference_id = reference.reference_id
        facts = facts_of(reference, wrapped, as_of)._replace(receipt_until=receipt_until)
        with self._lock:
            if not self._holds(reference_id):
                return
            number = self._rows.get(reference_id)
            if number is None:
                number = self._new_row()
                if number is None:
                    return
            else:
                known = facts_in(self._row(number))
                if known.as_of > as_of:
                    return
            if write_row(self._row(number), facts, wrapped, reference.sealed_embedding):
                self._rows.put(reference_id, number)
            else:
                self._rows.pop(reference_id)
                self._erase(number)

    def fill(self, store: Store, newest: ReferenceId) -> None:
        """Read the next references from the store, up to the newest of the gallery or until the set is full.

        Only one thread may call it.

        Raises:
            UnavailableError, TamperError: the store cannot be read.
        """
        purpose, model_id, _ = self._of
        again, self._to_read_again = self._to_read_again[:_READ_TOGETHER], self._to_read_again[_READ_TOGETHER:]
        with store.read_prepared() as snapshot:
            as_of = log_size(snapshot)
            if again:
                found = list(live_candidates(snapshot, purpose, model_id, again, store.now()).values())
            else:
                found = live_references_after(snapshot, purpose, model_id, self.filled_to, store.now())
            consents = inspect_consents(snapshot, [one.receipt.receipt_id for one in found])
        wrapped = store.keyring.wrapped([one.receipt.receipt_id for one in found])
        for reference in found:
            its = wrapped.get(reference.receipt.receipt_id)
            if its is not None:
                until = _verified_until(store, reference, consents.get(reference.receipt.receipt_id))
                self.add(reference, its, as_of, receipt_until=until)
            time.sleep(0)  # let other threads run: without this, each would wait for Python's switch interval
        if not again:
            self.filled_to = newest if not found or self._is_full() else found[-1].reference_id

    def needs_filling(self, keyring: Keyring, newest: ReferenceId) -> bool:
        """Return whether `fill` has something to do.

        After a change of keys these are also the rows whose grant secret is wrapped under a key that was destroyed.
        """
        if self._keys_epoch != (epoch := keyring.epoch):
            with keyring.unlocked.lock:
                held = keyring.unlocked.key_ids()
            self._to_read_again = [one for one, key_id in self._key_ids() if key_id not in held]
            self._keys_epoch = epoch
        return bool(self._to_read_again) or self.filled_to < newest

    def set_verified(self, verified: HotFacts, receipt_until: int) -> None:
        """Remember that rows and receipt of a consent were verified, and when it ends; not if a newer row is here."""
        with self._lock:
            number = self._rows.get(verified.number)
            if number is not None:
                row = self._row(number)
                if facts_in(row) == verified:
                    write_receipt_until(row, receipt_until)

    def outdate(self, generation: int) -> None:
        """Make every row that was read in a snapshot before this generation a miss."""
        with self._lock:
            self._outdated_before = max(self._outdated_before, generation)

    def remove(self, reference_id: ReferenceId) -> bool:
        """Overwrite a row with zeros; False if there is none."""
        with self._lock:
            number = self._rows.pop(reference_id)
            if number is not None:
                self._erase(number)
            return number is not None

    def wipe(self) -> None:
        """Overwrite everything with zeros, and give the memory back to the system; the set is empty then."""
        with self._lock:
            for slab in self._slabs:
                slab.close()
            self._slabs, self._rows, self._free = [], RowMap(), []
            self._next = self._oldest = 0
            self.filled_to = ReferenceId(0)

    def buffers(self) -> Iterator[memoryview]:
        """Yield the memory of the slabs, unused rows included, for an erasure to search."""
        with self._lock:
            slabs = list(self._slabs)
        for slab in slabs:
            yield slab.view

    def nbytes(self) -> int:
        """Return the memory that the set uses, in bytes."""
        with self._lock:
            return sum(len(slab.view) for slab in self._slabs) + self._rows.nbytes()

    def __len__(self) -> int:
        return len(self._rows)

    def _key_ids(self) -> Iterator[tuple[ReferenceId, KeyId]]:
        """Yield the key that wraps the secret of each row."""
        for slab in range(len(self._slabs)):
            with self._lock:
                rows = range(slab * self._slab_rows, min(self._next, (slab + 1) * self._slab_rows))
                facts = [facts_in(self._row(number)) for number in rows]
            for one in facts:
                if one.number:
                    yield one.reference_id, KeyId(one.bucket_id, one.key_number)
            time.sleep(0)  # as in `fill`

    def _is_full(self) -> bool:
        with self._lock:
            return self._next == self._limit and not self._free

    def _row(self, number: int) -> memoryview:
        slab, at = divmod(number, self._slab_rows)
        return self._slabs[slab].view[at * self._width : (at + 1) * self._width]

    def _new_row(self) -> int | None:
        """Return the number of a row to write: one that was erased, a new one, or at the limit the oldest.

        If the system has no memory for another slab, the limit is reached; None if there is not even one row.
        """
        if self._free:
            return self._free.pop()
        if self._next == len(self._slabs) * self._slab_rows < self._limit:
            try:
                self._slabs.append(LockedMemory(self._slab_rows * self._width))
            except (OSError, MemoryError):
                self._limit = self._next
        if self._next < self._limit:
            self._next += 1
            return self._next - 1
        if not self._limit:
            return None
        number, self._oldest = self._oldest, (self._oldest + 1) % self._limit
        self._rows.pop(facts_in(self._row(number)).number)
        return number

    def _erase(self, number: int) -> None:
        row = self._row(number)
        row[:] = bytes(len(row))
        self._free.append(number)


def _verified_until(store: Store, reference: SealedReference, consent: AuthenticConsent | TamperError | None) -> int:
    """Return when a consent ends by its verified rows and receipt; 0 if one does not verify: a match reports it."""
    if not isinstance(consent, AuthenticConsent):
        return 0
    try:
        term = reference.receipt.verified_until(store.site.controller.site_id, reference.receipt.purpose)
    except VolensError:
        return 0
    return math.floor(min(term, consent.ends_at).timestamp())
