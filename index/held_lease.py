"""A lease as a door holds it: its references in locked memory, compared until the term is over, then zeroed."""

import threading
from collections.abc import Callable
from typing import Final, Self, final

import numpy as np

from volens.consent import TamperError
from volens.consent.embedding import FloatArray
from volens.consent.in_process import InProcess
from volens.consent.lease import LeaseClaims, LeaseDoor, LeaseTerm, verify_lease
from volens.store.files.locked_memory import LockedMemory
from volens.store.keys import LeaseKey
from volens.store.keys.lease_boxes import lease_context, open_entries

_FLOAT_BYTES: Final = 4


@final
class HeldLease(InProcess):
    """The lease of one door. Thread-safe.

    Attributes:
        claims: what the lease says.
        term: on the clock of this machine.
    """

    __slots__ = ("_clock", "_handles", "_lock", "_memory", "_vectors", "claims", "term")

    def __init__(
        self,
        claims: LeaseClaims,
        term: LeaseTerm,
        key: LeaseKey,
        references: bytes,
        dimension: int,
        clock: Callable[[], float],
    ) -> None:
        """Open the references of a verified lease (`HeldLease.opened`).

        Raises:
            TamperError: a reference does not open.
            OSError, MemoryError: the system has no memory left.
        """
        self.claims = claims
        self.term = term
        self._clock = clock
        self._lock = threading.Lock()
        self._memory: LockedMemory | None = LockedMemory(max(1, claims.people * dimension * _FLOAT_BYTES))
        size = claims.people * dimension * _FLOAT_BYTES
        self._vectors: FloatArray | None = np.frombuffer(self._memory.view[:size], dtype="<f4").reshape(
            claims.people, dimension
        )
        of = lease_context(claims.site_id, claims.purpose, claims.holder, claims.lease_id, claims.model_id)
        try:
            self._handles = list(open_entries(references, key, of, self._vectors, claims.people, dimension))
        except TamperError:
            self.wipe()
            raise

    @classmethod
    def opened(
        cls,
        token: str,
        key: LeaseKey,
        references: bytes,
        door: LeaseDoor,
        *,
        asked_at_s: float,
        dimension: int,
        clock: Callable[[], float],
    ) -> Self:
        """Verify a lease that was asked for at `asked_at_s` of the clock, and open it; the caller wipes the key.

        Raises:
            InputError, TamperError: see `verify_lease`; or a reference does not open.
        """
        claims = verify_lease(token, references, door)
        return cls(claims, LeaseTerm(asked_at_s, claims.term_seconds), key, references, dimension, clock)

    @property
    def is_usable(self) -> bool:
        """Whether something may be decided with it now. If not, it is zeroed, and stays unusable."""
        if self._vectors is not None and self.term.is_over(self._clock()):
            self.wipe()
        return self._vectors is not None

    def best(self, probe: FloatArray) -> tuple[int, float] | None:
        """Return the number and the score of the most similar reference, if it reaches the threshold of the lease.

        Args:
            probe: float32 (d,), unit L2 norm; read, never written.

        None also if the term is over: of the clock it is asked after the comparison, so that a process that was stopped
        in between answers nothing.
        """
        with self._lock:
            if self._vectors is None or not self.claims.people:
                return None
            scores = self._vectors @ probe
            number = int(np.argmax(scores))
            score = float(scores[number])
            scores.fill(0)
        if not self.is_usable or score < self.claims.threshold:
            return None
        return number, score

    def handle(self, number: int) -> bytes:
        """Return what the site calls a reference, sealed; only the site can read it."""
        return self._handles[number]

    def wipe(self) -> None:
        """Zero the references."""
        with self._lock:
            memory, self._memory, self._vectors = self._memory, None, None
            if memory is not None:
                memory.close()
