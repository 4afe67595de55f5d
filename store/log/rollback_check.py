"""The check of an opening and of each write that data file and keyring are the newest; and what it repairs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import final

from sqlalchemy import Connection, select

from volens.audit import root
from volens.consent import TamperError
from volens.store.keys.key_change import destroy_secrets
from volens.store.keys.keyring import Keyring
from volens.store.keys.secrets import Random
from volens.store.log import audit_log
from volens.store.log.freshness import (
    Evidence,
    Facts,
    Misfit,
    data_name,
    find_misfit,
    misfit_of_memory,
    newest_keyring,
)
from volens.store.log.home_evidence import certificates_folder
from volens.store.log.keyring_memory import abandoned_heads, authentic_memory, verified_ends
from volens.store.log.remembrance import check_newest_leaves
from volens.store.log.secrets_held import returned_secrets, unopenable
from volens.store.log.shard_log import ShardHead
from volens.store.log.shard_memory import misfitting, remembered_shards
from volens.store.recovery_advice import RESTORE
from volens.store.schema import data_tables as tables
from volens.store.site_databases import is_on_server


@final
@dataclass(frozen=True, slots=True)
class KeyringRepair:
    """An older keyring was in the place of the newest, and was brought up to date.

    Attributes:
        entries: how many entries of the log it did not remember.
        destroyed_secrets: how many secrets of erased consents it had, which were destroyed again.
    """

    entries: int
    destroyed_secrets: int


def check_write(home: Path, log_size: int, keyring: Keyring) -> None:
    """Check, inside a write transaction, that the log does not fork: other entries under numbers that were given out.

    `log_size` is its size in this transaction.

    Raises:
        TamperError: the data file is older than the keyring remembers, the keyring's memory was changed, or a restore
            is in progress.
    """
    with keyring.engine.read_each() as kept:
        memory = authentic_memory(kept, keyring)
    misfit = misfit_of_memory(log_size, memory)
    if misfit is not None:
        again = misfit_of_memory(log_size, memory, certificates_folder(home), on_server=is_on_server(home))
        raise (again or misfit).error()


def find_rollback(home: Path, connection: Connection, keyring: Keyring, evidence: Sequence[Evidence]) -> Misfit | None:
    """Hold the log against the keyring's memory and against evidence, and then its shards against that memory.

    See `find_misfit`, and `volens.store.log.shard_memory.misfitting`.

    Cost: reads the list of ended consents and of those in force.

    Raises:
        TamperError: a node of the log is missing.
    """
    # The memory first: it is never ahead of a snapshot of the data file that is taken later.
    with keyring.read() as kept:
        memory = authentic_memory(kept, keyring)
        ends = None if memory is None else verified_ends(kept, memory)
        shards = None if memory is None else remembered_shards(kept, memory.shards_digest)
        abandoned = abandoned_heads(kept, keyring)
    if ends is None or shards is None:
        memory = None
    size, read = audit_log.log_size(connection), audit_log.node_reader(connection)
    sizes = {one.head.size for one in evidence} | (set() if memory is None else {memory.head.size})
    live = connection.scalars(select(tables.live_consent.c.receipt_id))
    facts = Facts(
        log_size=size,
        roots={one: root(one, read) for one in sizes if one <= size},
        memory=memory,
        undone=len({receipt_id for receipt_id, *_ in ends or ()}.intersection(live)),
        evidence=evidence,
        abandoned=abandoned,
    )
    misfit = find_misfit(facts)
    if misfit is None:
        return _shard_misfit(home, connection, shards or ())
    # The folder is searched for the advice only.
    return find_misfit(replace(facts, certificates=certificates_folder(home), on_server=is_on_server(home)))


def check_shards(home: Path, connection: Connection, keyring: Keyring) -> None:
    """Hold the shards of the log against those that the keyring remembers, if its memory is authentic.

    Raises:
        TamperError: one is missing, shorter, or another one.
    """
    with keyring.read() as kept:
        memory = authentic_memory(kept, keyring)
        shards = None if memory is None else remembered_shards(kept, memory.shards_digest)
    if (misfit := _shard_misfit(home, connection, shards or ())) is not None:
        raise misfit.error()


def _shard_misfit(home: Path, connection: Connection, remembered: Sequence[ShardHead]) -> Misfit | None:
    found = misfitting(connection, remembered)
    if not found:
        return None
    data = data_name(on_server=is_on_server(home))
    return Misfit(f"the {data} {found[0][1]}; this is an older {data}, or a shard was changed", RESTORE)


def check_newest(
    home: Path, connection: Connection, keyring: Keyring, newest_seal: Callable[[Connection, int], int | None]
) -> None:
    """Check that the newest entries of the log are those that the keyring has, and that no row was sealed after them.

    `newest_seal` returns the highest generation of a row seal above a size of the log; see `RowSeals.newer_than`.

    Raises:
        TamperError: an entry was changed, or entries were cut off in both files.
    """
    check_newest_leaves(keyring, connection)
    size = audit_log.log_size(connection)
    if (newest := newest_seal(connection, size)) is not None:
        raise TamperError(
            f"integrity: the {data_name(on_server=is_on_server(home))}'s log has {size} entries, and rows were sealed "
            f"when it had {newest}; entries were cut off; {RESTORE}"
        )


def repair_keyring(
    home: Path, connection: Connection, keyring: Keyring, random: Random, now: datetime
) -> KeyringRepair | None:
    """Destroy again the secrets of erased consents that an older keyring still has; None if the keyring is not older.

    Normally a keyring is behind only after a crash or a lock, by a write or two, and has no such secret: then nothing
    is repaired. `remember` brings its memory up to date afterwards.

    Raises:
        TamperError: the older keyring has no secret for a consent in force.
    """
    behind = audit_log.log_size(connection) - keyring.head().size
    if behind <= 0:
        return None
    returned = returned_secrets(connection, keyring)
    if returned:
        destroy_secrets(keyring, returned, random, now)
        keyring.engine.scrub()
    if missing := len(unopenable(connection, keyring)):
        on_server = is_on_server(home)
        raise TamperError(
            f"integrity: the keyring is {behind} entries older than the {data_name(on_server=on_server)}, and has no "
            f"secret for {missing} consents in force; {newest_keyring(on_server=on_server)}, or {RESTORE}, which ends "
            "these consents"
        )
    return KeyringRepair(behind, len(returned)) if returned else None
