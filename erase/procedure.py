"""Withdrawal and expiry carried out: a journal of idempotent steps that finishes what was begun (DESIGN.md 8).

1. stopped: in one transaction the consents' rows go, references and names go with them, what opens their audit leaves
   goes, leaves tell that consents ended, and the journal is opened. From here on nobody is matched by them.
2. shredded: the grant secrets are deleted from the keyring, and every copy of the embeddings anywhere is unreadable.
3. removed: the sketches are overwritten and zeroed in the galleries of this process, and other processes get a moment
   to say that they have done the same; how many have is noted.
4. scrubbed: both write-ahead logs are cut.
5. verified: the people are looked for by id, by search and byte by byte; of whom something is found stays at 4.
6. certified: what was destroyed and searched is signed and put into the audit log, in one transaction.
7. notified: the certificates' files are written.

One person is a batch of one. Step 1 and 6 commit some hundred people at a time, 2 to 5 do all of a batch at once. A
step that was done but not noted is done again, to the same effect. Broken seals do not stop an erasure.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
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
from volens.erase.followers import await_followers
from volens.erase.journal import ErasureState, JournalEntry, advance, entries, entry, states_of, unfinished
from volens.erase.places import RESUME
from volens.erase.proof.certify import Erased, certify, publish, published
from volens.erase.remains import Remains
from volens.erase.stop import STOP_TOGETHER, stop
from volens.index import Galleries
from volens.store import Store
from volens.store.backup import remove_dead_snapshots
from volens.store.people import stored_receipts

BATCH: Final = 5_000
"""People whose needles are held in memory, and searched for in one pass over the files."""
CERTIFY_TOGETHER: Final = 250
_READ_TOGETHER: Final = 500
_STAGES: Final = 3

Facts = Mapping[ReceiptId, Mapping[str, Any]]
Progress = Callable[[int, int], None]


def erase_consent(store: Store, galleries: Galleries, home: Path, receipt_id: ReceiptId, reason: EndReason) -> Erased:
    """End a consent and erase what it allowed: a batch of one; see `erase_consents`."""
    (erased,) = erase_consents(store, galleries, home, [receipt_id], reason)
    return erased


def erase_consents(
    store: Store,
    galleries: Galleries,
    home: Path,
    receipt_ids: Sequence[ReceiptId],
    reason: EndReason,
    progress: Progress | None = None,
    when_stopped: Callable[[], None] | None = None,
) -> list[Erased]:
    """End consents and erase what they allowed. Doing it again returns the certificates that were issued.

    Killed in the middle, those who were stopped are never matched again, and opening the site finishes them; the
    others' consents are still in force, and are ended by calling this again.

    Args:
        store: of the site.
        galleries: of this process.
        home: every file below it is searched afterwards.
        receipt_ids: which consents, in force or not.
        reason: why they end; of those that ended before, the earlier reason stands.
        progress: called with how much is done, of how much, in people. Who is stopped counts for a third of a person,
            who is certified for another, and who has the certificate's file for the last.
        when_stopped: called once, when nobody of all these is matched any more, in this thread. What it raises is
            raised after the erasures were finished as far as they can be.

    Returns:
        What was erased, in the order of `receipt_ids`.

    Raises:
        NoLiveConsentError: there never was one of the consents here. Nothing was changed.
        ErasureIncompleteError: some could not be finished; all others were. `resume` goes on.
        TamperError: an entry of the journal is damaged; all others were finished.
        UnavailableError: the store refuses; nothing was changed, or at least that was the last that could be learnt.
    """
    wanted = list(dict.fromkeys(receipt_ids))
    with store.read() as connection:
        known = {one for ids in _chunks(wanted, _READ_TOGETHER) for one in stored_receipts(connection, ids)}
    if len(known) < len(wanted):
        raise NoLiveConsentError("there is no consent for this receipt or code here; nothing was changed")
    tally = _Tally(len(wanted), progress)
    erased: dict[ReceiptId, Erased] = {}
    failed: dict[ReceiptId, VolensError] = {}
    for batch in _chunks(wanted, BATCH):
        work = _Batch(store, galleries, home, batch, tally)
        try:
            # 1.
            refused = work.stop(reason)
            with ExitStack() as afterwards:
                afterwards.callback(work.finish)
                if when_stopped is not None and refused is None and batch[-1] == wanted[-1]:
                    when_stopped()
        finally:
            work.wipe()
        erased |= work.erased
        failed |= work.failed
        if refused is not None:
            raise _some_in_force(len(wanted) - len(erased) - len(failed), len(wanted), refused, failed)
    _raise_first(failed, len(wanted))
    return [erased[receipt_id] for receipt_id in receipt_ids]


def resume(store: Store, galleries: Galleries, home: Path, receipt_id: ReceiptId) -> Erased:
    """Finish one erasure; see `resume_all`."""
    (erased,) = resume_all(store, galleries, home, [receipt_id])
    return erased


def resume_all(
    store: Store, galleries: Galleries, home: Path, receipt_ids: Sequence[ReceiptId], progress: Progress | None = None
) -> list[Erased]:
    """Finish erasures that were begun, in this process or in one that was killed.

    The embeddings cannot be opened any more, so they are searched for by the nonces of their sealed copies only.

    Raises:
        ErasureIncompleteError: some still cannot be finished; all others were.
        TamperError: an entry of the journal is missing or damaged; all others were finished.
    """
    tally = _Tally(len(receipt_ids), progress)
    erased: dict[ReceiptId, Erased] = {}
    failed: dict[ReceiptId, VolensError] = {}
    for batch in _chunks(receipt_ids, BATCH):
        work = _Batch(store, galleries, home, batch, tally)
        tally.add(len(batch))
        work.finish()
        erased |= work.erased
        failed |= work.failed
    _raise_first(failed, len(receipt_ids))
    return [erased[receipt_id] for receipt_id in receipt_ids]


def resume_begun(
    store: Store, galleries: Galleries, home: Path, progress: Progress | None = None
) -> tuple[list[Erased], ErasureIncompleteError | None]:
    """Finish all erasures that were begun; return what was finished, and why something was not, if it was not.

    Raises:
        TamperError: an entry of the journal is damaged.
    """
    with store.read() as connection:
        begun = unfinished(connection)
    try:
        return resume_all(store, galleries, home, begun, progress), None
    except ErasureIncompleteError as error:
        with store.read() as connection:
            left = set(unfinished(connection))
        return list(published(store, home, [one for one in begun if one not in left]).values()), error


@final
class _Batch:
    """People who are erased together. What a later step must know is in the journal: another process can take over."""

    def __init__(
        self, store: Store, galleries: Galleries, home: Path, receipt_ids: Sequence[ReceiptId], tally: "_Tally"
    ) -> None:
        self.erased: dict[ReceiptId, Erased] = {}
        self.failed: dict[ReceiptId, VolensError] = {}
        self._store = store
        self._galleries = galleries
        self._home = home
        self._ids = list(receipt_ids)
        self._tally = tally
        self._remains: dict[ReceiptId, Remains] = {}

    def stop(self, reason: EndReason) -> UnavailableError | None:
        """Do step 1, some hundred people at a time. Where the store refuses, those who are in force leave the batch.

        Returns:
            Why the store refused, if it did when some had been stopped.

        Raises:
            UnavailableError: it refused, and nobody was stopped.
        """
        for chunk in _chunks(list(self._ids), STOP_TOGETHER):
            try:
                with self._store.read() as connection:
                    begun = states_of(connection, chunk)
                stop(self._store, self._galleries, [one for one in chunk if one not in begun], reason, self._remains)
            except UnavailableError as error:
                # A commit that fails may have reached the disk all the same; the journal knows.
                with self._store.read() as connection:
                    begun = states_of(connection, self._ids)
                self._ids = [one for one in self._ids if one in begun]
                if not self._ids:
                    raise
                if not set(chunk) <= begun.keys():
                    return error
            self._tally.add(len(chunk))
        return None

    def finish(self) -> None:
        """Do steps 2 to 7, or those that are left, for all who are not stuck; `erased` and `failed` say who is."""
        steps: Sequence[tuple[ErasureState, Callable[[Facts], None]]] = (
            (ErasureState.STOPPED, self._shred),
            (ErasureState.SHREDDED, self._remove),
            (ErasureState.REMOVED, self._scrub),
            (ErasureState.SCRUBBED, self._verify),
            (ErasureState.VERIFIED, self._certify),
            (ErasureState.CERTIFIED, self._publish),
        )
        try:
            for state, _act in steps:
                self.step(state, dict(steps)[state])
            self.erased = published(self._store, self._home, [one for one in self._ids if one not in self.failed])
        except (UnavailableError, ErasureIncompleteError) as error:
            said = error if isinstance(error, ErasureIncompleteError) else _unfinished(error)
            with self._store.read() as connection:
                states = states_of(connection, self._ids)
            done = [one for one, state in states.items() if state is ErasureState.NOTIFIED]
            self.failed |= {one: said for one in self._ids if one not in done and one not in self.failed}
            self.erased = published(self._store, self._home, done)

    def step(self, state: ErasureState, act: Callable[[Facts], None]) -> None:
        """Do one step for all who are at `state` now."""
        facts = {one: found.facts for one, found in self._journal(state).items()}
        if facts:
            act(facts)

    def wipe(self) -> None:
        """Zero what was kept to search for."""
        for remains in self._remains.values():
            remains.wipe()
        self._remains.clear()

    def _journal(self, state: ErasureState) -> dict[ReceiptId, JournalEntry]:
        """Read those who are at `state`; state and facts from one snapshot, for another process may be faster."""
        found: dict[ReceiptId, JournalEntry] = {}
        for chunk in _chunks([one for one in self._ids if one not in self.failed], _READ_TOGETHER):
            with self._store.read() as connection:
                known = states_of(connection, chunk)
                gone = [one for one in chunk if one not in known]
                try:
                    read = entries(connection, chunk)
                except TamperError:
                    read = {}
                    for one in chunk:  # one by one, so that only what is damaged is missing
                        try:
                            here = entry(connection, one)
                        except TamperError as error:
                            self.failed[one] = error
                            continue
                        read |= {} if here is None else {one: here}
            self.failed |= {
                one: TamperError("integrity: a consent has ended without an erasure; restore the data file")
                for one in gone
            }
            found |= {one: its for one, its in read.items() if its.state is state}
        return found

    def _shred(self, facts: Facts) -> None:
        # 2.
        self._store.keyring.destroy_all(facts)
        self._advance(ErasureState.STOPPED, facts)

    def _remove(self, facts: Facts) -> None:
        # 3.
        self._galleries.erase(ReferenceId(one) for its in facts.values() for one in its["reference_ids"])
        remove_dead_snapshots(self._store)
        followed = await_followers(self._store)
        noted = {"processes": followed} if followed["others"] else {}
        self._advance(ErasureState.SHREDDED, dict.fromkeys(facts, noted))

    def _scrub(self, facts: Facts) -> None:
        # 4.
        _cut_logs(self._store)
        self._advance(ErasureState.REMOVED, facts)

    def _verify(self, facts: Facts) -> None:
        # 5.
        absence = verify_absence(self._store, self._galleries, self._home, facts, self._remains, _cut_logs)
        self.failed |= absence.left
        self._advance(ErasureState.SCRUBBED, absence.findings)

    def _certify(self, facts: Facts) -> None:
        # 6.
        for chunk in _chunks(list(facts), CERTIFY_TOGETHER):
            certify(self._store, {one: facts[one] for one in chunk})
            self._tally.add(len(chunk))

    def _publish(self, facts: Facts) -> None:
        # 7.
        for chunk in _chunks(list(facts), CERTIFY_TOGETHER):
            publish(self._store, self._home, {one: facts[one] for one in chunk})
            self._tally.add(len(chunk))

    def _advance(self, before: ErasureState, findings: Facts) -> None:
        """Note a step, and when it was done."""
        states = list(ErasureState)
        reached = states[states.index(before) + 1].value
        for chunk in _chunks(list(findings), _READ_TOGETHER):
            with self._store.write() as tx:
                times = {"times": {reached: format_time(tx.now)}}
                new = findings if before in {ErasureState.SHREDDED, ErasureState.SCRUBBED} else {}
                advance(tx, before, {one: {**new.get(one, {}), **times} for one in chunk})


@final
class _Tally:
    """How much is done, told in people though it is counted in stages of their erasures."""

    def __init__(self, people: int, progress: Progress | None) -> None:
        self._people = people
        self._progress = progress
        self._stages = 0

    def add(self, people: int) -> None:
        self._stages += people
        if self._progress is not None:
            self._progress(min(self._people, self._stages // _STAGES), self._people)


def _cut_logs(store: Store) -> None:
    if not store.truncate_wal():
        store.forget()  # the file has to wait for the reader; this process's own memory does not
        raise ErasureIncompleteError(
            "matching has stopped, but another process is reading the data file, whose write-ahead log cannot be cut; "
            f"run '{RESUME}' when it is done"
        )
    store.keyring.scrub()
    store.forget()


def _unfinished(error: UnavailableError) -> ErasureIncompleteError:
    return ErasureIncompleteError(
        f"matching has stopped, but the erasure is not finished: {error}; run '{RESUME}' then"
    )


def _some_in_force(
    in_force: int, wanted: int, refused: UnavailableError, failed: Mapping[ReceiptId, VolensError]
) -> ErasureIncompleteError:
    begun = f"; of the others {len(failed)} are not finished, run '{RESUME}' for them" if failed else ""
    return ErasureIncompleteError(
        f"{in_force} of {wanted} consents are still in force: {refused}{begun}; then ask for the same erasure again"
    )


def _raise_first(failed: Mapping[ReceiptId, VolensError], wanted: int) -> None:
    if not failed:
        return
    first = next((error for error in failed.values() if isinstance(error, TamperError)), next(iter(failed.values())))
    if wanted == 1 or isinstance(first, TamperError):
        raise first
    raise ErasureIncompleteError(f"{len(failed)} of {wanted} erasures are not finished; the first: {first}")


def _chunks(items: Sequence[ReceiptId], size: int) -> Iterator[list[ReceiptId]]:
    for start in range(0, len(items), size):
        yield list(items[start : start + size])
