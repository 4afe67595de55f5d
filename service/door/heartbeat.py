"""Heartbeats of a door: they tell the service, or the site on this machine, that its program is alive.

A thread sends one every half minute, about the program and never about a person. A heartbeat that fails is not
repeated: the next one follows soon, and the door itself goes on. The service computes the offset of the clock from the
times of the last heartbeat (`volens.store.programs.clock_exchange`).
"""

import http.client
import json
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, Final, Protocol, Self, final
from urllib.parse import urlsplit

from volens import Site
from volens.consent import UnavailableError, VolensError, format_time
from volens.consent.json_reader import JsonError, read_json
from volens.service.door.addresses import ServiceAddress
from volens.store.programs import DoorReport
from volens.store.programs.door_reports import LOCAL, quarter_of

HEARTBEAT_S: Final = 30.0
SHORTEST_S: Final = 5.0
LONGEST_S: Final = 300.0
"""Between these a service may choose how often it wants a heartbeat."""
_TIMEOUT_S: Final = 10.0
_END_S: Final = 5.0
_MAX_ANSWER_BYTES: Final = 4096


class Beat(Protocol):
    """Sends one heartbeat after the other."""

    def send(self) -> float:
        """Send one, and return the seconds until the next.

        Raises:
            VolensError: it did not arrive.
        """
        ...


@final
class ServiceBeat:
    """Sends heartbeats to a service. Use in one thread."""

    def __init__(
        self,
        service: ServiceAddress,
        door: str,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Send nothing yet; the clocks return seconds."""
        self._service = service
        self._door = door
        self._clock = clock
        self._monotonic = monotonic
        self._last: dict[str, int] | None = None
        self._certificate_until: str | None = None

    def send(self) -> float:
        """Send a heartbeat with the times of the last one.

        Raises:
            UnavailableError: the service does not answer, or answers something else.
        """
        last, self._last = self._last, None
        body = {"version": version("volens"), "door": self._door, "last": last}
        if self._certificate_until is not None:
            body["certificate_until"] = self._certificate_until
        connection = self._connection()
        try:
            connection.connect()
            # The connection is made before the time is taken: its round trips would only add uncertainty.
            sent, begun = self._clock(), self._monotonic()
            connection.request("POST", "/v1/doors/heartbeat", json.dumps(body), self._headers())
            answer = connection.getresponse()
            text = answer.read(_MAX_ANSWER_BYTES)
            took = self._monotonic() - begun
            self._certificate_until = _certificate_end(connection)
        except (OSError, http.client.HTTPException) as error:
            raise UnavailableError(f"the service does not take heartbeats ({type(error).__name__})") from None
        finally:
            connection.close()
        if answer.status != http.client.OK:
            raise UnavailableError(f"the service does not take heartbeats ({answer.status})")
        found = _answer(text)
        self._last = {
            "sent_ms": round(sent * 1000),
            "received_ms": round((sent + took) * 1000),
            "arrived_ms": found["arrived_ms"],
            "answered_ms": found["answered_ms"],
        }
        # The first one has no times of a last one; the second follows at once, so that the clock is known.
        return SHORTEST_S if last is None else min(LONGEST_S, max(SHORTEST_S, float(found["again_after_s"])))

    def _connection(self) -> http.client.HTTPConnection:
        parts = urlsplit(self._service.url)
        host = parts.hostname or ""
        if self._service.tls is None:
            return http.client.HTTPConnection(host, parts.port or 80, timeout=_TIMEOUT_S)
        return http.client.HTTPSConnection(host, parts.port or 443, timeout=_TIMEOUT_S, context=self._service.tls)

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._service.token}", "Content-Type": "application/json"}


@final
class SiteBeat:
    """Notes heartbeats in the site on this machine, whose clock is the door's clock."""

    def __init__(self, site: Site, zone: str, door: str, decided_at: Callable[[], datetime | None]) -> None:
        """`decided_at` returns when the door last got a decision."""
        self._site = site
        self._zone = zone
        self._door = door
        self._decided_at = decided_at

    def send(self) -> float:
        """Note that the door is alive.

        Raises:
            UnavailableError: the store cannot be written now.
        """
        decided_at = self._decided_at()
        report = DoorReport(
            f"{LOCAL}{self._zone}/{self._door}",
            self._site.now(),
            door=self._door,
            purpose=self._zone,
            version=version("volens"),
            decided_at=None if decided_at is None else quarter_of(decided_at),
        )
        self._site.programs.doors.record([report])
        return HEARTBEAT_S


@final
class Heartbeats:
    """Sends heartbeats in its own thread while the block lasts."""

    def __init__(self, beat: Beat) -> None:
        self._beat = beat
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="door-heartbeats", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(_END_S)

    def _run(self) -> None:
        wait_s = 0.0
        while not self._ended.wait(wait_s):
            wait_s = HEARTBEAT_S
            with suppress(VolensError):  # the door works without; the site says that it is silent
                wait_s = self._beat.send()


def _answer(text: bytes) -> Mapping[str, Any]:
    try:
        found = read_json(text)
    except JsonError:
        found = None
    names = ("arrived_ms", "answered_ms", "again_after_s")
    if not isinstance(found, dict) or not all(type(found.get(name)) is int for name in names):
        raise UnavailableError("the service answers a heartbeat with something else; check --url")
    return found


def _certificate_end(connection: http.client.HTTPConnection) -> str | None:
    """Return when the certificate ends that the other end showed; None without TLS."""
    end = connection.sock
    shown = end.getpeercert() if isinstance(end, ssl.SSLSocket) else None
    until = None if not shown else shown.get("notAfter")
    if not isinstance(until, str):
        return None
    return format_time(datetime.fromtimestamp(ssl.cert_time_to_seconds(until), UTC))
