"""Cache of a token issuer's keys in a running service.

* The keys are fetched when the first token comes, so that the service starts while the issuer is down.
* Keys are fresh for as long as the issuer said. After that they are fetched before a token is accepted. If that fails,
  the old keys are valid until `KEPT_S` after they were fetched, and later requests do not wait for the next attempts.
* An unknown key id causes a fetch too, because the key may be new.
* There is one fetch at a time for all requests that wait, in its own thread, and at most one every `PAUSE_S`.
"""

import asyncio
import math
import time
from collections.abc import Callable
from datetime import datetime
from typing import Final, final

from volens.service.http.thread_pool import ThreadPool
from volens.service.oidc.issuer_discovery import IssuerError, PublishedKeys, fetch_keys
from volens.service.oidc.issuer_keys import SigningKey
from volens.service.oidc.issuer_token import UnknownKeyError, VerifiedToken, verify_token
from volens.service.oidc.issuer_trust import Trust

PAUSE_S: Final = 30.0
KEPT_S: Final = 24 * 3600.0


@final
class IssuerCache:
    """Verifies the tokens of one issuer. For one event loop."""

    def __init__(
        self,
        trust: Trust,
        fetch: Callable[[Trust], PublishedKeys] = fetch_keys,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Fetch nothing yet; `fetch` raises IssuerError, `clock` returns seconds and is monotonic."""
        self._trust = trust
        self._fetch = fetch
        self._clock = clock
        self._pool = ThreadPool("issuer", 1, 0)
        self._keys: tuple[SigningKey, ...] = ()
        self._fetched_at = self._fresh_until = self._attempted_at = -math.inf
        self._attempt: asyncio.Future[IssuerError | None] | None = None
        self._is_down = False

    async def verify(self, token: str, now: datetime) -> VerifiedToken:
        """Return the verified content of a token; see `verify_token`.

        Raises:
            TokenError: the token is not valid.
            ForeignRoleError: it is valid, but names no role and zone of this site.
            IssuerError: there are no keys, and the issuer cannot be reached.
        """
        keys = await self._current_keys()
        try:
            return verify_token(token, keys, self._trust, now)
        except UnknownKeyError:
            await asyncio.shield(self._refresh())
        return verify_token(token, self._keys, self._trust, now)

    def close(self) -> None:
        """Wait for a fetch that runs, and stop the thread."""
        self._pool.close()

    async def _current_keys(self) -> tuple[SigningKey, ...]:
        now = self._clock()
        if now >= self._fetched_at + KEPT_S:
            self._keys = ()
        if self._keys and now < self._fresh_until:
            return self._keys
        uses_old_keys = bool(self._keys) and self._is_down
        attempt = self._refresh()
        problem = None if uses_old_keys else await asyncio.shield(attempt)
        if not self._keys:
            error = IssuerError("the issuer's keys are not available now" if problem is None else str(problem))
            error.again_after_s = max(1, math.ceil(self._attempted_at + PAUSE_S - self._clock()))
            raise error
        return self._keys

    def _refresh(self) -> asyncio.Future[IssuerError | None]:
        """Return the fetch that runs, or ended within the pause, or a new one."""
        attempt = self._attempt
        if attempt is None or (attempt.done() and self._clock() >= self._attempted_at + PAUSE_S):
            self._attempted_at = self._clock()
            self._attempt = attempt = asyncio.ensure_future(self._fetch_once())
        return attempt

    async def _fetch_once(self) -> IssuerError | None:
        try:
            published = await self._pool.run(lambda: self._fetch(self._trust))
        except IssuerError as error:
            self._is_down = True
            return error
        self._is_down = False
        self._keys, self._fetched_at = published.keys, self._clock()
        self._fresh_until = self._fetched_at + published.fresh_for.total_seconds()
        return None
