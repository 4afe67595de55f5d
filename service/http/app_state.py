"""What all operations share: the site, the workrooms, and who asked how often."""

import asyncio
import secrets
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, TypeAlias, final

from fastapi import Depends, Request

from volens import Site
from volens.service.http.decision_log import Decisions
from volens.service.http.issuer_cache import Issuer
from volens.service.http.prometheus_metrics import Metrics
from volens.service.http.rate_limits import RateLimiter
from volens.service.http.thread_pool import ThreadPool
from volens.service.oidc.issuer_trust import Trust
from volens.service.process.following import Follower
from volens.service.webhooks.decision_notifier import DecisionNotifier
from volens.service.webhooks.delivery import WebhookSender


@final
@dataclass(frozen=True, slots=True)
class AppState:
    """One for each running service.

    Attributes:
        models: decodes photos and looks at faces; one thread for each processor that it may take.
        desk: reads and writes rows.
        jobs: what takes long, one after the other.
        exit: withdrawals. A room of its own, so that no queue at a door keeps anybody in.
        credential_rates: how often each credential asks.
        address_rates: how often somebody without one asks.
        courier: tells recipients what happened.
        follower: keeps this process level with what others commit.
        told: which of the decisions at doors they are told.
        metrics: what is counted.
        decisions: what was decided, for the audit log.
        issuer: whose tokens are believed besides our own credentials; None where nobody's are.
        unwatched: erasures that go on after their answer was given.
        leaving: set when the service is told to end.
        orders: a folder for what orders to erase leave; None where there is none.
        streams: how many each credential has open.
    """

    site: Site
    models: ThreadPool
    desk: ThreadPool
    exit: ThreadPool
    jobs: ThreadPool
    courier: WebhookSender
    follower: Follower
    told: DecisionNotifier
    metrics: Metrics
    decisions: Decisions
    issuer: Issuer | None = None
    credential_rates: RateLimiter = field(default_factory=lambda: RateLimiter(50, 100, time.monotonic))
    address_rates: RateLimiter = field(default_factory=lambda: RateLimiter(1, 20, time.monotonic))
    unwatched: set[asyncio.Future[Any]] = field(default_factory=set)
    leaving: threading.Event = field(default_factory=threading.Event)
    orders: Path | None = None
    streams: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(
        cls,
        site: Site,
        model_threads: int,
        waiting: int,
        *,
        workers: int = 1,
        orders: Path | None = None,
        trust: Trust | None = None,
    ) -> "AppState":
        """Open the rooms of a site.

        Several workers let who guesses guess as often as one would, all together. A credential's rate is that of each
        worker: a door that keeps its connection talks to one of them.

        Args:
            site: open.
            model_threads: for models.
            waiting: how many requests may wait for a thread.
            workers: how many processes serve the site together.
            orders: a folder for what orders to erase leave.
            trust: whose tokens are believed.
        """
        return cls(
            site,
            ThreadPool("models", model_threads, waiting),
            ThreadPool("desk", 2, waiting),
            ThreadPool("exit", 1, waiting),
            ThreadPool("jobs", 1, 8),
            WebhookSender(site.rights),
            Follower(site.feed),
            DecisionNotifier(site.rights.outbox, time.monotonic),
            Metrics(site),
            Decisions(site.decisions, secrets.token_hex(8)),
            issuer=None if trust is None else Issuer(trust),
            address_rates=RateLimiter(1 / workers, max(1, 20 // workers), time.monotonic),
            orders=orders,
        )

    def leave(self) -> None:
        """Be ready for nothing more; what comes is answered all the same."""
        self.leaving.set()

    def close(self) -> None:
        """Finish what was begun."""
        self.courier.close()
        self.follower.close()
        for room in (self.models, self.jobs, self.desk, self.exit):
            room.close()
        if self.issuer is not None:
            self.issuer.close()
        self.decisions.close()


async def _app_state_of(request: Request) -> AppState:
    app_state: AppState = request.app.state.app_state
    return app_state


RoomsOf: TypeAlias = Annotated[AppState, Depends(_app_state_of)]
