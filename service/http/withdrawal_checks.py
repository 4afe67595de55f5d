"""Checks of withdrawal codes and receipts: only wrong ones are rate-limited, and all checks together use little CPU.

Many people share one address: behind one NAT, or at one kiosk. So the limit of an address must never keep out a right
code or receipt, and every one that is shown is checked. What protects against guesses is the entropy of a code, 130
random bits (`volens.consent.WithdrawalCode`): `WRONG_PER_S` wrong tries in each second of a year hit a code of a site
with a million consents with a probability of 200 * 3.2e7 * 1e6 / 2^130 = 5e-24. A receipt is signed.
"""

import time
from collections.abc import Callable
from typing import Final, TypeVar, final

from volens.consent import InputError, NoLiveConsentError
from volens.consent.errors import ReceiptSignatureError
from volens.service.http.rate_limits import RateLimiter
from volens.service.http.thread_pool import ThreadPool

WRONG_PER_S: Final = 200
"""Wrong codes and receipts that all workers together check in a second; then each of them delays the next check."""

WRONG: Final = (InputError, NoLiveConsentError, ReceiptSignatureError)
"""The errors that mean: what was shown ends no consent here. `volens.service.http.access` counts them by address."""

_WAITING: Final = 512
_ALL: Final = "all addresses"

Result = TypeVar("Result")


@final
class WithdrawalChecks:
    """One thread that checks what people show, in the order of arrival. For one event loop.

    A check of a code is the look-up of its digest in an index; of a receipt, the verification of one signature. Both
    take less than a millisecond, so that a right one waits for some hundred wrong ones for two seconds at most.
    """

    def __init__(self, workers: int = 1, clock: Callable[[], float] = time.monotonic) -> None:
        """Do one worker's share of `WRONG_PER_S`; `clock` returns seconds and is monotonic."""
        self._pool = ThreadPool("withdrawal checks", 1, _WAITING)
        self._wrong = RateLimiter(max(1, WRONG_PER_S // workers), WRONG_PER_S, clock)

    async def run(self, check: Callable[[], Result]) -> Result:
        """Run a check, and return its result or raise its error.

        Raises:
            BusyError: more checks wait than connections are allowed.
        """
        return await self._pool.run(lambda: self._paced(check))

    def close(self) -> None:
        """Wait for the checks that were accepted."""
        self._pool.close()

    def _paced(self, check: Callable[[], Result]) -> Result:
        try:
            return check()
        except WRONG:
            time.sleep(self._wrong.take(_ALL))
            raise
