"""Export of the whole audit log, for an auditor who has neither the site nor its keyring (`volens.audit.log_file`).

The file has every leaf and every signed checkpoint. Of the openings it has those of `PUBLIC_KINDS` only, which say what
the retention policy and the notices already publish; so no detail of an event about a person, an operator, a program or
a visit leaves the site. The leaves show the kind and the time of every event: the file is for an auditor, not for
publication (`volens.rights.public_log` is).
"""

from collections.abc import Iterator
from typing import Final

from sqlalchemy import Connection

from volens.audit import checkpoint_line, header_line, leaf_line, opening_line, read_leaf
from volens.audit.shard import shard_key
from volens.store import Store
from volens.store.log import heads_between, leaves_from, newest_head, openings_about_no_consent
from volens.store.log.shard_log import shard_leaves_from, shard_of

PUBLIC_KINDS: Final = frozenset(
    {
        *("site.created", "zone.added", "zone.retention_shortened", "notice.published"),
        *("zone.renamed", "zone.paused", "zone.resumed", "zone.removed", "zone.fpir_changed", "zone.calibrated"),
        *(
            "zone.trigger_changed",
            "zone.liveness_changed",
            "zone.lease_changed",
            "zone.after_lease_changed",
            "zone.declared",
            "site.declared",
        ),
        *("recipient.added", "recipient.removed", "witness.added", "witness.removed"),
        *("jurisdiction.profile_added", "jurisdiction.profile_removed"),
    }
)
"""Kinds of events whose details the policy and the notices publish: zones, notices, recipients, profiles."""

_AS_BYTES: Final = tuple(kind.encode() for kind in PUBLIC_KINDS)
"""Looked for first, because to parse a leaf takes 0.1 ms."""

_BATCH: Final = 1000


def export_lines(store: Store) -> Iterator[bytes]:
    """Yield the lines of the exported log as it is now; memory does not grow with the log.

    A snapshot is open for one batch of leaves only, because an erasure cannot truncate the write-ahead log under an
    open one. The log is append-only, so all batches are of one log.

    Raises:
        TamperError: a leaf is malformed.

    Not checked: whether the log verifies; `volens.audit.verify_log_file` does that with the file.
    """
    with store.read() as connection:
        size, note = newest_head(connection)
    yield header_line(store.verifier_key, note)
    for first in range(0, size, _BATCH):
        with store.read() as connection:
            lines = list(_batch(connection, first, min(_BATCH, size - first)))
        yield from lines


def shard_lines(store: Store, name: str) -> Iterator[bytes]:
    """Yield the lines of one shard of the log as it is now: every leaf, no opening, and its newest checkpoint.

    Raises:
        UnknownError: there is no shard of this name.
    """
    with store.read() as connection:
        shard = shard_of(connection, name)
    yield header_line(shard_key(store.verifier_key, name, shard.log_index), shard.note)
    for first in range(0, shard.size, _BATCH):
        with store.read() as connection:
            leaves = shard_leaves_from(connection, shard.log_index, first, min(_BATCH, shard.size - first))
        yield from map(leaf_line, leaves)
    yield checkpoint_line(shard.note)


def _batch(connection: Connection, first: int, count: int) -> Iterator[bytes]:
    openings = openings_about_no_consent(connection, first, count)
    notes = heads_between(connection, first + 1, first + count)
    for index, leaf in enumerate(leaves_from(connection, first, count), start=first):
        yield leaf_line(leaf)
        if index in openings and any(kind in leaf for kind in _AS_BYTES) and read_leaf(leaf)[0] in PUBLIC_KINDS:
            yield opening_line(*openings[index])
        if index + 1 in notes:
            yield checkpoint_line(notes[index + 1])
