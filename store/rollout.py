"""Rollout: two releases of the program on one database, while nodes are replaced one by one (docs/adr/0083).

1. *Expand.* The new release adds tables, nullable columns, indexes and triggers, and removes or changes no rule. Its
   code pins the catalogue that this leaves (`EXPANSIONS`). Before it commits, it announces the revision in the keyring:
   which revision it extends, and the SHA-256 of the catalogue, under a MAC.
   A server writes a catalogue in words of its version, so none is pinned for it. Instead each release announces the
   catalogue of its own revision when it opens it, and the next one expands no other.
2. *Migrate.* Both releases serve. The old one accepts the schema if the announcement is authentic, the catalogue has
   its SHA-256, and every rule that the old release declares is in it.
3. *Contract.* When no process of the old release serves any more, the rest of the revision is carried out.

A program that can write the data file and has no key of the keyring can announce nothing.
"""

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, final

from sqlalchemy import Connection, insert, select

from volens.consent import RefusedError, UnavailableError
from volens.store.engine import ExpectedCatalogue, StoreEngine
from volens.store.keys.keyring import Keyring
from volens.store.schema import data_tables
from volens.store.schema.keyring_tables import announced_schema as table

SILENT: Final = timedelta(seconds=15)
"""A process that has not reported for so long counts as dead. A live one reports more often, even when idle."""

_USE: Final = "schema announcements"


class Step(StrEnum):
    """A step of a rollout that an operator orders."""

    EXPAND = "expand"
    CONTRACT = "contract"


def is_expanded(data: StoreEngine) -> bool:
    """Return whether the schema of an open data file was expanded, so that the release before can serve, too."""
    return data.revision in data_tables.EXPANSIONS


@final
@dataclass(frozen=True, slots=True)
class Revisions:
    """The revisions of the data that a release knows: all of them, oldest first, and the pinned expansions.

    Attributes:
        expansions: for each revision that only adds, the SHA-256 of its catalogue by engine, in hexadecimal digits; no
            engine of a server is among them.
    """

    known: tuple[str, ...]
    expansions: dict[str, dict[str, str]]

    @property
    def newest(self) -> str:
        """The revision that this release makes in the end."""
        return self.known[-1]

    def after_expanding(self, current: str) -> str:
        """Return the revision that expands the current one.

        Raises:
            RefusedError: this release has none, so the release before cannot run beside it.
        """
        following = self.known[self.known.index(current) + 1]
        if following not in self.expansions:
            raise RefusedError(
                f"this release cannot serve beside the one before (schema {current!r}); end every process of that one, "
                "then start this one, which upgrades the schema"
            )
        return following


@final
class Rollout:
    """What a release does about the revision of a data file; `volens.store.engine.SchemaRollout`."""

    def __init__(
        self,
        keyring: Keyring,
        now: Callable[[], datetime],
        step: Step | None = None,
        revisions: Revisions | None = None,
    ) -> None:
        """Read announcements from a keyring; `step` is None unless an operator ordered one."""
        self._keyring = keyring
        self._now = now
        self._step = step
        self._revisions = revisions or Revisions(data_tables.REVISIONS, dict(data_tables.EXPANSIONS))

    def target(self, current: str, connection: Connection) -> str | None:
        """Return the revision to go to: the current one if it stays, None if this release does not know it.

        Raises:
            RefusedError: the release before cannot run beside this one, and to expand was ordered.
            UnavailableError: processes of an older release serve the site, and would fail.
        """
        revisions = self._revisions
        if current not in revisions.known:
            return current if self._announced(current, revisions.newest) else None
        if current == revisions.newest:
            return current
        if self._step is Step.EXPAND:
            return current if current in revisions.expansions else revisions.after_expanding(current)
        if self._step is None and current in revisions.expansions:
            return current
        self._check_idle(connection)
        return revisions.newest

    def is_expansion(self, revision: str) -> bool:
        """Return whether a revision of this release is one that only adds."""
        return revision in self._revisions.expansions

    def expected(self, engine: str, revision: str) -> ExpectedCatalogue | None:
        """Return what the catalogue of an expanded database must be; None: exactly what this release declares."""
        known, pinned = self._revisions.known, self._revisions.expansions.get(revision)
        if pinned is None:
            announced = frozenset() if revision in known else self._announced(revision, self._revisions.newest)
            return ExpectedCatalogue(announced, extends_ours=True) if announced else None
        if engine in pinned:
            return ExpectedCatalogue(frozenset([bytes.fromhex(pinned[engine])]), extends_ours=False)
        before = known[known.index(revision) - 1]
        return ExpectedCatalogue(self._announced(revision, before), extends_ours=False)

    def is_newer(self, revision: str) -> bool:
        """Return whether a revision is of a newer release, which has not announced that it extends ours."""
        return revision not in self._revisions.known and not self._announced(revision, self._revisions.newest)

    def announce(self, revision: str, extends: str, digest: bytes) -> None:
        """Write into the keyring that a revision extends another one, or itself, and what its catalogue is.

        Raises:
            UnavailableError: the keyring cannot be written now.
        """
        mac = self._mac(revision, extends, digest)
        values = {"revision": revision, "extends": extends, "catalogue_sha256": digest, "mac": mac}
        with self._keyring.write() as kept:
            known = kept.execute(select(table.c.mac).where(table.c.mac == mac)).first()
            if known is None:
                kept.execute(insert(table).values(values))

    def was_found(self, revision: str, digest: bytes) -> bool:
        """Return whether a release announced this catalogue as exactly what it declares for a revision."""
        return digest in self._announced(revision, revision)

    def _announced(self, revision: str, extends: str) -> frozenset[bytes]:
        """Return the authentic announcements of a revision that extends another one: the SHA-256 of its catalogue.

        There may be several: an expansion that was not committed was announced as well.
        """
        query = select(table).where(table.c.revision == revision, table.c.extends == extends)
        with self._keyring.engine.read() as kept:
            rows = kept.execute(query).all()
        return frozenset(
            bytes(row.catalogue_sha256)
            for row in rows
            if hmac.compare_digest(row.mac, self._mac(row.revision, row.extends, row.catalogue_sha256))
        )

    def _check_idle(self, connection: Connection) -> None:
        """Check that no process of an older release has reported lately.

        Raises:
            UnavailableError: one has. Not checked: commands, which report nothing and are short.
        """
        process, now = data_tables.process, self._now()
        query = select(process.c.process_id, process.c.seen_at).where(process.c.revision != self._revisions.newest)
        ids = [
            row.process_id
            for row in connection.execute(query.order_by(process.c.process_id))
            if now - row.seen_at <= SILENT
        ]
        if ids:
            raise UnavailableError(
                f"processes of an older release serve this site ({', '.join(ids)}); end them first; to let both "
                "releases serve for a while, use 'volens upgrade expand'"
            )

    def _mac(self, revision: str, extends: str, digest: bytes) -> bytes:
        message = b"\0".join((b"schema", revision.encode("utf-8"), extends.encode("utf-8"), digest))
        with self._keyring.derived_key(_USE) as key:
            return hmac.digest(key.buffer, message, "sha256")
