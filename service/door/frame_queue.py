"""Queue of at most one frame, from a source to a decider.

A camera replaces the waiting frame by its newest one, because an old frame shows who was there before. A folder or
video queues one frame and waits until it was processed, because each of its frames counts.
"""

import threading
import time
from collections import deque
from typing import Final, final

import numpy as np

from volens.consent import UnavailableError
from volens.face import RgbImage

JPEG_QUALITY: Final = 90
_RATE_OVER_S: Final = 5.0
MAX_AGE_S: Final = 30.0
"""An older frame opens nothing, whether it waited for an unreachable service or lay in a folder."""

MAX_ATTEMPTS: Final = 3
"""A frame is given up after so many attempts, because it may be what ends the sessions."""


@final
class Frame:
    """One frame: its pixels, and the encoded image if it was one.

    Attributes:
        at_s: when it was taken, in seconds of a clock that does not go back and that all frames of a source share.
        attempts: how many times a decider has taken it.
        queued_at_s: when it was queued, by `time.monotonic`.
    """

    __slots__ = ("_data", "_done", "at_s", "attempts", "image", "queued_at_s")

    def __init__(self, image: RgbImage, at_s: float, data: bytes | None = None) -> None:
        self.image = image
        self.at_s = at_s
        self.attempts = 0
        self.queued_at_s = 0.0
        self._data = data
        self._done = threading.Event()

    def encoded(self) -> bytes:
        """Return the frame as a file: the one it came from, or a JPEG.

        Raises:
            UnavailableError: the frame cannot be encoded as JPEG.
        """
        if self._data is None:
            import cv2  # noqa: PLC0415  withdrawal and erasure must run without OpenCV

            bgr = np.ascontiguousarray(self.image.pixels[:, :, ::-1])
            ok, jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
            if not ok:
                raise UnavailableError("a frame cannot be encoded as JPEG; see 'volens doctor'")
            self._data = bytes(jpeg)
        return self._data

    def mark_done(self) -> None:
        """Mark the frame as done: it is not processed again."""
        self._done.set()

    def wait_done(self, timeout_s: float) -> bool:
        """Wait until the frame is done, at most `timeout_s`, and return whether it is."""
        return self._done.wait(timeout_s)


@final
class FrameQueue:
    """Queue between one source and one decider."""

    def __init__(self, max_age_s: float = MAX_AGE_S) -> None:
        """Create an empty queue; a frame older than `max_age_s` is dropped, because it shows who was there before."""
        self._max_age_s = max_age_s
        self._changed = threading.Condition()
        self._waiting: Frame | None = None
        self._queued_times: deque[float] = deque(maxlen=64)
        self._last: Frame | None = None
        self._closed = False

    def put(self, frame: Frame) -> None:
        """Queue a frame; it replaces one that was not taken."""
        with self._changed:
            self._waiting = self._last = frame
            frame.queued_at_s = time.monotonic()
            self._queued_times.append(frame.queued_at_s)
            self._changed.notify_all()

    def take(self, timeout_s: float) -> Frame | None:
        """Return the waiting frame, or the first one that arrives within the timeout."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting is not None or self._closed, timeout_s)
            frame, self._waiting = self._waiting, None
            if frame is None:
                return None
            if time.monotonic() - frame.queued_at_s > self._max_age_s:
                frame.mark_done()
                return None
            frame.attempts += 1
            return frame

    def put_back(self, frame: Frame, *, count_attempt: bool = True) -> None:
        """Put back a frame that was not processed, unless a newer one waits or the attempts are used up.

        `count_attempt` is False if the decider was only busy: the attempt then does not count.
        """
        with self._changed:
            frame.attempts -= not count_attempt
            if frame.attempts >= MAX_ATTEMPTS:
                frame.mark_done()
            elif self._waiting is None:
                self._waiting = frame
                self._changed.notify_all()

    @property
    def is_idle(self) -> bool:
        """Whether no frame is waiting or being processed."""
        with self._changed:
            return self._last is None or self._last.wait_done(0)

    @property
    def received_any(self) -> bool:
        """Whether any frame was ever queued."""
        with self._changed:
            return self._last is not None

    def age_s(self, now_s: float) -> float | None:
        """Return the age of the newest frame; None if there was none."""
        with self._changed:
            return None if self._last is None else max(0.0, now_s - self._last.queued_at_s)

    def rate(self, now_s: float) -> float:
        """Return the frames per second of the last five seconds."""
        with self._changed:
            return sum(now_s - at < _RATE_OVER_S for at in self._queued_times) / _RATE_OVER_S

    def close(self) -> None:
        """Close the queue and wake the decider."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def is_closed(self) -> bool:
        """Whether the queue is closed."""
        with self._changed:
            return self._closed
