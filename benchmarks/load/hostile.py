"""Doors beside hostile callers: `python -m benchmarks.load.hostile` compares their latencies in one run.

Quiet and hostile windows take turns, so that both see the same machine. In a hostile window two kinds of callers send
what is allowed, as fast as they are answered:

1. A desk's credential, on two connections: it records a consent, and enrolls with five photos of 40 million pixels that
   show a face which is enrolled already. All five are decoded before that is found.
2. A door's credential of its own, on six connections: progressive JPEGs of 40 million pixels.
"""

import argparse
import http.client
import json
import multiprocessing
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from functools import partial
from io import BytesIO
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any, Final, TypeAlias, final

from PIL import Image

from benchmarks.load.actors import actors
from benchmarks.load.run import (
    BOUNDARY,
    ZONE,
    Client,
    FixedPort,
    History,
    Plan,
    enrollment_form,
    give_consent,
    make_site,
    send_frames,
)
from benchmarks.load.service import Service
from benchmarks.machine import machine

RESULT: Final = Path(__file__).parents[1] / "results" / "hostile.json"
_SIDE_PX: Final = 6300
_PEOPLE: Final = 3
_PHOTOS: Final = 5
_FRAMES: Final = 6
_DESKS: Final = 2
_BUSY: Final = frozenset({0, http.client.TOO_MANY_REQUESTS, http.client.SERVICE_UNAVAILABLE})
_SETTLED_S: Final = 20.0

Arguments: TypeAlias = tuple[int, str, str, bytes]
"""The port of the service, the tokens of a desk and a door, and the image that they send."""


@final
@dataclass(slots=True)
class Comparison:
    """What was measured.

    Attributes:
        quiet_ms, hostile_ms: latencies of the doors' frames that were sent and answered in such a window.
        statuses: number of responses by operation and HTTP status; those of the hostile callers begin with "hostile".
        start_bytes, peak_bytes, end_bytes: memory of the service before the first hostile window, at most, and at the
            end.
    """

    quiet_ms: list[float] = field(default_factory=list)
    hostile_ms: list[float] = field(default_factory=list)
    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)
    start_bytes: int = 0
    peak_bytes: int = 0
    end_bytes: int = 0

    @property
    def p99_ratio(self) -> float:
        """The 99th percentile beside hostile callers, divided by that of the quiet windows."""
        return percentile(self.hostile_ms, 0.99) / percentile(self.quiet_ms, 0.99)


def percentile(values: Sequence[float], part: float) -> float:
    """Return a percentile of some values, by the nearest rank."""
    return sorted(values)[min(len(values) - 1, int(len(values) * part))]


def compare(home: Path, plan: Plan, windows: int, settled_s: float = _SETTLED_S) -> Comparison:
    """Run `windows` quiet windows of `plan.seconds`, and a hostile one after each.

    At the end, wait until the memory is back (`is_back`), `settled_s` at most.
    """
    found, photos = Comparison(), actors(_PEOPLE)
    large = enlarged(photos[0][0])
    history, ended = History(), threading.Event()
    with ExitStack() as kept:
        # An additional door for the hostile caller.
        tokens = make_site(home, Plan(doors=plan.doors + 1), "http://127.0.0.1:9/")
        service = kept.enter_context(Service(home, plan.model_threads))
        _enroll_people(service, history, tokens.desk, photos)
        threads = [
            threading.Thread(target=send_frames, args=(service, history, photos, plan, number, token, ended))
            for number, token in enumerate(tokens.doors[:-1])
        ]
        for thread in threads:
            thread.start()
        try:
            time.sleep(min(2.0, plan.seconds))  # the first frames of all doors
            found.start_bytes = service.resident_bytes()
            for _ in range(windows):
                found.quiet_ms += _window(history, plan.seconds, lambda _: None)
                attack = partial(_attack, service, found, (service.port, tokens.desk, tokens.doors[-1], large))
                found.hostile_ms += _window(history, plan.seconds, attack)
        finally:
            ended.set()
            for thread in threads:
                thread.join()
        until = time.monotonic() + settled_s
        while True:
            found.end_bytes = service.resident_bytes()
            if is_back(found) or time.monotonic() > until:
                break
            time.sleep(0.5)
    found.statuses += history.statuses
    return found


def _window(history: History, seconds: float, beside: Callable[[threading.Event], None]) -> list[float]:
    """Return the latencies of the frames that were sent and answered while `beside` ran, for some seconds."""
    over = threading.Event()
    thread = threading.Thread(target=beside, args=(over,))
    first, began = len(history.decisions), time.monotonic_ns()
    thread.start()
    time.sleep(seconds)
    ended = time.monotonic_ns()
    over.set()
    thread.join()  # the next window begins when the last hostile request was answered
    spans = [one.span for one in history.decisions[first:]]
    return [(one.ended - one.began) / 1e6 for one in spans if one.ended and began <= one.began and one.ended <= ended]


def _attack(service: Service, found: Comparison, arguments: Arguments, over: threading.Event) -> None:
    """Run the hostile callers in a process of their own: here they would slow down the threads of the doors."""
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    statuses: SimpleQueue[Counter[tuple[str, int]]] = context.SimpleQueue()
    process = context.Process(target=send_hostile, args=(arguments, stop, statuses))
    process.start()
    while not over.wait(0.2):
        found.peak_bytes = max(found.peak_bytes, service.resident_bytes())
    stop.set()
    found.statuses += statuses.get()
    process.join()


def send_hostile(arguments: Arguments, stop: Event, statuses: SimpleQueue[Counter[tuple[str, int]]]) -> None:
    """Send what hostile callers send until `stop` is set and all is answered; then put the statuses."""
    port, desk, door, large = arguments
    history = History()
    threads = [threading.Thread(target=_enroll, args=(port, history, desk, large, stop)) for _ in range(_DESKS)]
    threads += [threading.Thread(target=_identify, args=(port, history, door, large, stop)) for _ in range(_FRAMES)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    statuses.put(history.statuses)


def _goes_on(status: int | None, stop: Event) -> bool:
    """Return whether a caller sends once more: at least one image is decoded, however slow the machine is."""
    return not stop.is_set() or status is None or status in _BUSY


def _identify(port: int, history: History, token: str, large: bytes, stop: Event) -> None:
    client = Client(FixedPort(port), history)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "image/jpeg"}
    status: int | None = None
    while _goes_on(status, stop):
        _, status, _ = client.ask("hostile frame", f"/v1/zones/{ZONE}/identify", large, headers)
    client.close()


def _enroll(port: int, history: History, token: str, large: bytes, stop: Event) -> None:
    client, desk = Client(FixedPort(port), history), {"Authorization": f"Bearer {token}"}
    status: int | None = None
    while _goes_on(status, stop):
        given = _new_consent(client, desk, "Hostile")
        form = enrollment_form(given["take_home"].encode(), [large] * _PHOTOS)
        kind = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
        _, status, _ = client.ask("hostile form", f"/v1/zones/{ZONE}/enrollments", form, desk | kind)
    client.close()


def _new_consent(client: Client, desk: dict[str, str], name: str) -> Any:  # noqa: ANN401  JSON
    """Record a consent, and return the response's body."""
    _, _, notice = client.ask("notice", f"/v1/zones/{ZONE}/notice", None, desk)
    status, given = give_consent(client, desk, name, notice["sha256"])
    if status != http.client.CREATED:
        raise RuntimeError(f"a consent was refused with {status}")
    return given


def enlarged(photo: bytes) -> bytes:
    """Return a photo as a progressive JPEG of 40 million pixels, of less than 8 MiB."""
    out = BytesIO()
    with Image.open(BytesIO(photo)) as image:
        large = image.convert("RGB").resize((_SIDE_PX, _SIDE_PX), Image.Resampling.BICUBIC)
    large.save(out, "JPEG", quality=70, progressive=True)
    return out.getvalue()


def _enroll_people(service: Service, history: History, token: str, photos: list[list[bytes]]) -> None:
    client, desk = Client(service, history), {"Authorization": f"Bearer {token}"}
    kind = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    for number, views in enumerate(photos):
        form = enrollment_form(_new_consent(client, desk, f"Actor {number}")["take_home"].encode(), views[:3])
        _, status, _ = client.ask("enroll", f"/v1/zones/{ZONE}/enrollments", form, desk | kind)
        if status != http.client.CREATED:
            raise RuntimeError(f"an enrollment was refused with {status}")
    client.close()


def table(kept: dict[str, Any]) -> str:
    """Return the figures of a run as a table."""
    quiet, hostile = kept["quiet_ms"], kept["hostile_ms"]
    rows = [
        ("quiet", quiet),
        ("beside hostile callers", hostile),
    ]
    lines = ["| doors | frames | p50 ms | p95 ms | p99 ms |", "| --- | --- | --- | --- | --- |"]
    for name, took in rows:
        parts = " | ".join(f"{percentile(took, part):.0f}" for part in (0.5, 0.95, 0.99))
        lines.append(f"| {name} | {len(took):,} | {parts} |")
    ratio = percentile(hostile, 0.99) / percentile(quiet, 0.99)
    memory = (kept[f"{one}_bytes"] / 2**20 for one in ("start", "peak", "end"))
    answers = ", ".join(f"{what} {status}: {count:,}" for what, status, count in kept["statuses"])
    return "\n".join(
        [
            *lines,
            "",
            f"p99 ratio {ratio:.2f}, p50 ratio {statistics.median(hostile) / statistics.median(quiet):.2f}.",
            "Memory in MiB: {:.0f} before, {:.0f} at most, {:.0f} afterwards.".format(*memory),
            f"Responses: {answers}.",
        ]
    )


def main() -> int:
    """Run, store and print. Exit code 1 if the 99th percentile doubled, or the memory stayed 100 MB above its start."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load.hostile")
    parser.add_argument("--seconds", type=float, default=20, help="of each window")
    parser.add_argument("--windows", type=int, default=3, help="of each kind")
    parser.add_argument("--doors", type=int, default=8)
    parser.add_argument("--frames-per-s", type=float, default=2)
    parser.add_argument("--model-threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=RESULT)
    asked = parser.parse_args()
    plan = Plan(asked.seconds, asked.doors, asked.frames_per_s, model_threads=asked.model_threads)
    with tempfile.TemporaryDirectory() as folder:
        found = compare(Path(folder) / "home", plan, asked.windows)
    statuses = [[what, status, count] for (what, status), count in sorted(found.statuses.items())]
    kept = {"machine": machine(), "plan": asdict(plan), "windows": asked.windows, **asdict(found), "statuses": statuses}
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    asked.out.write_text(json.dumps(kept, sort_keys=True) + "\n", encoding="utf-8")
    print(table(kept))
    return 0 if found.p99_ratio < 2 and is_back(found) else 1  # noqa: PLR2004  twice


def is_back(found: Comparison) -> bool:
    """Return whether the memory of the service is within 100 MB of its start."""
    return found.end_bytes < found.start_bytes + 100 * 10**6


if __name__ == "__main__":
    sys.exit(main())
