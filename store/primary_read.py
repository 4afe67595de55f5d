"""What a decision reads of a site on a server: everything that changed since, and the keys, in one round trip.

The log is the durable sequence of changes. A node that holds what the log said up to some size asks for the entries
from there on: none of them, in the usual case. The keyring, which may be another database, is asked at the same time.
"""

from contextlib import suppress
from dataclasses import dataclass
from typing import Final, final

from sqlalchemy import bindparam, literal_column, select

from volens.consent import TamperError, UnavailableError
from volens.store.engine import Rows
from volens.store.log.audit_log import kinds_of
from volens.store.log.seen_log import LastEntry
from volens.store.prepared_query import PreparedQuery
from volens.store.schema import data_tables, keyring_tables
from volens.store.store import Store

MOST_NEWS: Final = 64
"""How many new entries of the log one read returns; if there are more, a decision reads in a transaction."""

_event = data_tables.audit_event.c
_FROM: Final = PreparedQuery(
    select(_event.seq, _event.leaf)
    .where(_event.seq >= bindparam("known"))
    .order_by(_event.seq)
    # Not a parameter: with a number that it knows, the server plans an index scan once for all decisions.
    .limit(literal_column(str(MOST_NEWS + 1)))
)
_KEYS: Final = PreparedQuery(select(keyring_tables.keyring.c.epoch, keyring_tables.keyring.c.log_size))
_WENT_BACK: Final = (
    "integrity: the log in {name} is not the one that this node has seen: its server lost commits, as a standby does "
    "that lagged behind, or was set back; nothing is matched. End all nodes, then start one: it says what to do"
)


@final
@dataclass(frozen=True, slots=True)
class News:
    """What was committed since the log had a known size.

    Attributes:
        generation: the size of the log, at the least.
        kinds: of the new entries; empty if there are none, and one that is unknown if there are more than `MOST_NEWS`.
    """

    generation: int
    kinds: frozenset[str]


def news_since(store: Store, known: int) -> News:
    """Return what was committed since a size of the log, 1 or more, as of a time between call and return.

    Both databases are asked in one round trip. Keys that another node has replaced are replaced here too.

    Raises:
        UnavailableError: a server does not answer, or is a standby.
        TamperError: the log is shorter than known, or another one, here or by the keyring: withdrawals may be lost.
    """
    data, keyring = store.data.remote, store.keyring.engine.remote
    if data is None or keyring is None:
        raise UnavailableError("the databases of this site are not on a server; read them one by one")
    seen = store.seen.last
    ((epoch, remembered),), rows = data.read_after(keyring, _KEYS, _FROM, {"known": known - 1})
    is_all = len(rows) <= MOST_NEWS
    if not rows or rows[0][0] != known - 1 or not _has(rows, seen, is_all=is_all):
        raise TamperError(_WENT_BACK.format(name=store.data.name))
    generation = int(rows[-1][0]) + 1
    # The keyring remembers the log after each commit. From a server of its own, which may answer later, its size may be
    # ahead of this answer, but not of the log.
    if remembered > generation and is_all and remembered > store.generation():
        raise TamperError(_WENT_BACK.format(name=store.data.name))
    if epoch != store.keyring.epoch:
        with suppress(UnavailableError):  # without the holder of the root key the old ones must do, as in a gallery
            store.keyring.refresh()
    return News(generation, frozenset(kinds_of(leaf for _, leaf in rows[1:])) if is_all else frozenset({""}))


def _has(rows: Rows, seen: LastEntry, *, is_all: bool) -> bool:
    """Return whether an entry that was seen before can be among rows of the log, in order; `is_all`: to its end."""
    last = seen.size - 1
    if last > rows[-1][0]:
        return not is_all
    return all(bytes(leaf) == seen.leaf for seq, leaf in rows if seq == last)
