"""Where frames come from: cameras, videos, a folder. Each in a thread of its own, reopened when it breaks off."""

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
from volens.service.door.addresses import host_and_port, is_host, parts_of, secret_in
from volens.service.door.door_events import Broken, SourceBroken, SourceEnded, SourceWell, Tell
from volens.service.door.frame_queue import Frame, Frames

Opened: TypeAlias = Callable[[], Iterator[tuple[str, RgbImage]]]

VIDEO_EVERY_S: Final = 0.2
_WAIT_S: Final = 0.1
_MAX_PASSWORD_BYTES: Final = 256


class Source(Protocol):
    """A camera, a folder, a video.

    Attributes:
        is_quiet: no frame for a while does not mean that something is broken.
    """

    is_quiet: bool

    def run(self, frames: Frames, tell: Tell, stopped: threading.Event) -> None:
        """Put frames until it is stopped or has no more; tell of what breaks off, and of its end.

        Raises:
            VolensError: trying again would not help.
        """


@final
class Camera:
    """A camera, by number or by address. Only its newest frame waits."""

    is_quiet = False

    def __init__(self, opened: Opened, chance: Callable[[], float] = random.random) -> None:
        """Open nothing yet; `chance` is for the jitter of pauses."""
        self._opened = opened
        self._chance = chance

    @classmethod
    def number(cls, index: int) -> "Camera":
        """Return a camera of this machine."""
        return cls(lambda: camera_frames(index))

    @classmethod
    def at(cls, url: str, password_file: Path | None) -> "Camera":
        """Return a camera of the network.

        Raises:
            InputError: the address is none of a camera, or has a password in it.
        """
        address = camera_address(url, password_file)
        return cls(lambda: network_camera_frames(address))

    def run(self, frames: Frames, tell: Tell, stopped: threading.Event) -> None:
        """Read frames as they come; when they stop, open the camera again, for ever."""
        failures = 0
        while not stopped.is_set():
            try:
                for _, image in self._opened():
                    if failures or not frames.has_come:
                        tell(SourceWell())
                    failures = 0
                    frames.put(Frame(image, time.monotonic()))
                    if stopped.is_set():
                        return
            except ImageError as error:
                failures += 1
                tell(SourceBroken(str(error)))
            stopped.wait(again_in_s(max(1, failures), self._chance()))


@final
class Video:
    """A video, for trying out: a frame for each `VIDEO_EVERY_S` of it, each looked at, as fast as that goes."""

    is_quiet = True

    def __init__(self, path: Path) -> None:
        """Open nothing yet."""
        self._path = path

    def run(self, frames: Frames, tell: Tell, stopped: threading.Event) -> None:
        """Hand over the frames one after the other.

        Raises:
            ImageError: it is no video that can be read.
        """
        for number, (_, image) in enumerate(video_frames(self._path, VIDEO_EVERY_S)):
            frame = Frame(image, number * VIDEO_EVERY_S)
            frames.put(frame)
            if not until_settled(frame, stopped):
                return
        tell(SourceEnded())


def until_settled(frame: Frame, stopped: threading.Event) -> bool:
    """Wait until a frame was looked at. False: it was not, for the door ends."""
    while not frame.is_settled(_WAIT_S):
        if stopped.is_set():
            return False
    return True


def camera_address(url: str, password_file: Path | None = None) -> str:
    """Return a camera's address with its password in it, for nobody's eyes.

    Raises:
        InputError: it is none of a camera, or has a password in it already: whoever lists processes would see it.
        UnavailableError: the password's file cannot be read.
    """
    parts = parts_of(url)
    host = parts.hostname
    if parts.scheme not in {"rtsp", "rtsps"} or not is_host(host) or not url.isascii() or not url.isprintable():
        raise InputError("got an address that is none of a camera; expected --rtsp rtsp://[USER@]HOST[:PORT]/PATH")
    if parts.password is not None:
        raise InputError(
            "got a password in the camera's address, where everybody who lists processes reads it; give "
            "--rtsp rtsp://USER@HOST/PATH and --rtsp-password-file FILE"
        )
    if password_file is None:
        return url
    if not parts.username:
        raise InputError("got --rtsp-password-file without a user in the address; give --rtsp rtsp://USER@HOST/PATH")
    password = quote(secret_in(password_file, "password", _MAX_PASSWORD_BYTES), safe="")
    return parts._replace(netloc=f"{parts.username}:{password}@{host_and_port(host, parts.port)}").geturl()


def started(source: Source, frames: Frames, tell: Tell, stopped: threading.Event) -> threading.Thread:
    """Start a source in a thread; what trying again does not mend is told as `Broken`."""

    def run() -> None:
        try:
            source.run(frames, tell, stopped)
        except (VolensError, OSError) as error:
            tell(Broken(error))

    thread = threading.Thread(target=run, name="door-source", daemon=True)
    thread.start()
    return thread
