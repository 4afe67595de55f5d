"""MQTT client of a door: a thread that connects, publishes and reconnects with backoff. The door never waits for it.

1. A last will announces `offline` if the door disappears.
2. After each connection the retained messages are published again, because the broker may have lost them; then the
   queued messages follow.
3. At most `MAX_WAITING` messages are queued. If the queue is full, the oldest one is dropped and counted.
"""

import asyncio
import logging
import random
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, final

from volens.consent import UnavailableError
from volens.service.backoff import again_in_s
from volens.service.door.addresses import Broker
from volens.service.door.mqtt_messages import Message, Topics

if TYPE_CHECKING:
    from aiomqtt import Client

MAX_WAITING: Final = 64
ANSWER_TIMEOUT_S: Final = 5.0
KEEPALIVE_S: Final = 20
END_TIMEOUT_S: Final = 3.0


@final
class Bridge:
    """Publishes messages of one door to one broker. Thread-safe; only `end` blocks."""

    def __init__(
        self,
        broker: Broker,
        topics: Topics,
        discovery_messages: Sequence[Message] = (),
        chance: Callable[[], float] = random.random,
    ) -> None:
        """Prepare the client; nothing is connected.

        Raises:
            UnavailableError: the MQTT package is not installed.
        """
        load_aiomqtt()
        self._broker = broker
        self._topics = topics
        self._chance = chance
        self._lock = threading.Lock()
        self._retained = {message.topic: message for message in discovery_messages}
        self._waiting: deque[Message] = deque()
        self._dropped = 0
        self._is_connected = False
        self._ending = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._changed: asyncio.Event | None = None
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._keep_connected()), name="door-mqtt", daemon=True
        )

    def start(self) -> None:
        """Start connecting."""
        self._thread.start()

    def publish(self, message: Message) -> None:
        """Queue a message for publication."""
        with self._lock:
            if message.retained:
                self._retained[message.topic] = message
                # Only the newest message of a topic counts; older ones are removed from the queue.
                self._waiting = deque(one for one in self._waiting if one.topic != message.topic)
            elif len(self._waiting) >= MAX_WAITING:
                self._waiting.popleft()
                self._dropped += 1
            self._waiting.append(message)
        self._wake()

    @property
    def is_connected(self) -> bool:
        """Whether the broker is connected."""
        with self._lock:
            return self._is_connected

    @property
    def dropped(self) -> int:
        """How many messages were dropped because the queue was full."""
        with self._lock:
            return self._dropped

    def end(self, timeout_s: float = END_TIMEOUT_S) -> bool:
        """Publish the queue and `offline`, and wait for it. False: the broker did not take the messages in time."""
        self.publish(self._topics.availability(online=False))
        with self._lock:
            self._ending = True
        self._wake()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _wake(self) -> None:
        loop, changed = self._loop, self._changed
        if loop is not None and changed is not None:
            with suppress(RuntimeError):  # the event loop has just ended
                loop.call_soon_threadsafe(changed.set)

    async def _keep_connected(self) -> None:
        aiomqtt = load_aiomqtt()
        self._changed = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        failures = 0
        while True:
            began = time.monotonic()
            try:
                # 1.
                will = self._topics.availability(online=False)
                async with _client(
                    self._broker,
                    identifier=f"volens-{secrets.token_hex(8)}",
                    will=aiomqtt.Will(will.topic, will.payload, qos=1, retain=True),
                    keepalive=KEEPALIVE_S,
                ) as client:
                    failures = 0
                    await self._run_session(client)
                    return
            except (aiomqtt.MqttError, OSError, ValueError):
                failures = 1 if time.monotonic() - began > KEEPALIVE_S else failures + 1
            with self._lock:
                self._is_connected = False
                if self._ending:
                    return
            await self._pause(again_in_s(failures, self._chance()))

    async def _pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while self._changed is not None and not self._ending and (left_s := until - time.monotonic()) > 0:
            self._changed.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), left_s)

    async def _run_session(self, client: "Client") -> None:
        # 2.
        with self._lock:
            self._is_connected = True
            online = self._topics.availability(online=not self._ending)
            first = [*(one for one in self._retained.values() if one.topic != online.topic), online]
            sent = {message.topic for message in first}
            self._waiting = deque(one for one in self._waiting if one.topic not in sent)
        for message in first:
            await _publish(client, message)
        while True:
            with self._lock:
                queued = self._waiting[0] if self._waiting else None
                is_finished = queued is None and self._ending
            if is_finished:
                return
            if queued is None:
                await self._wait_for_change(client)
                continue
            await _publish(client, queued)
            with self._lock, suppress(ValueError):
                self._waiting.remove(queued)

    async def _wait_for_change(self, client: "Client") -> None:
        changed = self._changed
        if changed is None:
            return
        # There is no subscription, so this ends only when the connection ends.
        over = asyncio.ensure_future(anext(aiter(client.messages), None))
        message = asyncio.ensure_future(changed.wait())
        try:
            done, _ = await asyncio.wait({over, message}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            message.cancel()
            over.cancel()
        changed.clear()
        if over in done:
            over.result()


def publish_once(broker: Broker, messages: Sequence[Message]) -> None:
    """Connect, publish, and disconnect.

    Raises:
        UnavailableError: the broker is unreachable or refuses, or the MQTT package is not installed.
    """
    asyncio.run(_publish_once(broker, messages))


async def _publish_once(broker: Broker, messages: Sequence[Message]) -> None:
    aiomqtt = load_aiomqtt()
    try:
        async with _client(broker) as client:
            for message in messages:
                await _publish(client, message)
    except (aiomqtt.MqttError, OSError, ValueError):
        raise UnavailableError(
            "the broker is unreachable or refuses the connection; check --mqtt, the user and the password"
        ) from None


def _client(broker: Broker, **how: Any) -> "Client":  # noqa: ANN401  arguments of aiomqtt
    client: Client = load_aiomqtt().Client(
        broker.host,
        broker.port,
        username=broker.user,
        password=broker.password,
        tls_context=broker.tls,
        timeout=ANSWER_TIMEOUT_S,
        logger=_silent(),
        **how,
    )
    return client


async def _publish(client: "Client", message: Message) -> None:
    await client.publish(message.topic, message.payload, qos=1, retain=message.retained)


def load_aiomqtt() -> Any:  # noqa: ANN401  a module
    """Import the MQTT package.

    Raises:
        UnavailableError: it is not installed.
    """
    try:
        import aiomqtt  # noqa: PLC0415  an extra
    except ImportError:
        raise UnavailableError(
            "got --mqtt, but aiomqtt is not installed; install the extra 'mqtt': pip install 'volens[mqtt]'"
        ) from None
    return aiomqtt


def _silent() -> logging.Logger:
    # The library's log may contain an address or a payload; `is_connected` reports the connection instead.
    logger = logging.getLogger("volens.mqtt")
    logger.propagate = False
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    return logger
