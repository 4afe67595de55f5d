"""The erasure procedure: a journal of idempotent steps that ends consents and erases their data.

1. stopped: one transaction deletes the consents' rows, references, names and the openings of their audit leaves, logs
   that the consents ended, and opens the journal. From here on they no longer match.
2. shredded: the grant secrets are deleted from the keyring, and every key that wrapped them is destroyed: the keys of
   their buckets, the store key, and the root key if its holder answers (`volens.store.keys.key_change`). So no copy of
   the embeddings can be decrypted, and old copies of the keyring open with nothing that is left here.
3. removed: this process overwrites and zeroes the sketches in its galleries. Other processes get a short time to
   confirm the same; the number of confirmations is recorded, and which doors have given up their leases.
4. scrubbed: what is left of deleted rows is removed from both databases and from the memory of this process.
5. verified: the people are searched for by id, by gallery search and byte by byte. An erasure for which something is
   found stays at 4.
6. certified: a signed statement of what was destroyed and searched is added to the audit log, in one transaction.
7. notified: the certificate files are written.

One person is a batch of one. Steps 1 and 6 commit some hundred people at a time; steps 2 to 5 run once for a whole
batch. A step that was done but not recorded is repeated with the same result. Broken seals do not stop an erasure.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from typing import Any, Final, final

from volens.consent import (
    EndReason,
    ErasureIncompleteError,
    NoLiveConsentError,
    ReceiptId,
    ReferenceId,
    TamperError,
    UnavailableError,
    VolensError,
    format_time,
)
from volens.erase.absence import verify_absence
from volens.erase.followers import await_followers, await_holders
from volens.erase.journal import ErasureState, JournalEntry, advance, entries, states_of, unfinished
from volens.erase.places import RESUME, scrub
from volens.erase.proof.certify import Erased, certify, publish, published
from volens.erase.remains import Remains
from volens.erase.stop import STOP_TOGETHER, Successor, stop
from volens.index import Installation
from volens.store.backup import remove_dead_snapshots
from volens.store.batches import batches
from volens.store.keys import destroy_secrets
from volens.store.people import stored_receipts

BATCH: Final = 5_000
"""How many people's needles are held in memory and searched for in one pass over the files."""
CERTIFY_TOGETHER: Final = 250
_READ_TOGETHER: Final = 500
_STAGES: Final = 3
_FINDS: Final = frozenset({ErasureState.STOPPED, ErasureState.SHREDDED, ErasureState.SCRUBBED})
"""The states after which a step has findings for the journal."""

Facts = Mapping[ReceiptId, Mapping[str, Any]]
Progress = Callable[[int, int], None]


def erase_consents(
    installation: Installation,
    receipt_ids: Sequence[ReceiptId],
    reason: EndReason,
    progress: Progress | None = None,
    when_stopped: Callable[[], None] | None = None,
) -> list[Erased]:
    """End consents and erase the data that they allowed. A repeated call returns the certificates already issued.

    If the process is killed, people whose consents were stopped are never matched again, and opening the site finishes
    their erasure. The other consents stay in force; a repeated call ends them.

    Before anything is written, this process stops matching them (`volens.store.StoppedConsents`), also if the store
    then refuses. A consent that ended before keeps its earlier reason. Every file below the home is searched
    afterwards.

    `progress` is called with the number of people done and the total: stopping, certifying and writing the certificate
    file count one third of a person each. `when_stopped` is called once, in this thread, when none of these consents
    matches any more; an exception that it raises is raised again after the erasures were finished as far as possible.

    Raises:
        NoLiveConsentError: one of the consents was never given here. Nothing was changed.
        ErasureIncompleteError: some erasures could not be finished; all others were. `resume` continues.
        TamperError: an entry of the journal is damaged; all other erasures were finished.
        UnavailableError: the store cannot be written. Nothing was changed, as far as can be known.
    """
    wanted = list(dict.fromkeys(receipt_ids))
    with installation.store.read() as connection:
        known = {one for ids in batches(wanted, _READ_TOGETHER) for one in stored_receipts(connection, ids)}
    if len(known) < len(wanted):
        raise NoLiveConsentError("there is no consent for this receipt or code here; nothing was changed")
    installation.store.stopped.add(known)
    counter = _ProgressCounter(len(wanted), progress)
    erased: dict[ReceiptId, Erased] = {}
    failed: dict[ReceiptId, VolensError] = {}
    for ids in batches(wanted, BATCH):
        batch = _Batch(installation, ids, counter)
        try:
            # 1.
            refused = batch.stop(reason)
            with ExitStack() as afterwards:
                afterwards.callback(batch.finish)
                if when_stopped is not None and refused is None and ids[-1] == wanted[-1]:
                    when_stopped()
        finally:
            batch.wipe()
        erased |= batch.erased
        failed |= batch.failed
        if refused is not None:
            raise _some_in_force(len(wanted) - len(erased) - len(failed), len(wanted), refused, failed)
    _raise_first(failed, len(wanted))
    return [erased[receipt_id] for receipt_id in receipt_ids]


def replace_consent(
    installation: Installation, receipt_id: ReceiptId, successor: Successor
) -> tuple[Erased | None, ErasureIncompleteError | None]:
    """End a consent because its successor takes its place in the same transaction; then erase the data of the old one.

    At every moment exactly one of the two is in force. Return the erasure, or why it is not finished: the new consent
    is in force in any case, and `sweep` or the next opening continues the erasure.

    Raises:
        UnavailableError: the store cannot be written. Nothing was changed, as far as can be known.
        VolensError: the successor refused; nothing was changed.
    """
    batch = _Batch(installation, [receipt_id], _ProgressCounter(1, None))
    try:
        batch.replace(successor)
        with suppress(VolensError), installation.store.read() as connection:  # else the next search does it
            installation.galleries.level(connection)
        batch.finish()
    finally:
        batch.wipe()
    problem = batch.failed.get(receipt_id)
    if problem is not None and not isinstance(problem, ErasureIncompleteError):
        problem = ErasureIncompleteError(str(problem))
    return batch.erased.get(receipt_id), problem


def resume(
    installation: Installation, receipt_ids: Sequence[ReceiptId], progress: Progress | None = None
) -> list[Erased]:
    """Finish erasures that this process, or one that was killed, has begun.

    The embeddings can no longer be decrypted, so the search uses only the beginnings of their sealed copies, which
    the journal keeps until the certificate is signed.

    Raises:
        ErasureIncompleteError: some still cannot be finished; all others were.
        TamperError: an entry of the journal is missing or damaged; all other erasures were finished.
    """
    counter = _ProgressCounter(len(receipt_ids), progress)
    erased: dict[ReceiptId, Erased] = {}
    failed: dict[ReceiptId, VolensError] = {}
    for ids in batches(receipt_ids, BATCH):
        batch = _Batch(installation, ids, counter)
        counter.add(len(ids))
        batch.finish()
        erased |= batch.erased
        failed |= batch.failed
    _raise_first(failed, len(receipt_ids))
    return [erased[receipt_id] for receipt_id in receipt_ids]


def resume_begun(
    installation: Installation, progress: Progress | None = None
) -> tuple[list[Erased], ErasureIncompleteError | None]:
    """Finish all erasures that were begun. Return what was finished, and the error if some could not be.

    Raises:
        TamperError: an entry of the journal is damaged.
    """
    store = installation.store
    with store.read() as connection:
        begun = unfinished(connection)
    try:
        return resume(installation, begun, progress), None
    except ErasureIncompleteError as error:
        with store.read() as connection:
            left = set(unfinished(connection))
        return list(published(store, installation.home, [one for one in begun if one not in left]).values()), error


@final
class _Batch:
    """People who are erased together. All state that a later step needs is in the journal, for other processes too."""

    def __init__(
        self, installation: Installation, receipt_ids: Sequence[ReceiptId], counter: "_ProgressCounter"
    ) -> None:
        self.erased: dict[ReceiptId, Erased] = {}
        self.failed: dict[ReceiptId, VolensError] = {}
        self._installation = installation
        self._store = installation.store
        self._ids = list(receipt_ids)
        self._counter = counter
        self._remains: dict[ReceiptId, Remains] = {}

    def stop(self, reason: EndReason) -> UnavailableError | None:
        """Do step 1, some hundred people at a time. If the store refuses, consents still in force leave the batch.

        Return the store's error, if it refused after some consents had been stopped.

        Raises:
            UnavailableError: the store refused before any consent was stopped.
        """
        for chunk in batches(list(self._ids), STOP_TOGETHER):
            try:
                with self._store.read() as connection:
                    begun = states_of(connection, chunk)
                stop(self._installation, [one for one in chunk if one not in begun], reason, self._remains)
            except UnavailableError as error:
                # A commit that fails may have reached the disk all the same; the journal knows.
                with self._store.read() as connection:
                    begun = states_of(connection, self._ids)
                self._ids = [one for one in self._ids if one in begun]
                if not self._ids:
                    raise
                if not set(chunk) <= begun.keys():
                    return error
            self._counter.add(len(chunk))
        return None

    def replace(self, successor: Successor) -> None:
        """Do step 1 for one consent, together with the beginning of its successor.

        Raises:
            UnavailableError, VolensError: see `volens.erase.stop.stop`.
        """
        try:
            stop(self._installation, self._ids, EndReason.RENEWED, self._remains, successor)
        except UnavailableError:
            # A commit that fails may have reached the disk all the same; the journal knows.
            with self._store.read() as connection:
                begun = states_of(connection, self._ids)
            if not begun:
                raise

    def finish(self) -> None:
        """Do steps 2 to 7, or those that are left, for all people; those that cannot be finished are in `failed`."""
        steps: Mapping[ErasureState, Callable[[Facts], None]] = {
            ErasureState.STOPPED: self._shred,
            ErasureState.SHREDDED: self._remove,
            ErasureState.REMOVED: self._scrub,
            ErasureState.SCRUBBED: self._verify,
            ErasureState.VERIFIED: self._certify,
            ErasureState.CERTIFIED: self._publish,
        }
        try:
            for state, act in steps.items():
                self.step(state, act)
            self._take_published([one for one in self._ids if one not in self.failed])
        except (UnavailableError, ErasureIncompleteError) as error:
            problem = f"matching has stopped, but the erasure is not finished: {error}; then run '{RESUME}'"
            reported = error if isinstance(error, ErasureIncompleteError) else ErasureIncompleteError(problem)
            with self._store.read() as connection:
                states = states_of(connection, self._ids)
            done = [one for one, state in states.items() if state is ErasureState.NOTIFIED]
            self.failed |= {one: reported for one in self._ids if one not in done and one not in self.failed}
            self._take_published(done)

    def step(self, state: ErasureState, act: Callable[[Facts], None]) -> None:
        """Do one step for all people whose erasure is at `state` now."""
        facts = {one: found.facts for one, found in self._journal(state).items()}
        if facts:
            act(facts)

    def wipe(self) -> None:
        """Zero the needles and sketches that were kept for the search."""
        for remains in self._remains.values():
            remains.wipe()
        self._remains.clear()

    def _take_published(self, receipt_ids: Sequence[ReceiptId]) -> None:
        self.erased = published(self._store, self._installation.home, receipt_ids)

    def _journal(self, state: ErasureState) -> dict[ReceiptId, JournalEntry]:
        """Read the entries at `state`; state and facts in one snapshot, because another process may be faster."""
        found: dict[ReceiptId, JournalEntry] = {}
        for chunk in batches([one for one in self._ids if one not in self.failed], _READ_TOGETHER):
            with self._store.read() as connection:
                gone = set(chunk) - states_of(connection, chunk).keys()
                try:
                    read = entries(connection, chunk)
                except TamperError:
                    read = {}
                    for one in chunk:  # one by one, so that only damaged entries are missing
                        try:
                            read |= entries(connection, [one])
                        except TamperError as error:
                            self.failed[one] = error
            lost = self._store.seals.damaged("a consent has ended without an erasure")
            self.failed |= dict.fromkeys(gone, lost)
            found |= {one: its for one, its in read.items() if its.state is state}
        return found

    def _shred(self, facts: Facts) -> None:
        # 2.
        store = self._store
        change = destroy_secrets(store.keyring, facts, store.random, store.now())
        keys = {"store_key_epoch": change.destroyed_epoch, "root_key_destroyed": change.root_key_destroyed}
        self._advance(ErasureState.STOPPED, {one: {"keys": keys} for one in facts})

    def _remove(self, facts: Facts) -> None:
        # 3.
        reference_ids = (ReferenceId(one) for its in facts.values() for one in its["reference_ids"])
        self._installation.galleries.erase(reference_ids)
        remove_dead_snapshots(self._store)
        followed = await_followers(self._store)
        noted = {"processes": followed} if followed["others"] else {}
        lent = await_holders(self._store, facts)
        self._advance(
            ErasureState.SHREDDED, {one: {**noted, "leases": {"holders": holders}} for one, holders in lent.items()}
        )

    def _scrub(self, facts: Facts) -> None:
        # 4.
        scrub(self._store)
        self._advance(ErasureState.REMOVED, facts)

    def _verify(self, facts: Facts) -> None:
        # 5.
        absence = verify_absence(self._installation, facts, self._remains)
        self.failed |= absence.left
        self._advance(ErasureState.SCRUBBED, absence.findings)

    def _certify(self, facts: Facts) -> None:
        # 6.
        for chunk in batches(list(facts), CERTIFY_TOGETHER):
            certify(self._store, {one: facts[one] for one in chunk})
            self._counter.add(len(chunk))

    def _publish(self, facts: Facts) -> None:
        # 7.
        for chunk in batches(list(facts), CERTIFY_TOGETHER):
            publish(self._store, self._installation.home, {one: facts[one] for one in chunk})
            self._counter.add(len(chunk))

    def _advance(self, before: ErasureState, findings: Facts) -> None:
        """Record a step in the journal, with the time at which it was done."""
        states = list(ErasureState)
        reached = states[states.index(before) + 1].value
        for chunk in batches(list(findings), _READ_TOGETHER):
            with self._store.write() as tx:
                times = {"times": {reached: format_time(tx.now)}}
                new = findings if before in _FINDS else {}
                advance(tx, before, {one: {**new.get(one, {}), **times} for one in chunk})


@final
class _ProgressCounter:
    """Reports progress in people, though it counts the stages of their erasures."""

    def __init__(self, people: int, progress: Progress | None) -> None:
        self._people = people
        self._progress = progress
        self._stages = 0

    def add(self, people: int) -> None:
        self._stages += people
        if self._progress is not None:
            self._progress(min(self._people, self._stages // _STAGES), self._people)


def _some_in_force(
    in_force: int, wanted: int, refused: UnavailableError, failed: Mapping[ReceiptId, VolensError]
) -> ErasureIncompleteError:
    begun = f"; of the others, {len(failed)} are not finished, run '{RESUME}' for them" if failed else ""
    return ErasureIncompleteError(
        f"{in_force} of {wanted} consents are still in force: {refused}{begun}; then request the same erasure again"
    )


def _raise_first(failed: Mapping[ReceiptId, VolensError], wanted: int) -> None:
    if not failed:
        return
    first = next((error for error in failed.values() if isinstance(error, TamperError)), next(iter(failed.values())))
    if wanted == 1 or isinstance(first, TamperError):
        raise first
    raise ErasureIncompleteError(f"{len(failed)} of {wanted} erasures are not finished; the first: {first}")
