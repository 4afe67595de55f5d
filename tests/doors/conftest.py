import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from patience import PATIENCE_S

from volens.face import RgbImage
from volens.service.door import Event, Frame, FrameQueue
from volens.service.door.decider import Decider

Made = Callable[..., Frame]


def picture(shade: int = 90, side: int = 64) -> RgbImage:
    return RgbImage(np.full((side, side, 3), shade, dtype=np.uint8))


@dataclass
class RecordedEvents:
    """Records events, and waits for them."""

    events: list[Event] = field(default_factory=list)
    came: threading.Condition = field(default_factory=threading.Condition)

    def __call__(self, event: Event) -> None:
        with self.came:
            self.events.append(event)
            self.came.notify_all()

    def of(self, kind: type[Event]) -> list[Event]:
        with self.came:
            return [event for event in self.events if isinstance(event, kind)]

    def wait_for(self, kind: type[Event], count: int = 1, timeout_s: float = PATIENCE_S) -> list[Event]:
        with self.came:
            came = self.came.wait_for(lambda: len(self.of(kind)) >= count, timeout_s)
            assert came, f"expected {count} {kind.__name__}, got {self.events}"
            return self.of(kind)


@pytest.fixture
def recorded() -> RecordedEvents:
    return RecordedEvents()


@dataclass
class DeciderThread:
    """A decider in a thread."""

    decider: Decider
    frames: FrameQueue
    thread: threading.Thread
    raised: list[Exception] = field(default_factory=list)

    def put(self, frame: Frame, *, timeout_s: float = PATIENCE_S) -> None:
        """Queue a frame and wait until it was processed."""
        self.frames.put(frame)
        assert frame.wait_done(timeout_s)

    def end(self) -> None:
        self.frames.close()
        self.thread.join(PATIENCE_S)
        assert not self.thread.is_alive()


@pytest.fixture
def start_decider(recorded: RecordedEvents) -> Iterator[Callable[[Decider], DeciderThread]]:
    """Start a decider, and end it after the test."""
    started: list[DeciderThread] = []

    def start(decider: Decider) -> DeciderThread:
        frames = FrameQueue()
        one = DeciderThread(decider, frames, threading.Thread())

        def run() -> None:
            try:
                decider.decide(frames, recorded)
            except Exception as error:  # noqa: BLE001  the test inspects it
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


def until(holds: Callable[[], bool], what: str, timeout_s: float = PATIENCE_S) -> None:
    end = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < end, f"timeout: {what}"
        time.sleep(0.02)
