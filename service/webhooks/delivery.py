"""Delivery of outbound webhooks: at least once, signed, in order for each person, in background threads.

1. A message is claimed for a time, so that no other process sends it; if the sender is killed, the claim expires.
2. The name of the endpoint is resolved and checked (`address_guard`), and the message is posted, signed with the
   endpoint's secrets.
3. 2xx: the message is delivered. For `subject.erased` this acknowledges the erasure, and is recorded in the
   certificate; a recipient with a public key acknowledges with a signed statement as the response body.
4. 410: the endpoint is disabled until the operator enables it.
5. Any other response, or none: retry with backoff (`retry_schedule`); the message is given up after three days.
"""

import random
import ssl
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final, final

from volens import Site
from volens.consent import UnavailableError, VolensError
from volens.consent.json_reader import read_json
from volens.erase.proof import MAX_STATEMENT_BYTES
from volens.service.webhooks.address_guard import AddressError, Resolve, checked_addresses, look_up, parse_target
from volens.service.webhooks.posting import TIMEOUT_S, DeliveryError, Response, request
from volens.service.webhooks.retry_schedule import next_attempt_at
from volens.service.webhooks.signatures import SymmetricKey, sign
from volens.store.programs import Endpoint, Message, MessageKind
from volens.store.programs.endpoints import Endpoints

THREADS: Final = 8
POLL_S: Final = 1.0

_GONE: Final = 410
_OK: Final = range(200, 300)
_HEADERS: Final = {"Content-Type": "application/json", "User-Agent": "Volens"}


@final
class WebhookSender:
    """Delivers the messages of a site in a thread pool. Close it before the site."""

    def __init__(
        self,
        site: Site,
        *,
        resolve: Resolve = look_up,
        timeout_s: float = TIMEOUT_S,
        chance: Callable[[], float] = random.random,
        context: ssl.SSLContext | None = None,
        threads: int = THREADS,
    ) -> None:
        """Create the thread pool; nothing is sent yet.

        `timeout_s` limits each delivery; `chance` returns random numbers from 0 to 1, for the jitter; `threads` is how
        many deliveries run at the same time.
        """
        self._site = site
        self._outbox = site.programs.outbox
        self._resolve = resolve
        self._timeout_s = timeout_s
        self._chance = chance
        self._context = context
        self._pool = ThreadPoolExecutor(threads, "webhook-sender")
        self._capacity = threads
        self._in_flight: set[Future[None]] = set()
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._wake = threading.Event()
        self._loop: threading.Thread | None = None

    def start(self) -> None:
        """Deliver due messages from now on; check for new ones every `POLL_S` seconds."""
        self._loop = threading.Thread(target=self._run, name="webhook-sender", daemon=True)
        self._loop.start()

    def close(self) -> None:
        """Start no further delivery, and wait for those that run; each is limited by `timeout_s`."""
        self._ended.set()
        self._wake.set()
        if self._loop is not None:
            self._loop.join()
        self._pool.shutdown(wait=True)

    def deliver_due(self) -> int:
        """Deliver all messages that are due now, and return the number of attempts."""
        tried = 0
        while messages := self._outbox.claim(self._capacity):
            for one in [self._pool.submit(self._deliver, message) for message in messages]:
                one.result()
            tried += len(messages)
        return tried

    def _run(self) -> None:
        while not self._ended.is_set():
            self._wake.clear()
            with self._lock:
                free = self._capacity - len(self._in_flight)
            with suppress(UnavailableError):  # the store is busy; the messages stay queued
                for message in self._outbox.claim(free) if free else []:
                    self._submit(message)
            self._wake.wait(POLL_S)

    def _submit(self, message: Message) -> None:
        future = self._pool.submit(self._deliver, message)
        with self._lock:
            self._in_flight.add(future)
        future.add_done_callback(self._finished)

    def _finished(self, future: Future[None]) -> None:
        with self._lock:
            self._in_flight.discard(future)
        self._wake.set()

    def _deliver(self, message: Message) -> None:
        """Deliver one message and record the result; without a record the message is retried when its claim expires."""
        try:
            # 2.
            response = self._post(message)
        except (DeliveryError, AddressError, OSError) as error:
            problem = str(error) if isinstance(error, VolensError) else "the name has no address"
            with suppress(UnavailableError):
                self._outbox.failed(message, problem, self._next_attempt_at(message, None))
            return
        with suppress(UnavailableError):
            if response.status in _OK:
                # 3.
                self._acknowledge(message, response)
                self._outbox.delivered(message)
                return
            if response.status == _GONE:
                # 4.
                endpoint_id = message.endpoint.endpoint_id
                self._site.programs.endpoints.disable(endpoint_id, "the receiver responded 410 (gone)")
            # 5.
            self._outbox.failed(message, f"status {response.status}", self._next_attempt_at(message, response))

    def _post(self, message: Message) -> Response:
        endpoint = message.endpoint
        target = parse_target(endpoint.url, allow_private=endpoint.allow_private)
        addresses = checked_addresses(target, allow_private=endpoint.allow_private, resolve=self._resolve)
        # The machine's clock, not the store's, because the receiver compares the timestamp with its own clock.
        headers = signed_headers(self._site.programs.endpoints, message, datetime.now(UTC))
        return request(
            "POST", target, addresses, headers, message.body, timeout_s=self._timeout_s, context=self._context
        )

    def _next_attempt_at(self, message: Message, response: Response | None) -> datetime | None:
        wait = None if response is None else response.retry_after
        return next_attempt_at(message.first_at, self._site.now(), message.attempts + 1, self._chance(), wait)

    def _acknowledge(self, message: Message, response: Response) -> None:
        if message.kind is not MessageKind.SUBJECT_ERASED:
            return
        recipients = self._site.rights.recipients
        statement = response.body
        if len(statement) > MAX_STATEMENT_BYTES or not statement:
            statement = f"{message.message_id} was answered with {response.status}\n".encode("ascii")
        # An invalid statement acknowledges nothing: the certificate keeps saying that the recipient did not answer.
        # The recipient may have acknowledged before, by hand or to an attempt whose response was lost.
        with suppress(VolensError):
            recipients.acknowledge(certificate_id(message), message.endpoint.recipient, statement)


def signed_headers(endpoints: Endpoints, message: Message, now: datetime) -> dict[str, str]:
    """Return the headers of a message, with one signature for each secret of its endpoint."""
    with_secrets = shared_secrets(endpoints, message.endpoint)
    try:
        return {**_HEADERS, **sign(message.message_id, now, message.body, with_secrets)}
    finally:
        for one in with_secrets:
            one.wipe()


def shared_secrets(endpoints: Endpoints, endpoint: Endpoint) -> list[SymmetricKey]:
    """Return the current signing secrets of an endpoint, newest first; the caller must wipe them."""
    found = []
    for secret in endpoints.secrets(endpoint):
        with secret:
            found.append(SymmetricKey(secret.buffer))
    return found


def certificate_id(message: Message) -> str:
    """Return the id of the certificate that a `subject.erased` message names."""
    return str(read_json(message.body)["data"]["certificate_id"])
