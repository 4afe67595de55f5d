"""Application state: the objects that all request handlers share."""

import asyncio
import secrets
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, TypeAlias, final

from fastapi import Depends, Request

from volens import Site
from volens.consent import VolensError
from volens.consent.declarations import SiteFact
from volens.service.cosigning import WitnessCollector
from volens.service.http.decision_counter import DecisionCounter
from volens.service.http.door_sightings import DoorSightings
from volens.service.http.issuer_cache import IssuerCache
from volens.service.http.prometheus_metrics import Metrics
from volens.service.http.rate_limits import RateLimiter
from volens.service.http.thread_pool import ThreadPool
from volens.service.http.withdrawal_checks import WithdrawalChecks
from volens.service.oidc.code_flow import OidcClient
from volens.service.oidc.issuer_trust import Trust
from volens.service.process import FeedFollower, StopKeeper
from volens.service.process.image_decoder import ImageDecoder
from volens.service.process.usable_cpus import usable_cpus
from volens.service.security_contact import SecurityContact, contact_uri
from volens.service.webhooks.delivery import WebhookSender


@final
@dataclass(frozen=True, slots=True)
class StaffIssuer:
    """The issuer at which staff sign in: our client there, and the keys of its ID tokens."""

    client: OidcClient
    keys: IssuerCache


@final
class AppState:
    """The state of one running service.

    Attributes:
        model_pool: decodes the frames of doors and decides about the faces in them, one frame of a caller at a time.
        large_frame_pool: does the same with frames of more than `LARGE_FRAME_PIXELS`, with one thread.
        enrollment_pool: decodes photos and creates references, one form of a caller at a time. It has its own threads,
            so that no door waits for an enrollment.
        image_decoder: decodes the large images of the last two, in a process of low priority.
        answer_pool: creates the files that answer requests, and dossiers, one after the other.
        desk_pool: reads and writes rows.
        withdrawal_checks: checks codes and receipts, before the withdrawal waits for its thread.
        withdrawal_pool: runs withdrawals. It has its own thread, so that a queue at a door never delays a withdrawal.
        hook_pool: verifies and stores revocations of senders.
        revocation_pool: carries them out. Neither of the two waits for the other, or for withdrawals, so that no answer
            shows what an earlier message did.
        job_pool: runs long jobs, one after the other.
        health_pool: reads what metrics and readiness need, so that they wait for no work of the site.
        credential_pool: checks credentials of a site on a server, which may be slow to answer; None for files, where a
            check costs less than a thread.
        issuer: verifies tokens of a trusted issuer; None if only our own credentials are accepted.
        staff_issuer: where staff sign in, if not with a passkey of this site; None without one.
        address_limiter: limits addresses that send no valid credential. All workers together allow as many guesses as
            one worker would. The limit of a caller is per worker: a door that keeps its connection talks to one worker.
        log_reader_limiter: limits addresses that read the public log.
        public_log: what anyone may read of the audit log.
        page_pool: renders pages; anonymous readers of pages never delay a door, a desk or a withdrawal.
        public_log_pool: its own thread, so that anonymous readers never delay a door, a desk or a withdrawal.
        sightings: collects when doors were heard of.
        stop_keeper: retries withdrawals that the store could not record.
        stopping: set when the service begins to shut down.
        security: what ``security.txt`` says.
        orders_folder: for dossiers and answers of erasure orders; None if there is none.
        open_streams: number of open streams of each caller.
    """

    def __init__(
        self,
        site: Site,
        model_threads: int,
        waiting: int,
        *,
        workers: int = 1,
        orders_folder: Path | None = None,
        trust: Trust | None = None,
        client: OidcClient | None = None,
        public_log_period: timedelta = timedelta(days=1),
        security: SecurityContact | None = None,
    ) -> None:
        """Create the state for an open site; `waiting` requests may queue for the threads of each pool.

        `public_log_period` is the time at whose end the public log grows; zero publishes everything at once.
        """
        self.site = site
        self.model_pool = ThreadPool("models", model_threads, waiting, per_caller=1)
        # All three together compute with half of the processors, so that the doors have the other half.
        half = threading.Semaphore(max(1, usable_cpus() // 2))
        self.large_frame_pool = ThreadPool("large frames", 1, waiting, per_caller=1, turnstile=half)
        self.enrollment_pool = ThreadPool(
            "enrollments", max(1, usable_cpus() // 4), waiting, per_caller=1, turnstile=half
        )
        self.image_decoder = ImageDecoder()
        self.answer_pool = ThreadPool("answers", 1, waiting, turnstile=half)
        self.desk_pool = ThreadPool("desk", 2, waiting)
        self.withdrawal_checks = WithdrawalChecks(workers)
        self.withdrawal_pool = ThreadPool("withdrawals", 1, waiting)
        self.hook_pool = ThreadPool("hooks", 1, waiting)
        self.revocation_pool = ThreadPool("revocations", 1, waiting)
        self.job_pool = ThreadPool("jobs", 1, 8)
        self.health_pool = ThreadPool("health", 2, 8)
        is_remote = site.installation.store.data.remote is not None
        self.credential_pool = ThreadPool("credentials", 4, waiting) if is_remote else None
        self.public_log = site.log.public(public_log_period)
        self.public_log_pool = ThreadPool("public log", 1, 32)
        self.page_pool = ThreadPool("pages", 2, waiting)
        self.webhook_sender = WebhookSender(site)
        self.witness_collector = WitnessCollector(site, self.public_log)
        self.follower = FeedFollower(site.feed)
        self.stop_keeper = StopKeeper(site)
        self.metrics = Metrics(site)
        self.decisions = DecisionCounter(site.programs.decisions, secrets.token_hex(8), site.now)
        self.sightings = DoorSightings(site.programs.doors, site.now)
        self.issuer = None if trust is None else IssuerCache(trust)
        self.staff_issuer = None if client is None else StaffIssuer(client, IssuerCache(client.id_token_trust))
        self.caller_limiter = RateLimiter(50, 100, time.monotonic)
        self.address_limiter = RateLimiter(1 / workers, max(1, 20 // workers), time.monotonic)
        self.log_reader_limiter = RateLimiter(10 / workers, max(1, 100 // workers), time.monotonic)
        self.stopping = threading.Event()
        self.security = security or SecurityContact()
        self.orders_folder = orders_folder
        self.open_streams = Counter[str]()
        self._background_tasks = set[asyncio.Future[Any]]()

    def security_txt(self) -> str | None:
        """Return ``security.txt``; None if there is no contact to state. Call it in a thread, because it reads.

        The contact is the one of the settings, else the declared one, else the controller's.

        Raises:
            TamperError: the rows of the site do not verify.
        """
        declared = self.site.declarations.of_site().get(SiteFact.SECURITY_CONTACT, "")
        contact = declared if contact_uri(declared) else self.site.installation.store.site.controller.contact
        return self.security.text(contact, self.site.now())

    @property
    def is_busy_afterwards(self) -> bool:
        """Whether work that outlives its request is under way."""
        return bool(self._background_tasks)

    def note_decision(self, door_id: str, zone: str | None) -> None:
        """Note that a door got a decision about a face just now, by its id in logs."""
        with suppress(VolensError):  # the clock is behind the log; operations report it
            self.sightings.note_decision(door_id, zone)
            self.site.feed.decided_at = self.site.now()

    def clock_ms(self) -> int:
        """Return the machine's clock, in milliseconds since 1970."""
        return int(self.site.installation.store.clock().timestamp() * 1000)

    def keep_until_done(self, task: asyncio.Future[Any]) -> None:
        """Keep a reference to a task that outlives its request; the event loop has only a weak one."""
        self._background_tasks.add(task)
        task.add_done_callback(self._background_tasks.discard)

    def close(self) -> None:
        """Finish all work that has started, and stop the threads."""
        self.webhook_sender.close()
        self.witness_collector.close()
        self.follower.close()
        for pool in (
            *(self.model_pool, self.large_frame_pool, self.enrollment_pool, self.answer_pool),
            *(self.job_pool, self.public_log_pool, self.page_pool, self.desk_pool),
            *(self.withdrawal_pool, self.hook_pool, self.revocation_pool, self.health_pool),
        ):
            pool.close()
        if self.credential_pool is not None:
            self.credential_pool.close()
        self.image_decoder.close()
        self.withdrawal_checks.close()
        self.stop_keeper.close()
        if self.issuer is not None:
            self.issuer.close()
        if self.staff_issuer is not None:
            self.staff_issuer.keys.close()
        self.sightings.close()
        self.decisions.close()


async def _state_of(request: Request) -> AppState:
    app_state: AppState = request.app.state.app_state
    return app_state


SharedState: TypeAlias = Annotated[AppState, Depends(_state_of)]
