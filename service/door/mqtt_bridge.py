"""The door's side of a broker: a thread that connects, publishes, and connects again. The door never waits for it.

1. A last will says `offline` for a door that is gone without a word.
2. After each connection the retained truth is published anew, for a broker may have forgotten it; then what happened.
3. What happened waits in a queue of `MAX_WAITING`; when it is full the oldest goes, and is counted.
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
from volens.service.door.mqtt_broker import Broker
from volens.service.door.mqtt_messages import Message, Topics

if TYPE_CHECKING:
    from aiomqtt import Client

MAX_WAITING: Final = 64
ANSWER_S: Final = 5.0
KEEPALIVE_S: Final = 20
END_WITHIN_S: Final = 3.0


@final
class Bridge:
    """Tells one broker of one door. All methods are for any thread, and never wait, but for `end`."""

    def __init__(
        self,
        broker: Broker,
        topics: Topics,
        introductions: Sequence[Message] = (),
        chance: Callable[[], float] = random.random,
    ) -> None:
        """Connect to nothing yet.

        Raises:
            UnavailableError: the package that speaks MQTT is not installed.
        """
        check_installed()
        self._broker = broker
        self._topics = topics
        self._chance = chance
        self._lock = threading.Lock()
        self._truth = {message.topic: message for message in introductions}
        self._waiting: deque[Message] = deque()
        self._dropped = 0
        self._is_connected = False
        self._ending = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._changed: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._run, name="door-mqtt", daemon=True)

    def start(self) -> None:
        """Begin to connect."""
        self._thread.start()

    def tell(self, message: Message) -> None:
        """Publish a message, as soon as that is possible."""
        with self._lock:
            if message.retained:
                self._truth[message.topic] = message
                # The newest of a topic is the truth; older ones need not be told any more.
                self._waiting = deque(one for one in self._waiting if one.topic != message.topic)
            elif len(self._waiting) >= MAX_WAITING:
                self._waiting.popleft()
                self._dropped += 1
            self._waiting.append(message)
        self._wake()

    @property
    def is_connected(self) -> bool:
        """Whether the broker is there."""
        with self._lock:
            return self._is_connected

    @property
    def dropped(self) -> int:
        """How many messages were not told, for the broker was away too long."""
        with self._lock:
            return self._dropped

    def end(self, within_s: float = END_WITHIN_S) -> bool:
        """Tell what waits, and that the door is offline; wait a while. False: the broker did not take it in time."""
        self.tell(self._topics.availability(online=False))
        with self._lock:
            self._ending = True
        self._wake()
        self._thread.join(within_s)
        return not self._thread.is_alive()

    def _wake(self) -> None:
        loop, changed = self._loop, self._changed
        if loop is not None and changed is not None:
            with suppress(RuntimeError):  # it has just ended
                loop.call_soon_threadsafe(changed.set)

    def _run(self) -> None:
        asyncio.run(self._keep_connected())

    async def _keep_connected(self) -> None:
        import aiomqtt  # noqa: PLC0415  an extra

        self._changed = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        failures = 0
        while True:
            began = time.monotonic()
            try:
                async with self._client() as client:
                    failures = 0
                    await self._talk(client)
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

    def _client(self) -> "Client":
        import aiomqtt  # noqa: PLC0415  an extra

        # 1.
        will = self._topics.availability(online=False)
        return _client(
            self._broker,
            identifier=f"volens-{secrets.token_hex(8)}",
            will=aiomqtt.Will(will.topic, will.payload, qos=1, retain=True),
            keepalive=KEEPALIVE_S,
        )

    async def _talk(self, client: "Client") -> None:
        # 2.
        with self._lock:
            self._is_connected = True
            online = self._topics.availability(online=not self._ending)
            first = [*(one for one in self._truth.values() if one.topic != online.topic), online]
            told = {message.topic for message in first}
            self._waiting = deque(one for one in self._waiting if one.topic not in told)
        for message in first:
            await _publish(client, message)
        while True:
            with self._lock:
                news = self._waiting[0] if self._waiting else None
                is_over = news is None and self._ending
            if is_over:
                return
            if news is None:
                await self._wait_for_news(client)
                continue
            await _publish(client, news)
            with self._lock, suppress(ValueError):
                self._waiting.remove(news)

    async def _wait_for_news(self, client: "Client") -> None:
        changed = self._changed
        if changed is None:
            return
        # Nothing is subscribed to, so that this ends only when the connection does.
        over = asyncio.ensure_future(anext(aiter(client.messages), None))
        news = asyncio.ensure_future(changed.wait())
        try:
            done, _ = await asyncio.wait({over, news}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            news.cancel()
            over.cancel()
        changed.clear()
        if over in done:
            over.result()


def publish_once(broker: Broker, messages: Sequence[Message]) -> None:
    """Connect, publish, and go.

    Raises:
        UnavailableError: the broker is not there or refuses, or the package that speaks MQTT is not installed.
    """
    check_installed()
    asyncio.run(_publish_once(broker, messages))


async def _publish_once(broker: Broker, messages: Sequence[Message]) -> None:
    import aiomqtt  # noqa: PLC0415  an extra

    try:
        async with _client(broker) as client:
            for message in messages:
                await _publish(client, message)
    except (aiomqtt.MqttError, OSError, ValueError):
        raise UnavailableError("the broker is not there or refuses; check --mqtt, its user and its password") from None


def _client(broker: Broker, **how: Any) -> "Client":  # noqa: ANN401  what aiomqtt takes
    import aiomqtt  # noqa: PLC0415  an extra

    return aiomqtt.Client(
        broker.host,
        broker.port,
        username=broker.user,
        password=broker.password,
        tls_context=broker.tls,
        timeout=ANSWER_S,
        logger=_silent(),
        **how,
    )


async def _publish(client: "Client", message: Message) -> None:
    await client.publish(message.topic, message.payload, qos=1, retain=message.retained)


def check_installed() -> None:
    """Refuse to speak MQTT without the package for it.

    Raises:
        UnavailableError: it is not installed.
    """
    try:
        import aiomqtt  # noqa: F401, PLC0415  an extra
    except ImportError:
        raise UnavailableError(
            "got --mqtt, but aiomqtt is not installed; install volens with the extra 'mqtt': pip install 'volens[mqtt]'"
        ) from None


def _silent() -> logging.Logger:
    # What the library logs may have an address or a payload in it; how it goes is in `is_connected`.
    logger = logging.getLogger("volens.mqtt")
    logger.propagate = False
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    return logger
