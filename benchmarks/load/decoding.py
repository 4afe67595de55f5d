"""Frames of doors beside large photos: `python -m benchmarks.load.decoding` compares two places to decode the photos.

All in one process, without HTTP: two threads decode and look at ordinary frames, as the service does for doors, and one
thread does the same with photos of 40 million pixels, as an enrollment does. The photos are decoded in that thread or
in the decoding process (`volens.service.process.image_decoder`). Windows of each kind take turns in changing order, so
that all see the same machine.
"""

import argparse
import json
import random
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from benchmarks.load.actors import actors
from benchmarks.load.hostile import enlarged, percentile
from benchmarks.machine import machine
from volens.face import EncodedImage, Extractor
from volens.face.image import Decoder
from volens.face.image_formats import NETWORK_FORMATS
from volens.face.inference import use_calling_threads_only
from volens.face.pixel_budget import DOOR_FRAME, ENROLLMENT_PHOTO
from volens.service.http.server import SWITCH_INTERVAL_S
from volens.service.process import bound_heap
from volens.service.process.image_decoder import ImageDecoder

RESULT: Final = Path(__file__).parents[1] / "results" / "decoding.json"
QUIET, THREAD, PROCESS = "no photos", "photos in a thread", "photos in the decoding process"
_DOORS: Final = 2
_PAUSE_S: Final = 0.02


def measure(window_s: float, windows: int) -> tuple[dict[str, list[float]], dict[str, int]]:
    """Return the latencies of frames in ms, and the number of photos that were decoded, of each kind of window."""
    bound_heap()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    photos = actors(2)
    frame = EncodedImage(photos[1][3], "frame", NETWORK_FORMATS, DOOR_FRAME)
    large = enlarged(photos[0][0])
    extractor = Extractor.load_default()
    use_calling_threads_only()
    took: dict[str, list[float]] = {kind: [] for kind in (QUIET, THREAD, PROCESS)}
    decoded = dict.fromkeys(took, 0)

    def look(kind: str, over: threading.Event) -> None:
        while not over.wait(_PAUSE_S):
            began = time.perf_counter()
            image = frame.decode()
            extractor.crop(image, extractor.detect(image)[0])
            took[kind].append((time.perf_counter() - began) * 1e3)

    def enroll(kind: str, decoder: Decoder | None, over: threading.Event) -> None:
        while not over.is_set():
            extractor.detect(EncodedImage(large, "photo", NETWORK_FORMATS, ENROLLMENT_PHOTO, decoder).decode())
            decoded[kind] += 1

    with closing(ImageDecoder()) as process:
        decoders: dict[str, Decoder | None] = {THREAD: None, PROCESS: process.decode}
        EncodedImage(large, "photo", NETWORK_FORMATS, ENROLLMENT_PHOTO, process.decode).decode()  # starts it
        for number in range(windows):
            for kind in random.Random(number).sample(list(took), len(took)):  # noqa: S311  the order of windows
                over = threading.Event()
                threads = [threading.Thread(target=look, args=(kind, over)) for _ in range(_DOORS)]
                if kind in decoders:
                    threads.append(threading.Thread(target=enroll, args=(kind, decoders[kind], over)))
                for thread in threads:
                    thread.start()
                time.sleep(window_s)
                over.set()
                for thread in threads:
                    thread.join()
    return took, decoded


def table(kept: dict[str, Any]) -> str:
    """Return the figures of a run as a table; ratios are to the windows without photos."""
    lines = ["| windows | frames | p50 ms | p95 ms | p99 ms | p99 ratio | photos |", "|---|---|---|---|---|---|---|"]
    quiet: Sequence[float] = kept["took_ms"][QUIET]
    for kind, took in kept["took_ms"].items():
        parts = " | ".join(f"{percentile(took, part):.0f}" for part in (0.5, 0.95, 0.99))
        ratio = percentile(took, 0.99) / percentile(quiet, 0.99)
        lines.append(f"| {kind} | {len(took):,} | {parts} | {ratio:.2f} | {kept['photos'][kind]} |")
    return "\n".join(lines)


def main() -> int:
    """Run, store and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load.decoding")
    parser.add_argument("--seconds", type=float, default=2, help="of each window")
    parser.add_argument("--windows", type=int, default=20, help="of each kind")
    parser.add_argument("--out", type=Path, default=RESULT)
    asked = parser.parse_args()
    took, photos = measure(asked.seconds, asked.windows)
    kept = {"machine": machine(), "seconds": asked.seconds, "windows": asked.windows, "took_ms": took, "photos": photos}
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    asked.out.write_text(json.dumps(kept, sort_keys=True) + "\n", encoding="utf-8")
    print(table(kept))
    return 0


if __name__ == "__main__":
    sys.exit(main())
