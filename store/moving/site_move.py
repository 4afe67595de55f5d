"""Moves the databases of a site: from files to a server, back, or to another server. Two places never serve.

The procedure, in which a kill at any point leaves the old site or the new one:

1. No other process serves the site. The log records that a copy is begun.
2. The write locks of keyring and data are held until 6, so that nothing changes what is copied. Reads go on.
3. copied: every row into drafts in the new place. A draft has a revision that no opening accepts.
4. proved: each table has as many rows, and the same digest, on both sides; the log of the copy is verified and has the
   same root; what the caller proves too (rules, seals, references, certificates).
5. The counters of ids are where they were.
6. marked: all tables of the old data, then of the old keyring, are replaced by a signpost with the new place.
7. What the old tables left in files is zeroed and cut off. The log of the copy records the move; a new root key is due.
8. released: the drafts become databases that open.
9. switched: the home names the new place.
10. The root key is replaced, so that no older copy of the keyring opens. If its holder does not answer, the next sweep
    does it.

A kill before 6 leaves the old site, and at most a draft, which the next run replaces: a copy begins anew, because
nothing proves that the old site did not change meanwhile. A kill after 6 leaves a home that refuses to open and says
where the site is; the next run goes on at 7. Nothing is unwrapped or sealed again: rows are copied as they are.
"""

from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

from sqlalchemy import Connection, MetaData, delete, insert, select, update

from volens.consent import InputError, TamperError, UnavailableError, VolensError
from volens.store.database_place import DatabasePlace
from volens.store.engine import StoreEngine
from volens.store.files.private_files import sync_folder
from volens.store.keys.key_change import renew_root_key
from volens.store.keys.keyring import Keyring
from volens.store.keys.root_key.holder import root_keys
from volens.store.keys.root_key.holder_choice import (
    hand_over_record,
    holder_by_home,
    keep_record,
    shorten_record,
)
from volens.store.keys.root_key.key_record import RECORD_FILE
from volens.store.keys.secrets import Random
from volens.store.keys.unlocking import unlock_keyring
from volens.store.log import audit_log
from volens.store.log.audit_log import has_entry
from volens.store.moving.row_digests import TableDigest, table_digests
from volens.store.programs.processes import Processes
from volens.store.row_copy import copy_ids, copy_rows, row_count
from volens.store.schema import keyring_tables
from volens.store.schema.schema_lines import METADATA
from volens.store.signpost import DRAFT, MOVED, Signpost, SiteMovedError, put_signpost, set_revision
from volens.store.site_databases import DATABASES_FILE, SiteDatabases, read_databases, write_databases
from volens.store.site_home import open_home
from volens.store.store import DATA_FILE, KEYRING_FILE, Store
from volens.store.system_clock import Clock

COPY_BEGUN: Final = "site.copy_begun"
SITE_MOVED: Final = "site.moved"
_ID_BYTES: Final = 16
_TIMES_READ: Final = 3  # copied, and read on both sides
_FILES: Final = {"data": DATA_FILE, "keyring": KEYRING_FILE}
_LINES: Final = tuple(_FILES)
Progress = Callable[[int, int], None]


@final
@dataclass(frozen=True, slots=True)
class Proved:
    """What the caller proved about the copy.

    Attributes:
        seals: sets of rows whose seal was opened.
        references: embeddings that were opened and wiped.
        closed_references: those that open only with what the person holds; their bytes are equal.
        certificates: files in the home that verify against the log of the copy.
    """

    seals: int
    references: int
    closed_references: int
    certificates: int


@final
@dataclass(frozen=True, slots=True)
class Copied:
    """What is the same on both sides.

    Attributes:
        tables: rows and digest of each table, of data and keyring.
        log_size: entries in the log.
        log_root: its root.
    """

    tables: Mapping[str, TableDigest]
    log_size: int
    log_root: bytes
    proved: Proved


@final
@dataclass(frozen=True, slots=True)
class Moved:
    """A finished move.

    Attributes:
        place: the new place, without a password.
        copied: what was proved; None if an earlier run, which was interrupted, had done that.
        scrubbed: whether what the old tables left was removed; a process that reads them kept it from being done.
        root_key_replaced: whether the root key was replaced; else the next sweep does it.
    """

    place: str
    copied: Copied | None
    scrubbed: bool
    root_key_replaced: bool


def move_site(
    home: Path,
    to: SiteDatabases | None,
    *,
    clock: Clock,
    random: Random,
    prove: Callable[[Store], Proved],
    progress: Progress,
) -> Moved:
    """Move the databases of a site to a server, or with None into files of its home; or finish an interrupted move.

    `prove` raises an error if the copy is not what it should be; `progress` gets how many rows were read, of how many.

    Raises:
        InputError: the site is there already, or was moved to another place, or the new place is in use.
        UnavailableError: other processes serve the site, a database is locked, or a disk or server refuses. Before the
            old place is marked, the site is as before.
        TamperError: the copy is not equal, or the site is damaged; the site is as before.
    """
    move = _Move(home, read_databases(home), to, clock, random)
    copied, store = None, move.opened()
    if store is not None:
        with closing(store):
            post = Signpost(store.site.controller.site_id, random(_ID_BYTES).hex(), move.place)
            copied = move.copy(store, post, prove, progress)  # 1. to 6.
    return move.finish(copied)  # 7. to 10.


@final
class _Move:
    def __init__(
        self, home: Path, source: SiteDatabases | None, target: SiteDatabases | None, clock: Clock, random: Random
    ) -> None:
        self._home, self._to, self._clock, self._random = home, target, clock, random
        self._source = {one: DatabasePlace.of(one, home / _FILES[one], source) for one in _LINES}
        self._target = {one: DatabasePlace.of(one, home / _FILES[one], target) for one in _LINES}
        self.place = f"{self._target['data']} (keyring: {self._target['keyring']})"
        self._post: Signpost | None = None
        if self._source == self._target:
            raise InputError(f"the site is already in {self.place}; nothing was changed")

    def opened(self) -> Store | None:
        """Open the site in the old place; None if it was moved to the new one, and the move is to be finished."""
        try:
            return open_home(self._home, clock=self._clock, random=self._random)
        except SiteMovedError as error:
            if error.post.place != self.place:
                raise InputError(f"this site was moved to {error.post.place}; give that place") from None
            self._post = error.post
            return None

    def copy(self, store: Store, post: Signpost, prove: Callable[[Store], Proved], progress: Progress) -> Copied:
        """Copy, prove and mark."""
        # 1.
        if others := Processes(store).others():
            raise UnavailableError(
                f"{len(others)} other processes serve this site; end them, wait 15 s, and run this again"
            )
        revisions = {"data": store.data.revision, "keyring": store.keyring.engine.revision}
        if any(self._source[line].revision != revisions[line] for line in _LINES):
            raise UnavailableError("the schema is between two releases; let the rollout end, then run this again")
        self._check_target(post.site_id)
        with store.write() as tx:
            tx.log(COPY_BEGUN, {"move_id": post.move_id})
        # 2. The data's lock is released, and so its signpost is committed, first.
        with store.keyring.write() as keys, store.data.write() as rows:
            source = {"data": (store.data, rows), "keyring": (store.keyring.engine, keys)}
            keep_record(self._home)
            with ExitStack() as on_failure:
                on_failure.callback(self._remove_drafts)
                with ExitStack() as copies:
                    # 3. to 5.
                    copied = self._copy_all(source, copies, store, prove, progress)
                on_failure.pop_all()
            # 6.
            put_signpost(rows, METADATA["data"], post)
            put_signpost(keys, METADATA["keyring"], post)
        self._post = post
        return copied

    def finish(self, copied: Copied | None) -> Moved:
        """Do what is left when the old place is marked; each step may have been done."""
        if self._post is None:
            raise AssertionError
        # 6. A kill may have left the keyring.
        keyring = self._source["keyring"]
        if (left := keyring.left()) is not None and left[0] != MOVED:
            with closing(keyring.open(keyring.revision)) as engine, engine.write() as connection:
                put_signpost(connection, METADATA["keyring"], self._post)
        # 7.
        scrubbed = [one.scrub_moved() for one in self._source.values()]
        # 8.
        self._release(self._post)
        # 9.
        if self._to is None:
            (self._home / DATABASES_FILE).unlink(missing_ok=True)
            sync_folder(self._home)
        else:
            write_databases(self._home, self._to)
            shorten_record(self._home)
        # 10.
        return Moved(self.place, copied, all(scrubbed), self._renew_keys())

    def _check_target(self, site_id: str) -> None:
        for one in self._target.values():
            left = one.left()
            if left is not None and (left[0] not in {DRAFT, MOVED} or left[1] != site_id):
                raise InputError(f"{one} already has tables of a site; nothing was changed. Choose another place")

    def _remove_drafts(self) -> None:
        """Remove a copy that failed: before the mark, the old place has everything."""
        with suppress(VolensError):
            for one in self._target.values():
                if (left := one.left()) is not None and left[0] == DRAFT:
                    one.remove()

    def _copy_all(
        self,
        source: Mapping[str, tuple[StoreEngine, Connection]],
        copies: ExitStack,
        store: Store,
        prove: Callable[[Store], Proved],
        progress: Progress,
    ) -> Copied:
        total = _TIMES_READ * sum(row_count(source[one][1], METADATA[one]) for one in _LINES)
        done = 0

        def advance(more: int) -> None:
            nonlocal done
            done += more
            progress(done, total)

        made: dict[str, StoreEngine] = {}
        tables: dict[str, TableDigest] = {}
        for line in reversed(_LINES):
            (engine, connection), metadata, place = source[line], METADATA[line], self._target[line]
            # 3.
            if place.left() is not None:
                place.remove()
            copy = made[line] = place.make(_filled_from(connection, metadata, advance))
            copies.callback(copy.close)
            # 5.
            with copy.write() as written:
                copy_ids(engine, connection, copy, written, metadata)
            # 4.
            tables |= _equal(connection, copy, metadata, advance)
        target = self._store_of(made["data"], made["keyring"])
        copies.callback(target.seals.close)
        copies.callback(target.keyring.unlocked.wipe)
        head = audit_log.checkpoint(source["data"][1], store.origin)
        with target.read() as connection:
            report = audit_log.verify_log(connection, target.verifier_key)
        if (report.size, report.root) != (head.size, head.root) or target.verifier_key != store.verifier_key:
            raise TamperError("integrity: the log of the copy is not the log of the site; nothing was changed")
        return Copied(tables, report.size, report.root, prove(target))

    def _store_of(self, data: StoreEngine, keyring: StoreEngine) -> Store:
        """Return a store over engines of the new place."""
        holder = holder_by_home(self._home, self._random)
        site_id, unlocked = unlock_keyring(keyring, lambda: root_keys(holder))
        return Store(self._home, data, Keyring(keyring, site_id, unlocked, holder), self._clock, self._random)

    def _release(self, post: Signpost) -> None:
        revisions = {}
        for line, one in self._target.items():
            left = one.left()
            if left is None or left[0] not in {DRAFT, one.revision} or left[1] != post.site_id:
                raise UnavailableError(f"the copy in {one} is not there any more; bring it back, then run this again")
            revisions[line] = left[0]
        with ExitStack() as opened:
            engines = {}
            for line, one in self._target.items():
                engines[line] = one.open(revisions[line])
                opened.callback(engines[line].close)
            if revisions["data"] == DRAFT:
                self._record(self._store_of(engines["data"], engines["keyring"]), post)
            for line in reversed(_LINES):
                with engines[line].write() as connection:
                    set_revision(connection, self._target[line].revision)

    def _record(self, store: Store, post: Signpost) -> None:
        details = {"move_id": post.move_id, "to": "files" if self._to is None else "server"}
        try:
            with store.write() as tx:
                if not has_entry(tx.connection, details):
                    tx.log(SITE_MOVED, details)
            with store.keyring.write() as connection:
                connection.execute(update(keyring_tables.keyring).values(root_key_due=1))
                # A key that a service wrapped is in the home, or on a server in the keyring's database.
                of_record = keyring_tables.shared_document.c.name == RECORD_FILE
                connection.execute(delete(keyring_tables.shared_document).where(of_record))
                if self._to is not None:
                    hand_over_record(self._home, _SharedRow(connection))
        finally:
            store.seals.close()
            store.keyring.unlocked.wipe()

    def _renew_keys(self) -> bool:
        with (
            suppress(VolensError),
            closing(open_home(self._home, clock=self._clock, random=self._random)) as store,
        ):
            renew_root_key(store.keyring, self._random, store.now())
            with store.keyring.read() as connection:
                return not connection.scalar(select(keyring_tables.keyring.c.root_key_due))
        return False


@final
class _SharedRow:
    """The shared record of the root key, written in the transaction of a connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def read(self) -> bytes | None:
        raise AssertionError

    def write(self, data: bytes) -> None:
        values = {"name": RECORD_FILE, "content": data.decode("ascii")}
        self._connection.execute(insert(keyring_tables.shared_document).values(values))


def _filled_from(
    source: Connection, metadata: MetaData, advance: Callable[[int], None]
) -> Callable[[Connection], None]:
    """Return what copies all rows into a connection."""

    def fill(target: Connection) -> None:
        done = 0

        def copied(now: int, _total: int) -> None:
            nonlocal done
            done, more = now, now - done
            advance(more)

        copy_rows(source, target, metadata, copied)

    return fill


def _equal(
    source: Connection, copy: StoreEngine, metadata: MetaData, advance: Callable[[int], None]
) -> Mapping[str, TableDigest]:
    """Return the digests of all tables.

    Raises:
        TamperError: they differ.
    """
    wanted = table_digests(source, metadata, advance)
    with copy.read() as connection:
        found = table_digests(connection, metadata, advance)
        is_sound = copy.sound(connection)
    if different := [name for name in wanted if wanted[name] != found[name]]:
        raise TamperError(
            f"integrity: the copy of the table {different[0]} is not equal to the original; nothing was changed"
        )
    if not is_sound:
        raise TamperError(f"integrity: the copy in {copy.name} is damaged; nothing was changed")
    return wanted
