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

from service.following import Follower
from service.http.counting import Metrics
from service.http.decisions import Decisions
from service.http.issuer import Issuer
from service.http.rates import Rates
from service.http.workroom import Workroom
from service.oidc.trust import Trust
from service.webhooks.delivery import Courier
from service.webhooks.told import Told
from volens import Site


@final
@dataclass(frozen=True, slots=True)
class Rooms:
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
    models: Workroom
    desk: Workroom
    exit: Workroom
    jobs: Workroom
    courier: Courier
    follower: Follower
    told: Told
    metrics: Metrics
    decisions: Decisions
    issuer: Issuer | None = None
    credential_rates: Rates = field(default_factory=lambda: Rates(50, 100, time.monotonic))
    address_rates: Rates = field(default_factory=lambda: Rates(1, 20, time.monotonic))
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
    ) -> "Rooms":
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
            Workroom("models", model_threads, waiting),
            Workroom("desk", 2, waiting),
            Workroom("exit", 1, waiting),
            Workroom("jobs", 1, 8),
            Courier(site.rights),
            Follower(site.feed),
            Told(site.rights.outbox, time.monotonic),
            Metrics(site),
            Decisions(site.decisions, secrets.token_hex(8)),
            issuer=None if trust is None else Issuer(trust),
            address_rates=Rates(1 / workers, max(1, 20 // workers), time.monotonic),
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


async def _rooms_of(request: Request) -> Rooms:
    rooms: Rooms = request.app.state.rooms
    return rooms


RoomsOf: TypeAlias = Annotated[Rooms, Depends(_rooms_of)]
