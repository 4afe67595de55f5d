import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from volens.face import RgbImage
from volens.service.door.decider import Decider
from volens.service.door.door_events import Event
from volens.service.door.frame_queue import Frame, Frames

Made = Callable[..., Frame]


def picture(shade: int = 90, side: int = 64) -> RgbImage:
    return RgbImage(np.full((side, side, 3), shade, dtype=np.uint8))


@dataclass
class Heard:
    """What was told, for tests that wait until it was."""

    events: list[Event] = field(default_factory=list)
    came: threading.Condition = field(default_factory=threading.Condition)

    def __call__(self, event: Event) -> None:
        with self.came:
            self.events.append(event)
            self.came.notify_all()

    def of(self, kind: type[Event]) -> list[Event]:
        with self.came:
            return [event for event in self.events if isinstance(event, kind)]

    def wait_for(self, kind: type[Event], count: int = 1, timeout_s: float = 20) -> list[Event]:
        with self.came:
            came = self.came.wait_for(lambda: len(self.of(kind)) >= count, timeout_s)
            assert came, f"expected {count} {kind.__name__}, heard {self.events}"
            return self.of(kind)


@pytest.fixture
def heard() -> Heard:
    return Heard()


@dataclass
class Deciding:
    """A decider in a thread."""

    decider: Decider
    frames: Frames
    thread: threading.Thread
    raised: list[Exception] = field(default_factory=list)

    def put(self, frame: Frame, *, within_s: float = 20) -> None:
        """Put a frame, and wait until it was looked at."""
        self.frames.put(frame)
        assert frame.is_settled(within_s)

    def end(self) -> None:
        self.frames.close()
        self.thread.join(20)
        assert not self.thread.is_alive()


@pytest.fixture
def deciding(heard: Heard) -> Iterator[Callable[[Decider], Deciding]]:
    """Start a decider, and end it after the test."""
    started: list[Deciding] = []

    def start(decider: Decider) -> Deciding:
        frames = Frames()
        one = Deciding(decider, frames, threading.Thread())

        def run() -> None:
            try:
                decider.decide(frames, heard)
            except Exception as error:  # noqa: BLE001  the test looks at it
                one.raised.append(error)

        one.thread = threading.Thread(target=run)
        one.thread.start()
        started.append(one)
        return one

    yield start
    for one in started:
        one.end()


@pytest.fixture
def token(tmp_path: Path) -> Path:
    from fake_service import TOKEN  # noqa: PLC0415  only few tests need the server

    file = tmp_path / "door.token"
    file.write_text(TOKEN + "\n")
    file.chmod(0o600)
    return file


def until(holds: Callable[[], bool], what: str, timeout_s: float = 20) -> None:
    end = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < end, f"it did not come to pass that {what}"
        time.sleep(0.02)
