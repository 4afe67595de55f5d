"""Witnesses of the public log: who they are, what they are asked to cosign, and what they have cosigned.

They see the checkpoints of the public log and nothing else: what everyone can read. The requests themselves are sent by
`volens.service.cosigning`.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import final

from volens.audit import consistency_proof
from volens.audit.cosignature import Cosignature, WitnessKey, add_checkpoint_request
from volens.store import Store
from volens.store.log import log_size, node_reader
from volens.store.log.cosigned_heads import add_cosignature, lines_of, newest_cosigned
from volens.store.log.log_reading import SignedHead
from volens.store.promises.witness_rows import Witness, add_witness, list_witnesses, remove_witness


@final
@dataclass(frozen=True, slots=True)
class WitnessState:
    """A witness, and size and time of the newest checkpoint that it has cosigned; None before the first."""

    witness: Witness
    size: int | None
    cosigned_at: datetime | None


@final
class Witnesses:
    """The witnesses of one site."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(self, name: str, *, url: str, key: str, allow_private: bool = False) -> Witness:
        """Add a witness, by its verifier key as text; see `volens.store.promises.witness_rows.add_witness`."""
        parsed = WitnessKey.parse(key)
        with self._store.write() as tx:
            return add_witness(tx, name, url.rstrip("/"), parsed, allow_private=allow_private)

    def remove(self, name: str) -> Witness:
        """Remove a witness; see `volens.store.promises.witness_rows.remove_witness`."""
        with self._store.write() as tx:
            return remove_witness(tx, name)

    def all(self, *, removed: bool = False) -> list[WitnessState]:
        """Return the witnesses by name, with what each has cosigned; with `removed`, former ones too."""
        with self._store.read() as connection:
            found = [
                (one, newest_cosigned(connection, one.witness_id))
                for one in list_witnesses(connection, removed=removed)
            ]
        return [WitnessState(one, *(newest or (None, None))) for one, newest in found]

    def missing(self, head: SignedHead) -> list[Witness]:
        """Return the witnesses that have not cosigned a checkpoint."""
        with self._store.read() as connection:
            done = lines_of(connection, head.size)
            return [one for one in list_witnesses(connection) if one.witness_id not in done]

    def last_size(self, witness: Witness, head: SignedHead) -> int:
        """Return the size of the newest checkpoint up to `head` that a witness has cosigned; 0 before the first."""
        with self._store.read() as connection:
            found = newest_cosigned(connection, witness.witness_id, head.size)
        return 0 if found is None else found[0]

    def request(self, head: SignedHead, old_size: int) -> bytes:
        """Return the request to cosign a checkpoint, with the proof that it continues the first `old_size` leaves."""
        with self._store.read() as connection:
            proof = consistency_proof(old_size, head.size, node_reader(connection))
        return add_checkpoint_request(old_size, proof, head.note)

    def log_size(self) -> int:
        """Return the size of the whole log, also of what is not published yet."""
        with self._store.read() as connection:
            return log_size(connection)

    def keep(self, witness: Witness, head: SignedHead, cosignature: Cosignature) -> None:
        """Store a cosignature that was verified, once."""
        with self._store.write() as tx:
            add_cosignature(tx.connection, head.size, witness.witness_id, cosignature)
