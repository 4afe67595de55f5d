"""Work that takes a processor, off the event loop: so many at once, so many waiting, and the next is sent away."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar, final

from volens.consent import UnavailableError

Result = TypeVar("Result")


class BusyError(UnavailableError):
    """All places are taken; the caller may come again."""


@final
class ThreadPool:
    """Threads behind a bounded queue. For one event loop."""

    def __init__(self, name: str, workers: int, waiting: int) -> None:
        """Make a workroom.

        Args:
            name: of its threads.
            workers: how many work at once, from 1.
            waiting: how many may wait, from 0.
        """
        self._threads = ThreadPoolExecutor(workers, name)
        self._places = workers + waiting
        self._taken = 0

    @property
    def taken(self) -> int:
        """How many are at work or waiting."""
        return self._taken

    def check_place(self) -> None:
        """Check that somebody more may wait, as far as can be told now.

        Raises:
            BusyError: nobody more may.
        """
        if self._taken >= self._places:
            raise BusyError("the service has as much to do as it can take; ask again in a moment")

    async def do(self, work: Callable[[], Result]) -> Result:
        """Do some work in a thread, and return what it returns.

        Raises:
            BusyError: nobody more may wait; nothing was done.
        """
        self.check_place()
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Result] = loop.create_future()

        def leave(done: Future[Result]) -> None:
            self._taken -= 1
            if answer.done():  # the caller has gone
                return
            error = done.exception()
            if error is None:
                answer.set_result(done.result())
            else:
                answer.set_exception(error)

        def finished(done: Future[Result]) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(leave, done)

        self._taken += 1
        # Not when the caller has gone: a thread cannot be called back, and its place is taken until it has finished.
        self._threads.submit(work).add_done_callback(finished)
        return await answer

    def close(self) -> None:
        """Finish what was begun, and take nothing more."""
        self._threads.shutdown(wait=True)
