"""Bounded thread pool: `workers` calls run, `waiting` calls queue fairly, and further calls raise `BusyError`."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, final

from volens.consent import UnavailableError
from volens.service.http.fair_queue import FairQueue, Lane

Result = TypeVar("Result")


class BusyError(UnavailableError):
    """The thread pool and its queue are full; the caller may retry."""


@dataclass(frozen=True, slots=True, eq=False)
class _Call(Generic[Result]):
    run: Callable[[], Result]
    result: asyncio.Future[Result]


@final
class ThreadPool:
    """Threads behind a bounded, fair queue (`FairQueue`). For one event loop.

    Attributes:
        in_use: number of calls that run or wait.
    """

    def __init__(
        self,
        name: str,
        workers: int,
        waiting: int,
        *,
        per_caller: int | None = None,
        turnstile: threading.Semaphore | None = None,
    ) -> None:
        """Create the pool; its threads start when they are needed.

        Args:
            name: of the threads.
            workers: calls that run at the same time.
            waiting: further calls that may wait.
            per_caller: calls of one caller that run at the same time; None for no limit.
            turnstile: entered for each call; several pools that have the same one run fewer calls than they have
                threads.
        """
        self._executor = ThreadPoolExecutor(workers, name)
        self._queue = FairQueue[_Call[Any]](per_caller)
        self._lock = threading.Lock()  # of the queue
        self._turnstile = nullcontext() if turnstile is None else turnstile
        self._capacity = workers + waiting
        self.in_use = 0

    def check_capacity(self) -> None:
        """Check that one more call fits into the queue now.

        Raises:
            BusyError: it does not.
        """
        if self.in_use >= self._capacity:
            raise _busy()

    async def run(self, call: Callable[[], Result], *, zone: str = "", caller: str = "") -> Result:
        """Run a call in a thread, in its turn as a call of this zone and caller, and return its result.

        Raises:
            BusyError: the queue is full, or this call had to make room for another caller's; it was not made.
        """
        lane = Lane(zone, caller)
        result: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        if self.in_use >= self._capacity:
            with self._lock:
                dropped = self._queue.drop_for(lane)
            if dropped is None:
                raise _busy()
            self._finish(dropped.result, _busy())
        self.in_use += 1
        with self._lock:
            self._queue.put(lane, _Call(call, result))
        # Not cancelled when the caller is: a thread cannot be stopped, so its place stays in use.
        self._executor.submit(self._work)
        return await result

    def close(self) -> None:
        """Wait for all calls that were accepted, and accept no more."""
        self._executor.shutdown(wait=True)

    def _work(self) -> None:
        """Run calls until none may run. A call that may not run now is run by the thread that its caller occupies."""
        while True:
            with self._lock:
                taken = self._queue.take()
            if taken is None:
                return
            lane, call = taken
            value, error = None, None
            try:
                with self._turnstile:
                    value = call.run()
            except BaseException as raised:  # noqa: BLE001  it is raised in the event loop
                error = raised
            with self._lock:
                self._queue.done(lane)
            with suppress(RuntimeError):  # the event loop was closed
                call.result.get_loop().call_soon_threadsafe(self._finish, call.result, error, value)
            del taken, call, value, error  # this thread may wait for long

    def _finish(self, result: asyncio.Future[Any], error: BaseException | None, value: object = None) -> None:
        self.in_use -= 1
        if result.done():  # the caller was cancelled
            return
        if error is None:
            result.set_result(value)
        else:
            result.set_exception(error)


def _busy() -> BusyError:
    return BusyError("the service is busy; retry in a moment")
