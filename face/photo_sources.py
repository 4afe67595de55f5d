"""Photo sources: files, folders, videos, cameras. Frames are yielded one by one and not stored."""

from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

from volens.face.face_errors import ImageError
from volens.face.image import RgbImage
from volens.face.image_formats import PHOTO_FORMATS, named
from volens.face.pixel_budget import MAX_PIXELS

LabelledFrame: TypeAlias = tuple[str, RgbImage]

_IMAGE_SUFFIXES: Final = frozenset(suffix for one in PHOTO_FORMATS for suffix in one.suffixes)
_VIDEO_SUFFIXES: Final = frozenset({".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg"})
_DEFAULT_FPS: Final = 25.0
# A camera may deliver a few empty or dark frames while it starts; after this many failed reads in a row it counts as
# disconnected.
_WARM_UP_FRAMES: Final = 5
_MAX_FAILURES: Final = 50

NETWORK_S: Final = 5.0
"""Timeout of a network camera, for opening it and for each frame."""


def is_video(path: Path) -> bool:
    """Return whether the suffix of a path is that of a video; the file is not opened."""
    return path.suffix.lower() in _VIDEO_SUFFIXES


def image_paths(paths: Sequence[Path]) -> list[Path]:
    """Return image files: each file as given, and of each folder the images directly in it, sorted by name.

    A file that is named is always kept, with any suffix, so that `read_image` can report what is wrong with it. In
    a folder, files without the suffix of an image are skipped. A file that occurs twice is returned once.

    Raises:
        ImageError: a folder contains no image or cannot be listed, or `paths` is empty.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if not path.is_dir():
            found[path] = None
            continue
        try:
            inside = sorted(one for one in path.iterdir() if one.suffix.lower() in _IMAGE_SUFFIXES and one.is_file())
        except OSError as error:
            raise ImageError(f"cannot list the folder {path} ({type(error).__name__}); check its permissions") from None
        if not inside:
            raise ImageError(f"the folder {path} contains no images; expected {named(PHOTO_FORMATS)} files")
        found.update(dict.fromkeys(inside))
    if not found:
        raise ImageError("got no image; expected at least one file or folder")
    return list(found)


def video_frames(path: Path, every_s: float = 0.5) -> Iterator[LabelledFrame]:
    """Yield frames of a video, the first one and then one every `every_s` seconds, in a format that OpenCV can read.

    Each frame has a label such as ``door.mp4 at 1.5 s``.

    Raises:
        ValueError: `every_s` is not above 0.
        ImageError: the file is missing, cannot be opened as a video, or has no frame.

    Not checked: a video that is truncated looks like one that ends there.
    """
    import cv2  # noqa: PLC0415  withdrawal must work on a machine where OpenCV does not load

    if not every_s > 0:
        raise ValueError(f"got every_s {every_s}; expected more than 0 seconds")
    if not path.is_file():
        raise ImageError(f"there is no video file {path}; check the path")
    refusal = f"{path.name} cannot be opened as a video; convert it to MP4 (H.264), or give photos"
    capture = _opened(lambda: cv2.VideoCapture(str(path)), refusal)
    try:
        # Some containers do not state a frame rate; then the default is used.
        rate = float(capture.get(cv2.CAP_PROP_FPS))
        fps = rate if 1 <= rate <= 1000 else _DEFAULT_FPS  # noqa: PLR2004  plausible frame rates
        number = taken = 0
        while capture.grab():
            if number / fps >= taken * every_s:
                ok, bgr = capture.retrieve()
                if ok:
                    yield f"{path.name} at {number / fps:.1f} s", _image(bgr, path.name)
                    taken += 1
            number += 1
        if not taken:
            raise ImageError(f"{path.name} has no readable frame; give another video, or photos")
    finally:
        capture.release()


def camera_frames(index: int, count: int | None = None, every: int = 1) -> Generator[LabelledFrame, None, None]:
    """Yield `count` frames of a local camera, or without it until the caller stops; `every` n-th frame, from 1.

    Camera 0 is the first. The first few frames are discarded while it adjusts to the light. Each frame has a label such
    as ``camera 0 frame 3``.

    Raises:
        ValueError: a number is out of range.
        ImageError: the camera cannot be opened, or stops delivering.
    """
    if index < 0 or every < 1 or (count is not None and count < 1):
        raise ValueError(f"got camera {index}, count {count}, every {every}; expected 0 or more, and 1 or more twice")
    import cv2  # noqa: PLC0415  withdrawal must work on a machine where OpenCV does not load

    what = f"camera {index} cannot be opened; check that it is connected and that no other program uses it"
    capture = _opened(lambda: cv2.VideoCapture(index), what)
    yield from _frames(capture, f"camera {index}", count, every, _MAX_FAILURES)


def network_camera_frames(address: str) -> Iterator[LabelledFrame]:
    """Yield frames of a network camera until it stops delivering; the first few are discarded.

    The address is RTSP, including the password if the camera requires one; it appears in no label and no error. Each
    frame has a label such as ``the camera frame 3``.

    Raises:
        ImageError: the camera does not answer, refuses, or has delivered nothing for `NETWORK_S`.

    Not checked: to which host an address leads; the operator who configures the door is responsible for it.
    """
    import cv2  # noqa: PLC0415  withdrawal must work on a machine where OpenCV does not load

    milliseconds = round(1000 * NETWORK_S)
    limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, milliseconds, cv2.CAP_PROP_READ_TIMEOUT_MSEC, milliseconds]
    refusal = "the camera cannot be opened; check its address, its user and password, and that it is on"
    # A failed read has already waited for the whole timeout, so it is not repeated.
    capture = _opened(lambda: cv2.VideoCapture(address, cv2.CAP_FFMPEG, limits), refusal)
    yield from _frames(capture, "the camera", None, 1, 1)


def _frames(capture: Any, name: str, count: int | None, every: int, max_failures: int) -> Iterator[LabelledFrame]:  # noqa: ANN401  cv2's
    try:
        taken = seen = failures = 0
        while count is None or taken < count:
            ok, bgr = capture.read()
            if not ok:
                failures += 1
                if failures >= max_failures:
                    raise ImageError(f"{name} delivers no frames; reconnect it and try again")
                continue
            failures = 0
            seen += 1
            if seen > _WARM_UP_FRAMES and (seen - _WARM_UP_FRAMES - 1) % every == 0:
                taken += 1
                yield f"{name} frame {taken}", _image(bgr, name)
    finally:
        capture.release()


def _opened(opening: Callable[[], Any], refusal: str) -> Any:  # noqa: ANN401  cv2's own types change between releases
    import cv2  # noqa: PLC0415  withdrawal must work on a machine where OpenCV does not load

    level = cv2.utils.logging.getLogLevel()
    # OpenCV would print on stderr, repeatedly and with source lines, what the error below says once.
    cv2.utils.logging.setLogLevel(0)
    try:
        capture = opening()
    finally:
        cv2.utils.logging.setLogLevel(level)
    if not capture.isOpened():
        capture.release()
        raise ImageError(refusal)
    return capture


def _image(bgr: Any, name: str) -> RgbImage:  # noqa: ANN401  an array, as cv2 types it
    import cv2  # noqa: PLC0415  withdrawal must work on a machine where OpenCV does not load

    if bgr.shape[0] * bgr.shape[1] > MAX_PIXELS:
        raise ImageError(f"a frame of {name} has more than {MAX_PIXELS // 10**6} million pixels; expected at most that")
    try:
        return RgbImage(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB))
    except ValueError as error:
        raise ImageError(f"a frame of {name} cannot be used: {error}") from None
