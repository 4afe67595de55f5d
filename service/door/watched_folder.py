"""Watched folder: a camera or an upload adds images, and each is processed once, oldest first.

1. A file counts as complete when its size and time have not changed for `STILL_S`. A file that cannot be decoded gets
   `INCOMPLETE_S`, because an upload may pause.
2. An image older than `max_age_s` is not processed: it shows who was there before. Its age is that of the time of the
   file. A time in the future, from a camera whose clock is ahead, says nothing; then the time counts at which this
   machine last changed the file's entry (ctime).
3. An image is noted in `SeenFiles` before it is processed, so that it is not processed again after a restart.
4. With `consume`, a file is deleted after it was processed.
"""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final, final

from volens.consent import InputError, UnavailableError
from volens.face import ImageError, decode
from volens.face.image_formats import NETWORK_FORMATS
from volens.face.pixel_budget import DOOR_FRAME
from volens.service.door.door_events import EventSink, InputRejected, SourceEnded, SourceLost, SourceReady
from volens.service.door.frame_queue import MAX_AGE_S, Frame, FrameQueue
from volens.service.door.frame_sources import wait_until_processed
from volens.service.door.seen_files import SeenFile, SeenFiles, journal_of
from volens.service.door.stream_messages import printable

SCAN_EVERY_S: Final = 0.2
STILL_S: Final = 0.4
INCOMPLETE_S: Final = 10.0
MAX_FILE_BYTES: Final = 8 * 2**20
_CLOCK_TOLERANCE_S: Final = 2.0

_SUFFIXES: Final = frozenset(suffix for one in NETWORK_FORMATS for suffix in one.suffixes)


@final
@dataclass(frozen=True, slots=True)
class _FileState:
    size: int
    modified_ns: int
    changed_ns: int
    since_s: float


@final
class Folder:
    """A folder into which another program writes images."""

    is_intermittent = True

    def __init__(
        self,
        path: Path,
        *,
        consume: bool = False,
        max_age_s: float = MAX_AGE_S,
        end_when_empty: bool = False,
        door: str = "door",
        state: Path | None = None,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        """Watch a folder, without its subfolders; with `end_when_empty`, end when all files were processed.

        `state` is the journal of processed files; see `journal_of` for its default, one for each `door`. `wall_clock`
        returns seconds since 1970, to compare with file times.

        Raises:
            InputError: the folder does not exist.
        """
        if not path.is_dir():
            raise InputError(f"there is no folder {path}; create it, or check --folder")
        self._path = path
        self._consume = consume
        self._max_age_s = max_age_s
        self._end_when_empty = end_when_empty
        self._wall_clock = wall_clock
        self._incomplete: dict[str, _FileState] = {}
        self._seen = SeenFiles(state or journal_of(path, door), max_age_s)

    def run(self, frames: FrameQueue, emit: EventSink, stopped: threading.Event) -> None:
        """Process new files until `stopped` is set.

        Raises:
            UnavailableError: the journal of processed files cannot be written.
        """
        self._seen.load()
        is_ok: bool | None = None
        while not stopped.is_set():
            try:
                files = self._files()
            except OSError as error:
                if is_ok is not False:
                    emit(
                        SourceLost(f"cannot list {self._path}: {error.strerror}; check the folder and its permissions")
                    )
                is_ok = False
                stopped.wait(1.0)
                continue
            if not is_ok:
                emit(SourceReady())
            is_ok = True
            for path, state in files:
                if self._is_complete(path, state) and not self._process(path, state, frames, emit, stopped):
                    return
            if self._end_when_empty and not self._incomplete:
                emit(SourceEnded())
                return
            stopped.wait(SCAN_EVERY_S)

    def _files(self) -> list[tuple[Path, _FileState]]:
        now = time.monotonic()
        found: list[tuple[Path, _FileState]] = []
        for path in self._path.iterdir():
            if path.suffix.lower() not in _SUFFIXES or path.name.startswith("."):
                continue
            with suppress(OSError):  # deleted meanwhile, or not readable
                info = path.stat()
                if path.is_file():
                    found.append((path, _FileState(info.st_size, info.st_mtime_ns, info.st_ctime_ns, now)))
        names = {path.name for path, _ in found}
        self._incomplete = {name: state for name, state in self._incomplete.items() if name in names}
        with suppress(UnavailableError):  # the next image reports it
            self._seen.forget_missing(names, now)
        fresh = []
        for path, state in found:
            if not self._seen.knows(path.name, state.size, state.modified_ns):
                fresh.append((path, state))
            elif self._consume:  # killed after processing it, or could not delete it
                with suppress(OSError):
                    path.unlink(missing_ok=True)
        return sorted(fresh, key=lambda one: (one[1].modified_ns, one[0].name))

    def _is_complete(self, path: Path, state: _FileState) -> bool:
        # 1.
        before = self._incomplete.get(path.name)
        if before is None or (before.size, before.modified_ns) != (state.size, state.modified_ns):
            self._incomplete[path.name] = state
            return False
        return state.since_s - before.since_s >= STILL_S

    def _process(
        self, path: Path, state: _FileState, frames: FrameQueue, emit: EventSink, stopped: threading.Event
    ) -> bool:
        try:
            data = _read(path)
            seen = SeenFile(path.name, state.size, state.modified_ns, sha256(data).hexdigest())
            refusal = self._refusal(state, seen)
            image = decode(data, printable(path.name), NETWORK_FORMATS, DOOR_FRAME) if refusal is None else None
        except OSError:
            return True  # deleted meanwhile
        except ImageError as error:
            if state.since_s - self._incomplete[path.name].since_s < INCOMPLETE_S and not self._end_when_empty:
                return True
            seen = SeenFile(path.name, state.size, state.modified_ns, "")
            refusal, image = str(error), None
        # 3.
        self._note(seen, emit)
        if refusal is not None:
            emit(InputRejected(refusal))
        if image is not None:
            frame = Frame(image, time.monotonic(), data)
            frames.put(frame)
            if not wait_until_processed(frame, stopped):
                return False
        # 4.
        if self._consume:
            with suppress(OSError):
                path.unlink(missing_ok=True)
        return True

    def _refusal(self, state: _FileState, seen: SeenFile) -> str | None:
        """Return why an image is not processed, or None."""
        if self._seen.knows_content(seen.sha256):
            return f"{printable(seen.name)} has the content of an image that was processed before"
        # 2.
        age_s = self._age_s(state)
        if age_s > self._max_age_s:
            return (
                f"{printable(seen.name)} is {age_s:.0f} s old and was not processed; see --max-age-s, and set the "
                "clock of the camera"
            )
        return None

    def _age_s(self, state: _FileState) -> float:
        now = self._wall_clock()
        times = (state.modified_ns / 1e9, state.changed_ns / 1e9)
        written = next((one for one in times if one <= now + _CLOCK_TOLERANCE_S), now)
        return max(0.0, now - written)

    def _note(self, seen: SeenFile, emit: EventSink) -> None:
        self._incomplete.pop(seen.name, None)
        try:
            self._seen.add(seen)
        except UnavailableError as error:
            emit(InputRejected(f"{error}; after a restart an image may be processed again"))


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        data = file.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise ImageError(f"{printable(path.name)} is larger than {MAX_FILE_BYTES // 2**20} MiB; send smaller images")
    return data
