"""A broker of MQTT messages on loopback (amqtt), and a subscriber that records messages."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import aiomqtt
from amqtt.broker import Broker
from amqtt.plugins.base import BaseAuthPlugin
from amqtt.session import Session
from patience import PATIENCE_S

PASSWORD = "let me in"  # noqa: S105  of a broker of the tests


class OnePassword(BaseAuthPlugin):
    """Admits clients without a password, and clients with the right one."""

    async def authenticate(self, *, session: Session) -> bool:
        return session.password in {None, "", PASSWORD}


@dataclass
class LoopbackBroker:
    """A broker that can be stopped and started again on its port; it keeps no state."""

    port: int = 0
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    broker: Broker | None = None

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    def start(self) -> None:
        asyncio.run_coroutine_threadsafe(self._start(), self.loop).result(PATIENCE_S)

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self.loop).result(PATIENCE_S)

    async def _start(self) -> None:
        listener = {"type": "tcp", "bind": f"127.0.0.1:{self.port}"}
        self.broker = Broker({"listeners": {"default": listener}, "plugins": {"broker.OnePassword": {}}})
        await self.broker.start()
        (server,) = self.broker._servers.values()
        self.port = server.instance.sockets[0].getsockname()[1]

    async def _stop(self) -> None:
        """End like a killed broker, because amqtt's own shutdown sometimes waits forever for its clients."""
        if self.broker is not None:
            for server in self.broker._servers.values():
                server.instance.close()
            self.broker = None
        await _finish()


@contextmanager
def loopback_broker() -> Iterator[LoopbackBroker]:
    """Run a broker until the end of the `with`."""
    one = LoopbackBroker()
    thread = threading.Thread(target=one.loop.run_forever)
    thread.start()
    try:
        one.start()
        yield one
    finally:
        one.stop()
        one.loop.call_soon_threadsafe(one.loop.stop)
        thread.join()
        one.loop.close()


async def _finish() -> None:
    """End the remaining tasks of the broker, and the connections of clients that were killed."""
    left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in left:
        task.cancel()
    if left:
        await asyncio.wait(left, timeout=5)
    # A connection that was accepted while the broker stopped belongs to no session.
    for transport in list(asyncio.get_running_loop()._transports.values()):  # type: ignore[attr-defined]  asyncio's
        transport.abort()
    await asyncio.sleep(0.05)


@dataclass
class Subscriber:
    """A received message: topic, payload, and whether it was retained."""

    heard: list[tuple[str, str, bool]] = field(default_factory=list)
    came: threading.Condition = field(default_factory=threading.Condition)
    is_there: threading.Event = field(default_factory=threading.Event)

    def payloads(self, topic: str) -> list[str]:
        with self.came:
            return [payload for one, payload, _ in self.heard if one.endswith(topic)]

    def documents(self, topic: str) -> list[dict[str, Any]]:
        return [json.loads(payload) for payload in self.payloads(topic) if payload]

    def wait_for(self, topic: str, count: int = 1, *, payload: str | None = None) -> list[str]:
        """Wait for a number of messages in topics with a suffix, or for one with a payload."""

        def is_enough() -> bool:
            found = self.payloads(topic)
            return payload in found if payload is not None else len(found) >= count

        with self.came:
            assert self.came.wait_for(is_enough, PATIENCE_S), f"expected {topic} {payload or count}, heard {self.heard}"
            return self.payloads(topic)


@contextmanager
def subscriber(port: int, topic: str = "#") -> Iterator[Subscriber]:
    """Subscribe until the end of the `with`."""
    one, loop = Subscriber(), asyncio.new_event_loop()

    async def listen() -> None:
        async with aiomqtt.Client("127.0.0.1", port, timeout=PATIENCE_S) as client:
            await client.subscribe(topic, qos=1)
            one.is_there.set()
            async for message in client.messages:
                payload = message.payload
                text = payload.decode() if isinstance(payload, bytes | bytearray) else str(payload or "")
                with one.came:
                    one.heard.append((str(message.topic), text, bool(message.retain)))
                    one.came.notify_all()

    def run() -> None:
        with suppress(asyncio.CancelledError, aiomqtt.MqttError):
            loop.run_until_complete(task)
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()

    task = loop.create_task(listen())
    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert one.is_there.wait(PATIENCE_S), "the broker takes no subscriber"
        yield one
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join()
