"""Frames on their way from a source to whoever decides, and the one place where they wait.

Of a camera only the newest frame waits: an old one shows who was there, not who is. Of a folder or a video every frame
counts: the source puts one, and waits until it was looked at.
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
"""An older frame opens nothing, whether it waited for a service that was away or lay in a folder."""

MAX_TRIES: Final = 3
"""A frame that was handed over so often without being looked at is given up: it may be what ends the sessions."""


@final
class Frame:
    """One frame: its pixels, and the bytes that they came as, if they did.

    Attributes:
        image: the pixels.
        at_s: when it was taken, in seconds of any clock that does not go back, the same for all frames of a source.
        alone: it does not follow the one before it; nothing is known of who is in it from others.
        tries: how often it was handed over.
        put_at_s: when it came, by `time.monotonic`.
    """

    __slots__ = ("_data", "_settled", "alone", "at_s", "image", "put_at_s", "tries")

    def __init__(self, image: RgbImage, at_s: float, data: bytes | None = None, *, alone: bool = False) -> None:
        """Take a frame that nobody has looked at."""
        self.image = image
        self.at_s = at_s
        self.alone = alone
        self.tries = 0
        self.put_at_s = 0.0
        self._data = data
        self._settled = threading.Event()

    def encoded(self) -> bytes:
        """Return it as a file: the one it came from, or a JPEG.

        Raises:
            UnavailableError: the picture cannot be written as JPEG.
        """
        if self._data is None:
            import cv2  # noqa: PLC0415  what ends a consent must run where OpenCV does not

            bgr = np.ascontiguousarray(self.image.pixels[:, :, ::-1])
            ok, jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
            if not ok:
                raise UnavailableError("a frame cannot be written as JPEG; see 'volens doctor'")
            self._data = bytes(jpeg)
        return self._data

    def settle(self) -> None:
        """Note that it needs no more looking at."""
        self._settled.set()

    def is_settled(self, within_s: float) -> bool:
        """Wait a while until it needs no more looking at, and tell whether that is so."""
        return self._settled.wait(within_s)


@final
class Frames:
    """Where frames wait. One source puts, one decider takes."""

    def __init__(self, max_age_s: float = MAX_AGE_S) -> None:
        """Nothing waits; and nothing waits longer than `max_age_s`, for a frame shows who was there then."""
        self._max_age_s = max_age_s
        self._changed = threading.Condition()
        self._waiting: Frame | None = None
        self._taken_at: deque[float] = deque(maxlen=64)
        self._last: Frame | None = None
        self._closed = False

    def put(self, frame: Frame) -> None:
        """Let a frame wait, in the place of one that nobody took."""
        with self._changed:
            self._waiting = self._last = frame
            frame.put_at_s = time.monotonic()
            self._taken_at.append(frame.put_at_s)
            self._changed.notify_all()

    def take(self, within_s: float) -> Frame | None:
        """Return the frame that waits, or the first one that comes within a time."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting is not None or self._closed, within_s)
            frame, self._waiting = self._waiting, None
            if frame is None:
                return None
            if time.monotonic() - frame.put_at_s > self._max_age_s:
                frame.settle()
                return None
            frame.tries += 1
            return frame

    def give_back(self, frame: Frame, *, counts: bool = True) -> None:
        """Put back a frame that was taken and not looked at, unless a newer one waits or it was tried too often.

        `counts` is false where somebody was only too busy: then nothing is wrong with the frame.
        """
        with self._changed:
            frame.tries -= not counts
            if frame.tries >= MAX_TRIES:
                frame.settle()
            elif self._waiting is None:
                self._waiting = frame
                self._changed.notify_all()

    @property
    def is_answered(self) -> bool:
        """Whether the newest frame needs no more looking at; so it is when there is none."""
        with self._changed:
            return self._last is None or self._last.is_settled(0)

    @property
    def has_come(self) -> bool:
        """Whether there ever was a frame."""
        with self._changed:
            return self._last is not None

    def age_s(self, now_s: float) -> float | None:
        """Return how long ago the newest frame came; None if none ever did."""
        with self._changed:
            return None if self._last is None else max(0.0, now_s - self._last.put_at_s)

    def rate(self, now_s: float) -> float:
        """Return how many frames a second came in the last five seconds."""
        with self._changed:
            return sum(now_s - at < _RATE_OVER_S for at in self._taken_at) / _RATE_OVER_S

    def close(self) -> None:
        """Let nobody wait for frames any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def is_closed(self) -> bool:
        """Whether there will be no more."""
        with self._changed:
            return self._closed
