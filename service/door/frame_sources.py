"""Sources of frames: cameras and videos, each in a thread. A failed camera is reopened (retry with backoff)."""

import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, Protocol, TypeAlias, final
from urllib.parse import quote

from volens.consent import InputError, VolensError
from volens.face import ImageError, RgbImage, camera_frames, network_camera_frames, video_frames
from volens.service.backoff import again_in_s
from volens.service.door.addresses import host_and_port, is_host, split_url
from volens.service.door.door_events import DoorFailed, EventSink, InputRejected, SourceEnded, SourceLost, SourceReady
from volens.service.door.frame_queue import Frame, FrameQueue
from volens.store.files import read_secret

OpenFrames: TypeAlias = Callable[[], Iterator[tuple[str, RgbImage]]]

VIDEO_EVERY_S: Final = 0.2
_WAIT_S: Final = 0.1
_MAX_PASSWORD_BYTES: Final = 256


class Source(Protocol):
    """A source of frames: camera, folder or video.

    Attributes:
        is_intermittent: pauses between frames are normal and no failure.
    """

    is_intermittent: bool

    def run(self, frames: FrameQueue, emit: EventSink, stopped: threading.Event) -> None:
        """Queue frames until `stopped` is set or there are no more; report failures and the end.

        Raises:
            VolensError: an error that a retry cannot fix.
        """


@final
class Camera:
    """A camera of this machine or of the network. Only its newest frame is kept."""

    is_intermittent = False

    def __init__(self, open_frames: OpenFrames, chance: Callable[[], float] = random.random) -> None:
        """Open nothing yet; `chance` returns random numbers from 0 to 1, for the jitter of the backoff."""
        self._open_frames = open_frames
        self._chance = chance

    @classmethod
    def local(cls, index: int) -> "Camera":
        """Return a camera of this machine, by its number."""
        return cls(lambda: camera_frames(index))

    @classmethod
    def network(cls, url: str, password_file: Path | None) -> "Camera":
        """Return a network camera.

        Raises:
            InputError: the URL is not one of a camera, or contains a password.
        """
        address = camera_address(url, password_file)
        return cls(lambda: network_camera_frames(address))

    def run(self, frames: FrameQueue, emit: EventSink, stopped: threading.Event) -> None:
        """Read frames as they arrive; reopen the camera whenever it fails."""
        failures = 0
        size: tuple[int, int] | None = None
        while not stopped.is_set():
            try:
                for _, image in self._open_frames():
                    if size is not None and size != (image.width, image.height):
                        emit(InputRejected(_size_change(size, image)))
                    size = image.width, image.height
                    if failures or not frames.received_any:
                        emit(SourceReady())
                    failures = 0
                    frames.put(Frame(image, time.monotonic()))
                    if stopped.is_set():
                        return
            except ImageError as error:
                failures += 1
                emit(SourceLost(str(error)))
            stopped.wait(again_in_s(max(1, failures), self._chance()))


def _size_change(before: tuple[int, int], image: RgbImage) -> str:
    sizes = f"from {before[0]}x{before[1]} to {image.width}x{image.height}"
    return f"the camera has changed its size {sizes}; --near and --region hold for the new size; check the camera"


@final
class Video:
    """A video, for tests: one frame for each `VIDEO_EVERY_S` of it, each one processed, as fast as possible."""

    is_intermittent = True

    def __init__(self, path: Path) -> None:
        self._path = path

    def run(self, frames: FrameQueue, emit: EventSink, stopped: threading.Event) -> None:
        """Queue the frames one after the other.

        Raises:
            ImageError: the file is not a readable video.
        """
        for number, (_, image) in enumerate(video_frames(self._path, VIDEO_EVERY_S)):
            frame = Frame(image, number * VIDEO_EVERY_S)
            frames.put(frame)
            if not wait_until_processed(frame, stopped):
                return
        emit(SourceEnded())


def wait_until_processed(frame: Frame, stopped: threading.Event) -> bool:
    """Wait until a frame was processed. False: the door ended before."""
    while not frame.wait_done(_WAIT_S):
        if stopped.is_set():
            return False
    return True


def camera_address(url: str, password_file: Path | None = None) -> str:
    """Return a camera's URL with its password. It must not be logged.

    Raises:
        InputError: the URL is not one of a camera, or contains a password, which a list of processes would show.
        UnavailableError: the password file cannot be read.
    """
    parts = split_url(url)
    host = parts.hostname
    if parts.scheme not in {"rtsp", "rtsps"} or not is_host(host) or not url.isascii() or not url.isprintable():
        raise InputError("got a URL that is not one of a camera; expected --rtsp rtsp://[USER@]HOST[:PORT]/PATH")
    if parts.password is not None:
        raise InputError(
            "got a password in the camera's URL, where a list of processes shows it; give "
            "--rtsp rtsp://USER@HOST/PATH and --rtsp-password-file FILE"
        )
    if password_file is None:
        return url
    if not parts.username:
        raise InputError("got --rtsp-password-file without a user in the URL; give --rtsp rtsp://USER@HOST/PATH")
    password = quote(read_secret(password_file, "password", _MAX_PASSWORD_BYTES), safe="")
    return parts._replace(netloc=f"{parts.username}:{password}@{host_and_port(host, parts.port)}").geturl()


def start_source(source: Source, frames: FrameQueue, emit: EventSink, stopped: threading.Event) -> threading.Thread:
    """Start a source in a thread; an error that a retry cannot fix becomes `DoorFailed`."""

    def run() -> None:
        try:
            source.run(frames, emit, stopped)
        except (VolensError, OSError) as error:
            emit(DoorFailed(error))

    thread = threading.Thread(target=run, name="door-source", daemon=True)
    thread.start()
    return thread
