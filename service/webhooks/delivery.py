"""Delivering what waits in the outbox: signed, at least once, in order for each person, and out of everybody's way.

1. A message is claimed; nobody else tries it for a while, and who is killed meanwhile keeps nothing back.
2. Its address is looked up and checked (`guard`), and it is posted, signed with the secret of its endpoint.
3. 2xx: it is delivered. That somebody was erased is thereby acknowledged, and stands in their certificate from then on;
   a recipient who has a key acknowledges with a signed statement as the answer's body.
4. 410: nothing is sent to this endpoint any more, until somebody enables it.
5. Anything else, and no answer: it is tried again later (`schedule`), and given up after three days.
"""

import json
import random
import ssl
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final, final

from volens.consent import UnavailableError, VolensError
from volens.erase.proof import MAX_STATEMENT_BYTES
from volens.rights import Rights
from volens.service.webhooks.address_guard import AddressError, Resolve, checked_addresses, look_up, parse_target
from volens.service.webhooks.posting import TIMEOUT_S, Answer, DeliveryError, post
from volens.service.webhooks.retry_schedule import again_at
from volens.service.webhooks.signatures import SymmetricKey, sign
from volens.store.programs import Endpoint, Message, MessageKind

THREADS: Final = 8
POLL_S: Final = 1.0

_GONE: Final = 410
_OK: Final = range(200, 300)
_HEADERS: Final = {"Content-Type": "application/json", "User-Agent": "Volens"}


@final
class WebhookSender:
    """Delivers the messages of a site in threads of its own. Close it before the site."""

    def __init__(
        self,
        rights: Rights,
        *,
        resolve: Resolve = look_up,
        timeout_s: float = TIMEOUT_S,
        chance: Callable[[], float] = random.random,
        context: ssl.SSLContext | None = None,
        threads: int = THREADS,
    ) -> None:
        """Begin nothing yet.

        Args:
            rights: of the site: who receives, and what waits.
            resolve: looks up names.
            timeout_s: for each delivery.
            chance: returns random numbers from 0 to 1, for the jitter.
            context: for TLS; the machine's trust store without it.
            threads: how many receivers may be slow at once before the next has to wait.
        """
        self._rights = rights
        self._resolve = resolve
        self._timeout_s = timeout_s
        self._chance = chance
        self._context = context
        self._threads = ThreadPoolExecutor(threads, "courier")
        self._places = threads
        self._under_way: set[Future[None]] = set()
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._wake = threading.Event()
        self._loop: threading.Thread | None = None

    def start(self) -> None:
        """Deliver from now on what is due, and look for more every `POLL_S` seconds."""
        self._loop = threading.Thread(target=self._run, name="courier", daemon=True)
        self._loop.start()

    def close(self) -> None:
        """Begin nothing more, and finish what is under way, which takes as long as a delivery may at most."""
        self._ended.set()
        self._wake.set()
        if self._loop is not None:
            self._loop.join()
        self._threads.shutdown(wait=True)

    def deliver_due(self) -> int:
        """Deliver everything that is due now, and return how many messages were tried."""
        tried = 0
        while messages := self._rights.outbox.claim(self._places):
            for one in [self._threads.submit(self._deliver, message) for message in messages]:
                one.result()
            tried += len(messages)
        return tried

    def _run(self) -> None:
        while not self._ended.is_set():
            self._wake.clear()
            with self._lock:
                free = self._places - len(self._under_way)
            with suppress(UnavailableError):  # a store that is busy now; the messages wait
                for message in self._rights.outbox.claim(free) if free else []:
                    self._begin(message)
            self._wake.wait(POLL_S)

    def _begin(self, message: Message) -> None:
        future = self._threads.submit(self._deliver, message)
        with self._lock:
            self._under_way.add(future)
        future.add_done_callback(self._finished)

    def _finished(self, future: Future[None]) -> None:
        with self._lock:
            self._under_way.discard(future)
        self._wake.set()

    def _deliver(self, message: Message) -> None:
        """Try one message and note what came of it; what cannot be noted is tried again when the claim has run out."""
        outbox = self._rights.outbox
        try:
            # 2.
            answer = self._post(message)
        except (DeliveryError, AddressError, OSError) as error:
            said = str(error) if isinstance(error, VolensError) else "no such host"
            with suppress(UnavailableError):
                outbox.failed(message, said, self._again_at(message, None))
            return
        with suppress(UnavailableError):
            if answer.status in _OK:
                # 3.
                self._acknowledge(message, answer)
                outbox.delivered(message)
                return
            if answer.status == _GONE:
                # 4.
                self._rights.endpoints.disable(message.endpoint.endpoint_id, "the receiver says that it is gone")
            # 5.
            outbox.failed(message, f"status {answer.status}", self._again_at(message, answer))

    def _post(self, message: Message) -> Answer:
        endpoint = message.endpoint
        target = parse_target(endpoint.url, allow_private=endpoint.allow_private)
        addresses = checked_addresses(target, allow_private=endpoint.allow_private, resolve=self._resolve)
        # By the machine's clock, which the receiver has too, and not by that of the store.
        headers = signed_headers(self._rights, message, datetime.now(UTC))
        return post(target, addresses, headers, message.body, timeout_s=self._timeout_s, context=self._context)

    def _again_at(self, message: Message, answer: Answer | None) -> datetime | None:
        wait = None if answer is None else answer.retry_after
        return again_at(message.first_at, self._rights.outbox.now(), message.attempts + 1, self._chance(), wait)

    def _acknowledge(self, message: Message, answer: Answer) -> None:
        if message.kind is not MessageKind.SUBJECT_ERASED:
            return
        recipients = self._rights.recipients
        statement = answer.body
        if len(statement) > MAX_STATEMENT_BYTES or not statement:
            statement = f"{message.message_id} was answered with {answer.status}\n".encode("ascii")
        # What is no statement of theirs acknowledges nothing: the certificate goes on saying that they did not answer.
        # They may have answered before, by hand or to an attempt whose answer was lost.
        with suppress(VolensError):
            recipients.acknowledge(certificate_of(message), message.endpoint.recipient, statement)


def signed_headers(rights: Rights, message: Message, now: datetime) -> dict[str, str]:
    """Return the headers of a message, with a signature by each secret of its endpoint."""
    with_secrets = shared_secrets(rights, message.endpoint)
    try:
        return {**_HEADERS, **sign(message.message_id, now, message.body, with_secrets)}
    finally:
        for one in with_secrets:
            one.wipe()


def shared_secrets(rights: Rights, endpoint: Endpoint) -> list[SymmetricKey]:
    """Return the secrets that an endpoint's messages are signed with now, the newest first; the caller wipes them."""
    found = []
    for secret in rights.endpoints.secrets(endpoint):
        with secret:
            found.append(SymmetricKey(secret.buffer))
    return found


def certificate_of(message: Message) -> str:
    """Return the certificate that a message about an erasure names."""
    return str(json.loads(message.body)["data"]["certificate_id"])
