"""Holder of a door's lease: renews it at a third of its term, drops it when it is revoked, zeroes it when it ends.

1. The term counts from before the question (`volens.consent.lease`), on a clock that goes on while the machine sleeps.
2. The holder says which lease it has in a long poll, so that a revocation reaches it at once. It drops the lease before
   it says that it has none.
3. A second thread looks at the clock, so that the references are zeroed at the end also while an answer is waited for.
4. An answer that comes after its time limit is never used.
"""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final, final

from volens.consent import RefusedError, VolensError
from volens.consent.lease import LeaseDoor
from volens.index.held_lease import HeldLease
from volens.service.backoff import again_in_s
from volens.service.door.lease_client import LeaseClient
from volens.service.door.lease_journal import LeaseJournal

LONGEST_WAIT_S: Final = 10
REFUSED_PAUSE_S: Final = 15.0
_LOOK_S: Final = 0.1


def lease_clock() -> float:
    """Return seconds of a clock that no one sets, and that counts while the machine is suspended, if there is one."""
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boot is None else time.clock_gettime(boot)


@final
class LeaseHolder:
    """Holds the lease of one door. `start` begins two threads; `close` ends them and zeroes the lease.

    Attributes:
        problem: why there is no newer lease; None if the last question was answered with one.
    """

    def __init__(
        self,
        client: LeaseClient,
        door: LeaseDoor,
        model_id: str,
        dimension: int,
        journal: LeaseJournal,
        clock: Callable[[], float] = lease_clock,
        *,
        liveness_model: str | None = None,
    ) -> None:
        """Hold leases of a model; `clock` returns seconds and is monotonic; `liveness_model` as in `LeaseClaims`."""
        self.problem: str | None = None
        self._client = client
        self._door = door
        self._model_id = model_id
        self._liveness_model = liveness_model
        self._dimension = dimension
        self._journal = journal
        self._clock = clock
        self._held: HeldLease | None = None
        self._answered_at_s = -float("inf")
        self._was_lost = False
        self._ended = threading.Event()
        self._threads = [
            threading.Thread(target=one, name=name, daemon=True)
            for one, name in ((self._run, "door-lease"), (self._watch, "door-lease-end"))
        ]

    def start(self) -> None:
        """Ask for the first lease, in the background."""
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Zero the lease, say so if the service answers, and end the threads."""
        self._ended.set()
        held = self._drop()
        for thread in self._threads:
            thread.join(1.0)
        if held is not None:
            with suppress(VolensError):
                self._client.acknowledge(held.claims.lease_id, holds=False)

    @property
    def held(self) -> HeldLease | None:
        """The lease, if something may be decided with it now."""
        held = self._held
        return held if held is not None and held.is_usable else None

    def answered_since(self, at_s: float) -> bool:
        """Return whether the service answered after this time of `time.monotonic`."""
        return self._answered_at_s > at_s

    def _run(self) -> None:
        failures = 0
        while not self._ended.is_set():
            try:
                self._step()
            except RefusedError as error:
                self.problem = str(error)
                self._answered_at_s = time.monotonic()
                self._drop()
                self._ended.wait(REFUSED_PAUSE_S)
            except (VolensError, OSError, MemoryError) as error:
                failures, self._was_lost = failures + 1, True
                self.problem = str(error)
                self._ended.wait(min(2.0, again_in_s(failures, 1.0)))
            else:
                failures = 0

    def _step(self) -> None:
        held = self.held
        if held is None or self._clock() >= held.term.renew_at_s:
            self._renew()
            return
        left_s = held.term.renew_at_s - self._clock()
        # 2.
        self._journal.deliver(self._client.deliver)
        wait_s = 0 if self._was_lost else max(0, min(LONGEST_WAIT_S, int(left_s)))
        may_hold = self._client.acknowledge(held.claims.lease_id, holds=True, wait_s=wait_s)
        self._answered_at_s, self._was_lost = time.monotonic(), False
        if not may_hold:
            self._drop()
            self._client.acknowledge(held.claims.lease_id, holds=False)
        elif left_s < 1:
            self._ended.wait(max(0.05, left_s))

    def _renew(self) -> None:
        # 1.
        asked_at_s = self._clock()
        asked = self._client.ask(self._model_id, self._liveness_model)
        self._answered_at_s, self._was_lost = time.monotonic(), False
        with asked.key as key:
            new = HeldLease.opened(
                asked.token,
                key,
                asked.references,
                self._door,
                asked_at_s=asked_at_s,
                dimension=self._dimension,
                clock=self._clock,
            )
        before, self._held = self._held, new
        if before is not None:
            before.wipe()
        self.problem = None
        if self._ended.is_set():
            self._drop()
        self._client.acknowledge(new.claims.lease_id, holds=True)
        self._journal.deliver(self._client.deliver)

    def _drop(self) -> HeldLease | None:
        held, self._held = self._held, None
        if held is not None:
            held.wipe()
        return held

    def _watch(self) -> None:
        # 3.
        while not self._ended.wait(_LOOK_S):
            held = self._held
            if held is not None:
                _ = held.is_usable
