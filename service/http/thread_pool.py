"""Bounded thread pool: `workers` calls run, `waiting` calls queue, and further calls raise `BusyError`."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar, final

from volens.consent import UnavailableError

Result = TypeVar("Result")


class BusyError(UnavailableError):
    """The thread pool and its queue are full; the caller may retry."""


@final
class ThreadPool:
    """Threads behind a bounded queue. For one event loop. `in_use` is the number of calls that run or wait."""

    def __init__(self, name: str, workers: int, waiting: int) -> None:
        self._executor = ThreadPoolExecutor(workers, name)
        self._capacity = workers + waiting
        self.in_use = 0

    def check_capacity(self) -> None:
        """Check that one more call fits into the queue now.

        Raises:
            BusyError: it does not.
        """
        if self.in_use >= self._capacity:
            raise BusyError("the service is busy; retry in a moment")

    async def run(self, call: Callable[[], Result]) -> Result:
        """Run a call in a thread, and return its result.

        Raises:
            BusyError: the queue is full; the call was not made.
        """
        self.check_capacity()
        loop = asyncio.get_running_loop()
        result: asyncio.Future[Result] = loop.create_future()

        def finish(done: Future[Result]) -> None:
            self.in_use -= 1
            if result.done():  # the caller was cancelled
                return
            error = done.exception()
            if error is None:
                result.set_result(done.result())
            else:
                result.set_exception(error)

        def in_thread(done: Future[Result]) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(finish, done)

        self.in_use += 1
        # Not decremented when the caller is cancelled: a thread cannot be stopped, so its place stays in use.
        self._executor.submit(call).add_done_callback(in_thread)
        return await result

    def close(self) -> None:
        """Wait for all calls that were accepted, and accept no more."""
        self._executor.shutdown(wait=True)
