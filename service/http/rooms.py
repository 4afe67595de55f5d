"""What all operations share: the site, the workrooms, and who asked how often."""

import asyncio
import threading
import time
from dataclasses import dataclass, field
from typing import Annotated, Any, TypeAlias, final

from fastapi import Depends, Request

from service.following import Follower
from service.http.counting import Metrics
from service.http.rates import Rates
from service.http.workroom import Workroom
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
        exit: withdrawals. A room of its own, so that no queue at a door keeps anybody in.
        credential_rates: how often each credential asks.
        address_rates: how often somebody without one asks.
        courier: tells recipients what happened.
        follower: keeps this process level with what others commit.
        told: which of the decisions at doors they are told.
        metrics: what is counted.
        unwatched: erasures that go on after their answer was given.
        leaving: set when the service is told to end.
    """

    site: Site
    models: Workroom
    desk: Workroom
    exit: Workroom
    courier: Courier
    follower: Follower
    told: Told
    metrics: Metrics
    credential_rates: Rates = field(default_factory=lambda: Rates(50, 100, time.monotonic))
    address_rates: Rates = field(default_factory=lambda: Rates(1, 20, time.monotonic))
    unwatched: set[asyncio.Future[Any]] = field(default_factory=set)
    leaving: threading.Event = field(default_factory=threading.Event)

    @classmethod
    def of(cls, site: Site, model_threads: int, waiting: int, workers: int = 1) -> "Rooms":
        """Open the rooms of a site: so many threads for models, so many requests waiting for them.

        Several workers let who guesses guess as often as one would, all together. A credential's rate is that of each
        worker: a door that keeps its connection talks to one of them.
        """
        return cls(
            site,
            Workroom("models", model_threads, waiting),
            Workroom("desk", 2, waiting),
            Workroom("exit", 1, waiting),
            Courier(site.rights),
            Follower(site.feed),
            Told(site.rights.outbox, time.monotonic),
            Metrics(site),
            address_rates=Rates(1 / workers, max(1, 20 // workers), time.monotonic),
        )

    def leave(self) -> None:
        """Be ready for nothing more; what comes is answered all the same."""
        self.leaving.set()

    def close(self) -> None:
        """Finish what was begun."""
        self.courier.close()
        self.follower.close()
        for room in (self.models, self.desk, self.exit):
            room.close()


async def _rooms_of(request: Request) -> Rooms:
    rooms: Rooms = request.app.state.rooms
    return rooms


RoomsOf: TypeAlias = Annotated[Rooms, Depends(_rooms_of)]
