"""Simulated doors: each is a client with a credential and a connection of its own, which sends one frame at a time.

They all run in one event loop, and come from several addresses of loopback, because a node limits the connections of
one address.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final, final

import numpy as np

from benchmarks.matching.population import ZONE

_PER_ADDRESS: Final = 32
_TIMEOUT_S: Final = 30.0
_END: Final = b"\r\n\r\n"
NO_ANSWER: Final = 0
"""The status of a frame that got no response."""


@final
@dataclass(frozen=True, slots=True)
class Arrival:
    """A person comes to a door.

    Attributes:
        due_s: when, in seconds after the begin; 0 for: as soon as the door is free.
        number: of the recorded face.
    """

    due_s: float
    number: int


@final
@dataclass(slots=True)
class DoorRecord:
    """What doors observed.

    Attributes:
        statuses: number of responses by HTTP status; 0 is no response.
        waited_us: of each response 200, the time since the person came, or since the frame was sent if none was due.
        matched: how many of them were matches.
        unsent: people who were due and for whom the door had no time.
    """

    statuses: Counter[int] = field(default_factory=Counter)
    waited_us: list[int] = field(default_factory=list)
    matched: int = 0
    unsent: int = 0

    def document(self) -> dict[str, Any]:
        """Return it for the results."""
        statuses = {str(status): count for status, count in sorted(self.statuses.items())}
        return {"statuses": statuses, "waited_us": self.waited_us, "matched": self.matched, "unsent": self.unsent}


def poisson_arrivals(
    doors: int, per_s: float, seconds: float, numbers: Callable[[], int], rng: np.random.Generator
) -> list[list[Arrival]]:
    """Return the arrivals of each door: independent Poisson processes, `per_s` of all doors together."""
    plans = []
    for _ in range(doors):
        due = rng.exponential(doors / per_s, max(8, int(4 * per_s * seconds / doors))).cumsum()
        plans.append([Arrival(float(one), numbers()) for one in due if one < seconds])
    return plans


def run_doors(
    ports: Sequence[int],
    tokens: Sequence[str],
    plans: Sequence[Iterable[Arrival]],
    frames: Mapping[int, bytes],
    seconds: float,
) -> DoorRecord:
    """Run doors for so long, each with its arrivals; door n talks to port n modulo their number."""

    async def run() -> DoorRecord:
        record, doors = DoorRecord(), list[_Door]()
        for number, token in enumerate(tokens[: len(plans)]):
            doors.append(_Door(number, ports[number % len(ports)], token))
            await doors[-1].connect()  # one after the other, before the begin
        began = time.monotonic()
        await asyncio.gather(
            *(door.work(plan, frames, began, seconds, record) for door, plan in zip(doors, plans, strict=True))
        )
        for door in doors:
            door.close()
        return record

    return asyncio.run(run())


@final
class _Door:
    def __init__(self, number: int, port: int, token: str) -> None:
        self._port = port
        self._address = f"127.0.1.{1 + number // _PER_ADDRESS}"
        self._head = (
            f"POST /v1/zones/{ZONE}/identify HTTP/1.1\r\nHost: door\r\nAuthorization: Bearer {token}\r\n"
            "Content-Type: image/jpeg\r\nContent-Length: "
        ).encode()
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def connect(self) -> None:
        opened = asyncio.open_connection("127.0.0.1", self._port, local_addr=(self._address, 0))
        self._streams = await asyncio.wait_for(opened, _TIMEOUT_S)

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
        self._streams = None

    async def work(
        self,
        plan: Iterable[Arrival],
        frames: Mapping[int, bytes],
        began: float,
        seconds: float,
        record: DoorRecord,
    ) -> None:
        for one in plan:
            if (wait_s := began + one.due_s - time.monotonic()) > 0:
                await asyncio.sleep(wait_s)
            came = began + one.due_s if one.due_s else time.monotonic()
            if one.due_s and time.monotonic() - began >= seconds:
                record.unsent += 1
                continue
            status, body = await self._ask(frames[one.number])
            record.statuses[status] += 1
            if status == HTTPStatus.OK:
                record.waited_us.append(round(1e6 * (time.monotonic() - came)))
                record.matched += b'"match"' in body
            if not one.due_s and time.monotonic() - began >= seconds:
                return

    async def _ask(self, jpeg: bytes) -> tuple[int, bytes]:
        """Send a frame; on a connection that the node closed while it was idle, once more on a new one."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_TIMEOUT_S):
                if self._streams is not None:
                    with suppress(ConnectionError, EOFError):
                        return await self._exchange(jpeg)
                    self.close()
                with suppress(OSError, EOFError):
                    await self.connect()
                    return await self._exchange(jpeg)
        self.close()
        return NO_ANSWER, b""

    async def _exchange(self, jpeg: bytes) -> tuple[int, bytes]:
        if self._streams is None:
            raise EOFError
        reader, writer = self._streams
        writer.write(self._head + str(len(jpeg)).encode() + _END + jpeg)
        head = (await reader.readuntil(_END)).lower()
        lines = (line.partition(b":") for line in head.split(b"\r\n"))
        size = next(int(value) for name, _, value in lines if name == b"content-length")
        body = await reader.readexactly(size)
        if b"connection: close" in head:
            self.close()
        return int(head.split(None, 2)[1]), body
