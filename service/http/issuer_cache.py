"""The keys of an issuer in a running service: asked for when a token needs them, kept, and asked for anew.

* Nothing is asked before the first token comes, so that the service starts though the issuer is down.
* Keys are fresh for as long as the issuer said. After that it is asked before a token is believed. If that fails, the
  old ones are good until `KEPT_S` after they came, and nobody waits for the next attempts.
* A key that nobody knows lets the issuer be asked too: it may be new.
* One question at a time, in a thread of its own, for all who wait; between two of them `PAUSE_S`, whoever sends what.
"""

import asyncio
import math
import time
from collections.abc import Callable
from datetime import datetime
from typing import Final, final

from volens.service.http.thread_pool import ThreadPool
from volens.service.oidc.issuer_discovery import IssuerError, Published, fetch_keys
from volens.service.oidc.issuer_keys import SigningKey
from volens.service.oidc.issuer_token import UnknownKeyError, VerifiedToken, verify_token
from volens.service.oidc.issuer_trust import Trust

PAUSE_S: Final = 30.0
KEPT_S: Final = 24 * 3600.0


@final
class Issuer:
    """Believes the tokens of one issuer. For one event loop."""

    def __init__(
        self,
        trust: Trust,
        fetch: Callable[[Trust], Published] = fetch_keys,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Ask nothing yet.

        Args:
            trust: which issuer, and how far.
            fetch: asks it for its keys; raises IssuerError.
            clock: in seconds, never back.
        """
        self._trust = trust
        self._fetch = fetch
        self._clock = clock
        self._room = ThreadPool("issuer", 1, 0)
        self._keys: tuple[SigningKey, ...] = ()
        self._came_at = self._fresh_until = self._asked_at = -math.inf
        self._asking: asyncio.Future[IssuerError | None] | None = None
        self._is_down = False

    async def vouched(self, token: str, now: datetime) -> VerifiedToken:
        """Return who a token is about; see `verify_token`.

        Raises:
            TokenError: it is none that is in force.
            ForeignRoleError: it is in force, and names no role and zone of ours.
            IssuerError: there are no keys, and the issuer gives none.
        """
        keys = await self._good_keys()
        try:
            return verify_token(token, keys, self._trust, now)
        except UnknownKeyError:
            await asyncio.shield(self._ask())
        return verify_token(token, self._keys, self._trust, now)

    def close(self) -> None:
        """Finish what was begun."""
        self._room.close()

    async def _good_keys(self) -> tuple[SigningKey, ...]:
        now = self._clock()
        if now >= self._came_at + KEPT_S:
            self._keys = ()
        if self._keys and now < self._fresh_until:
            return self._keys
        nobody_waits = bool(self._keys) and self._is_down
        asking = self._ask()
        problem = None if nobody_waits else await asyncio.shield(asking)
        if not self._keys:
            error = IssuerError("the issuer's keys cannot be had now" if problem is None else str(problem))
            error.again_after_s = max(1, math.ceil(self._asked_at + PAUSE_S - self._clock()))
            raise error
        return self._keys

    def _ask(self) -> asyncio.Future[IssuerError | None]:
        """Return the question that is under way, or was asked within the pause, or a new one."""
        asking = self._asking
        if asking is None or (asking.done() and self._clock() >= self._asked_at + PAUSE_S):
            self._asked_at = self._clock()
            self._asking = asking = asyncio.ensure_future(self._answered())
        return asking

    async def _answered(self) -> IssuerError | None:
        try:
            published = await self._room.do(lambda: self._fetch(self._trust))
        except IssuerError as error:
            self._is_down = True
            return error
        self._is_down = False
        self._keys, self._came_at = published.keys, self._clock()
        self._fresh_until = self._came_at + published.fresh_for.total_seconds()
        return None
