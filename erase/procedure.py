"""Withdrawal and expiry carried out: a journal of idempotent steps that finishes what was begun (DESIGN.md 8).

1. stopped: in one transaction the consent's row goes, references and name go with it, what opens its audit leaves goes,
   a leaf tells that a consent ended, and the journal is opened. From here on nobody is matched by it.
2. shredded: the grant secret is deleted from the keyring, and every copy of the embedding anywhere is unreadable.
3. removed: the sketch is overwritten and zeroed in the galleries of this process.
4. scrubbed: both write-ahead logs are cut.
5. verified: the person is looked for by id, by search and byte by byte; what is found stops the procedure.
6. certified: what was destroyed and searched is signed and put into the audit log, in one transaction.
7. notified: the certificate's file is written. Nobody else is told yet: no recipients are configured in this version.

A step that was done but not noted is done again, to the same effect. Broken seals do not stop an erasure.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

from audit import inclusion_proof, leaf_bytes
from consent import (
    EndReason,
    ErasureIncompleteError,
    NoLiveConsentError,
    ReceiptId,
    ReferenceId,
    TamperError,
    UnavailableError,
    format_time,
)
from erase.certificate import (
    CERTIFICATE_TYPE,
    EVENT,
    VERSION,
    LogEntry,
    certificate_file,
    certificate_payload,
    log_details,
)
from erase.needles import Hit, Needles
from index import Galleries, opened
from store import (
    ErasureState,
    SealedReference,
    Store,
    StoredCertificate,
    Transaction,
    add_certificate,
    advance,
    certificate_of,
    end_consent,
    entry,
    forget,
    kept_digests,
    node_reader,
    nonce_of,
    open_entry,
    references_of,
    rotation_due,
    sealed_name,
    stored_receipt,
    write_private,
)

CERTIFICATES: Final = "certificates"
NOT_PROMISED: Final = (
    "blocks that a solid-state drive has set aside, memory of other running processes, and copies of the keyring made "
    "before the erasure; a badge or secret that the person carries stays with the person, and opens nothing any more"
)
_METHOD: Final = (
    "rows deleted and zeroed, write-ahead logs cut, the only key destroyed, the gallery's row overwritten and zeroed"
)


@final
@dataclass(frozen=True, slots=True)
class Erased:
    """A finished erasure."""

    certificate_id: str
    certificate_path: Path
    zone: str
    reason: str


def erase_consent(store: Store, galleries: Galleries, home: Path, receipt_id: ReceiptId, reason: EndReason) -> Erased:
    """End a consent and erase what it allowed. Doing it again returns the certificate that was issued.

    Args:
        store: of the site.
        galleries: of this process.
        home: every file below it is searched afterwards.
        receipt_id: which consent.
        reason: why it ends.

    Raises:
        NoLiveConsentError: there never was such a consent here.
        ErasureIncompleteError: matching has stopped, but a step could not be finished; `resume` goes on.
        UnavailableError: the store refuses; nothing was changed.
    """
    # 1.
    needles = _stop(store, galleries, receipt_id, reason)
    try:
        return _finish(store, galleries, home, receipt_id, needles)
    finally:
        needles.wipe()


def erase_consents(
    store: Store,
    galleries: Galleries,
    home: Path,
    receipt_ids: Sequence[ReceiptId],
    reason: EndReason,
    progress: Callable[[int, int], None] | None = None,
) -> list[Erased]:
    """Erase many; see `erase_consent`. `progress` is called with how many are done, of how many."""
    erased: list[Erased] = []
    for receipt_id in receipt_ids:
        erased.append(erase_consent(store, galleries, home, receipt_id, reason))
        if progress is not None:
            progress(len(erased), len(receipt_ids))
    return erased


def resume(store: Store, galleries: Galleries, home: Path, receipt_id: ReceiptId) -> Erased:
    """Finish an erasure that was begun, in this process or in one that was killed.

    The embedding cannot be opened any more, so it is searched for by the nonces of its sealed copies only.

    Raises:
        ErasureIncompleteError: a step still cannot be finished.
    """
    return _finish(store, galleries, home, receipt_id, Needles([]))


def _stop(store: Store, galleries: Galleries, receipt_id: ReceiptId, reason: EndReason) -> Needles:
    with store.write() as tx:
        receipt = stored_receipt(tx.connection, receipt_id)
        if receipt is None:
            raise NoLiveConsentError("there is no consent for this receipt or code here; nothing was changed")
        references = references_of(tx.connection, receipt_id)
        boxes = {"sealed embedding": [reference.sealed_embedding for reference in references]}
        name, wrapped = sealed_name(tx.connection, receipt_id), store.keyring.wrapped(receipt_id)
        boxes["sealed name"] = [] if name is None else [name]
        boxes["wrapped grant secret"] = [] if wrapped is None else [wrapped]
        boxes |= kept_digests(tx.connection, receipt_id)
        if not end_consent(tx, receipt_id, reason):
            return Needles([])
        facts = {
            "receipt_sha256": receipt.sha256.hex(),
            "zone": receipt.purpose,
            "reason": reason.value,
            "ended_at": format_time(tx.now),
            "reference_ids": [reference.reference_id for reference in references],
            "fingerprints": {what: [nonce_of(box).hex() for box in found] for what, found in boxes.items()},
            "destroyed": {what: len(found) for what, found in boxes.items()}
            | {"openings of audit leaves": forget(tx.connection, receipt_id)},
        }
        open_entry(tx, receipt_id, facts)
        tx.log("consent.ended", {"reason": reason.value, "zone": receipt.purpose})
        needles = Needles.of((what, box) for what, found in boxes.items() for box in found)
        return needles.joined(_opened_needles(store, galleries, receipt_id, references))


def _opened_needles(
    store: Store, galleries: Galleries, receipt_id: ReceiptId, references: list[SealedReference]
) -> Needles:
    """Return the plain embedding, its sketches and the plain secret to search for; a broken seal gives what it can."""
    found = Needles([])
    try:
        with store.keyring.grant_secret(receipt_id) as secret:
            found = Needles.of([("grant secret", secret.buffer)])
        for reference, vector in opened(store, references):
            found = found.joined(Needles.of([("plain embedding", vector.array.data.cast("B"))]))
            for gallery in galleries.built():
                if reference.reference_id in gallery.engine:
                    sketch = gallery.projection.sketch(vector.array)
                    found = found.joined(Needles.of([("gallery sketch", sketch.data.cast("B"))]))
                    sketch.fill(0)
    except TamperError:
        pass  # what cannot be opened cannot lie about in the open; the sealed bytes are searched for all the same
    return found


def _finish(store: Store, galleries: Galleries, home: Path, receipt_id: ReceiptId, needles: Needles) -> Erased:
    work = _Erasure(store, galleries, home, receipt_id, needles)
    try:
        while (state := work.read()) is not ErasureState.NOTIFIED:
            work.step(state)
        return work.result()
    except UnavailableError as error:
        raise ErasureIncompleteError(
            f"matching has stopped, but the erasure is not finished: {error}; run 'volens sweep' then"
        ) from None


@final
class _Erasure:
    """Steps 2 to 7. What a later step must know is in the journal, so that another process can take over."""

    def __init__(self, store: Store, galleries: Galleries, home: Path, receipt_id: ReceiptId, needles: Needles) -> None:
        self._store = store
        self._galleries = galleries
        self._home = home
        self._receipt_id = receipt_id
        self._needles = needles
        self._facts: dict[str, Any] = {}

    def read(self) -> ErasureState:
        with self._store.read() as connection:
            found = entry(connection, self._receipt_id)
        if found is None:
            raise TamperError("integrity: a consent has ended without an erasure; restore the data file")
        self._facts = dict(found.facts)
        return found.state

    def step(self, state: ErasureState) -> None:
        steps: Mapping[ErasureState, tuple[Callable[[], None], ErasureState]] = {
            ErasureState.STOPPED: (self._shred, ErasureState.SHREDDED),
            ErasureState.SHREDDED: (self._remove, ErasureState.REMOVED),
            ErasureState.REMOVED: (self._scrub, ErasureState.SCRUBBED),
            ErasureState.SCRUBBED: (self._verify, ErasureState.VERIFIED),
            ErasureState.CERTIFIED: (self._publish, ErasureState.NOTIFIED),
        }
        if state is ErasureState.VERIFIED:
            self._certify()
            return
        act, reached = steps[state]
        act()
        with self._store.write() as tx:
            advance(tx, self._receipt_id, reached, self._facts)

    def result(self) -> Erased:
        with self._store.read() as connection:
            certificate = certificate_of(connection, self._receipt_id)
        if certificate is None:
            raise TamperError("integrity: a finished erasure has no certificate; restore the data file")
        path = self._path(certificate)
        if not path.exists():
            self._publish()
        return Erased(certificate.certificate_id, path, self._facts["zone"], self._facts["reason"])

    def _shred(self) -> None:
        # 2.
        self._store.keyring.destroy(self._receipt_id)

    def _remove(self) -> None:
        # 3.
        removed = self._galleries.erase(ReferenceId(one) for one in self._facts["reference_ids"])
        self._facts["destroyed"]["gallery sketch"] = removed

    def _scrub(self) -> None:
        # 4.
        if not self._store.truncate_wal():
            raise ErasureIncompleteError(
                "matching has stopped, but another process is reading the data file, whose write-ahead log cannot be "
                "cut; run 'volens sweep' when it is done"
            )
        self._store.keyring.scrub()

    def _verify(self) -> None:
        # 5. By id,
        ids = [ReferenceId(one) for one in self._facts["reference_ids"]]
        with self._store.read() as connection:
            if references_of(connection, self._receipt_id) or sealed_name(connection, self._receipt_id) is not None:
                raise ErasureIncompleteError("the data file still has rows of the erased consent; run 'volens sweep'")
        if self._store.keyring.wrapped(self._receipt_id) is not None:
            raise ErasureIncompleteError("the keyring still has the erased consent's secret; run 'volens sweep'")
        # by search,
        for gallery in self._galleries.built():
            if any(one in gallery.engine for one in ids):
                raise ErasureIncompleteError("a gallery still proposes the erased person; run 'volens sweep'")
        # and byte by byte.
        needles = self._needles.joined(self._fingerprints())
        hits, files = self._search(needles)
        if hits:
            self._store.vacuum()
            self._scrub()
            hits, files = self._search(needles)
        if hits:
            raise ErasureIncompleteError(f"found {hits[0].what} in {hits[0].where}; remove it, then run 'volens sweep'")
        self._facts["searched"] = [
            {"what": what, "pieces": pieces, "found": 0} for what, pieces in sorted(needles.counts().items())
        ]
        self._facts["files"] = files
        self._facts["erased_at"] = format_time(self._store.now())

    def _fingerprints(self) -> Needles:
        return Needles.of(
            (f"nonce of {what}", bytes.fromhex(nonce))
            for what, nonces in self._facts["fingerprints"].items()
            for nonce in nonces
        )

    def _search(self, needles: Needles) -> tuple[list[Hit], list[dict[str, str | int]]]:
        hits: list[Hit] = []
        files: list[dict[str, str | int]] = []
        # Folder by folder: a line for every certificate would outgrow the certificate after some hundred erasures.
        folders: dict[str, tuple[int, int]] = {}
        for path in sorted(one for one in self._home.rglob("*") if one.is_file()):
            where = path.relative_to(self._home).as_posix()
            try:
                hits += needles.search_file(path, where)
                size_bytes = path.stat().st_size
            except FileNotFoundError:
                continue  # another process took it away meanwhile
            except OSError as error:
                raise ErasureIncompleteError(
                    f"cannot search {where}: {error.strerror}; make it readable or remove it, then run 'volens sweep'"
                ) from None
            folder, inside, _ = where.partition("/")
            if inside:
                count, total_bytes = folders.get(folder, (0, 0))
                folders[folder] = (count + 1, total_bytes + size_bytes)
            else:
                files.append({"name": where, "size_bytes": size_bytes})
        files += [
            {"name": f"{folder}/", "files": count, "size_bytes": total_bytes}
            for folder, (count, total_bytes) in folders.items()
        ]
        for gallery in self._galleries.built():
            for buffer in gallery.engine.buffers():
                hits += needles.search(buffer, "the gallery in memory")
                files.append({"name": "the gallery in memory", "size_bytes": len(buffer)})
        return hits, files

    def _certify(self) -> None:
        # 6.
        with self._store.write() as tx:
            kept = {name: self._facts[name] for name in ("zone", "reason")}
            if certificate_of(tx.connection, self._receipt_id) is not None:
                # Another process resumed the same erasure and was faster; there is one certificate.
                advance(tx, self._receipt_id, ErasureState.CERTIFIED, kept)
                return
            statement = self._statement(tx)
            index, event = tx.log(EVENT, log_details(statement))
            head, note = tx.sign_log()
            proof = inclusion_proof(index, head.size, node_reader(tx.connection))
            logged = LogEntry(leaf_bytes(event), event.details, event.salt, index, proof, note)
            token = self._store.keyring.sign(certificate_payload(statement, logged), CERTIFICATE_TYPE)
            add_certificate(tx, self._receipt_id, StoredCertificate(statement["certificate_id"], token, tx.now))
            advance(tx, self._receipt_id, ErasureState.CERTIFIED, kept)

    def _statement(self, tx: Transaction) -> dict[str, Any]:
        facts = self._facts
        return {
            "version": VERSION,
            "certificate_id": tx.random(16).hex(),
            "site_id": self._store.site.controller.site_id,
            "controller": self._store.site.controller.name,
            "receipt_sha256": facts["receipt_sha256"],
            "zone": facts["zone"],
            "reason": facts["reason"],
            "ended_at": facts["ended_at"],
            "erased_at": facts["erased_at"],
            "issued_at": format_time(tx.now),
            "destroyed": facts["destroyed"],
            "searched": facts["searched"],
            "searched_in": facts["files"],
            "method": _METHOD,
            "store_key_epoch": self._store.keyring.epoch,
            "store_key_destroyed_by": format_time(rotation_due(self._store)),
            "not_promised": NOT_PROMISED,
            "recipients": [],
        }

    def _publish(self) -> None:
        # 7.
        with self._store.read() as connection:
            certificate = certificate_of(connection, self._receipt_id)
        if certificate is None:
            raise TamperError("integrity: the journal knows of a certificate that is not there; restore the data file")
        path = self._path(certificate)
        try:
            path.parent.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise UnavailableError(
                f"cannot make {path.parent}: {error.strerror}; check the disk and the rights"
            ) from None
        write_private(path, certificate_file(certificate.token), replace=True)

    def _path(self, certificate: StoredCertificate) -> Path:
        return self._home / CERTIFICATES / f"{certificate.certificate_id}.json"
