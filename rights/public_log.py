"""The public audit log: what anyone may read without a credential, as a C2SP tiled transparency log of hashes.

A leaf shows the kind and the minute of an event, and the newest checkpoint shows that something has just happened. At a
site with few people both are a history of visits (docs/adr/0039). So the public log

* has the hashes of the leaves, not the leaves: a hash reveals nothing, because the commitment in the leaf is random;
* ends at the last checkpoint before the current period began, by default the day in UTC.

With hashes and checkpoints anyone can verify that the log only grows, and that their own certificate is in it.
Source: c2sp.org/tlog-tiles; entry bundles are not served.
"""

from bisect import bisect_left
from datetime import datetime, timedelta
from typing import final

from sqlalchemy import Connection

from volens.audit import consistency_proof, inclusion_proof, read_leaf, root
from volens.audit.tiles import TILE_LEVELS, TILE_WIDTH, hashes_of_level
from volens.consent import InputError, UnknownError
from volens.store import Store
from volens.store.log import leaves_from, log_size, newest_head, node_reader, nodes_from
from volens.store.log.log_reading import SignedHead
from volens.store.promises.witness_rows import cosigned_by_witnesses


def period_start(now: datetime, period: timedelta) -> datetime:
    """Return when the current period began: periods follow each other from midnight on; without one, `now`."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + (now - midnight) // period * period if period else now


@final
class PublicLog:
    """Reads the public log of a site; every call reads one snapshot.

    `period` is the time at whose end the public log grows, at most a day; zero publishes everything at once.
    """

    def __init__(self, store: Store, period: timedelta) -> None:
        self._store = store
        self._period = period
        self._published: tuple[datetime, SignedHead] | None = None

    def checkpoint(self) -> str:
        """Return the newest published checkpoint: a C2SP signed note. On the site's first day, its first checkpoint.

        It has the cosignatures of witnesses that have cosigned it so far.
        """
        with self._store.read() as connection:
            return cosigned_by_witnesses(connection, self._head(connection))

    def head(self) -> SignedHead:
        """Return the newest published checkpoint as the site signed it, with its size."""
        with self._store.read() as connection:
            return self._head(connection)

    def tile(self, level: int, index: int, width: int = TILE_WIDTH) -> bytes:
        """Return a tile: `width` hashes of 32 bytes, the roots of complete subtrees of ``256**level`` leaves.

        Raises:
            UnknownError: the public log has no such tile, or not yet.
            TamperError: a node is missing.
        """
        first = index * TILE_WIDTH
        with self._store.read() as connection:
            complete = hashes_of_level(self._head(connection).size, level)
            if not (1 <= width <= TILE_WIDTH and 0 <= first <= complete - width):
                raise UnknownError("the public log has no such tile; read its checkpoint first, which states the size")
            return b"".join(nodes_from(connection, TILE_LEVELS * level, first, width))

    def root_at(self, size: int) -> bytes | None:
        """Return the root of the first `size` leaves, also of today's; None if the log is shorter."""
        with self._store.read() as connection:
            return root(size, node_reader(connection, size)) if size <= log_size(connection) else None

    def inclusion(self, index: int, size: int) -> list[bytes]:
        """Return the inclusion proof of leaf `index` in the first `size` leaves: hashes of 32 bytes.

        Raises:
            InputError: there is no such leaf, or the public log is smaller.
        """
        with self._store.read() as connection:
            published = self._head(connection).size
            if not 0 <= index < size <= published:
                raise InputError(_beyond(f"leaf {index} of {size}", published))
            return inclusion_proof(index, size, node_reader(connection))

    def consistency(self, old_size: int, size: int) -> list[bytes]:
        """Return the consistency proof from `old_size` to `size` leaves.

        Raises:
            InputError: `old_size` is larger than `size`, or the public log is smaller.
        """
        with self._store.read() as connection:
            published = self._head(connection).size
            if not 0 <= old_size <= size <= published:
                raise InputError(_beyond(f"{old_size} and {size} leaves", published))
            return consistency_proof(old_size, size, node_reader(connection))

    def _head(self, connection: Connection) -> SignedHead:
        """Return the last checkpoint before the current period; reads O(log size) leaves, once a period."""
        if not self._period:
            return newest_head(connection)
        since = period_start(self._store.now(), self._period)
        if self._published is not None and self._published[0] == since:
            return self._published[1]

        def is_of_this_period(index: int) -> bool:
            (leaf,) = leaves_from(connection, index, 1)
            return read_leaf(leaf)[1] >= since

        head = newest_head(connection, bisect_left(range(log_size(connection)), x=True, key=is_of_this_period))
        self._published = (since, head)
        return head


def _beyond(got: str, size: int) -> str:
    return f"got {got}; expected at most {size}, the size of the public log; read its checkpoint first"
