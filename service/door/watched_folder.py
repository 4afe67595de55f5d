"""A folder that a camera, or its upload, drops images into: each is looked at once, the oldest first.

1. What is younger than a moment may still be being written: a file counts when its size and time have stood still.
   One that cannot be decoded is given more time, for an upload may pause.
2. What is older than `max_age_s` is not looked at: it shows who was there, not who is.
3. A file is deleted after it was looked at, and only if that was asked for.
"""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

from volens.consent import InputError
from volens.face import ImageError, decode
from volens.service.door.door_events import SourceBroken, SourceEnded, SourceWell, Tell, Unusable
from volens.service.door.frame_queue import MAX_AGE_S, Frame, Frames
from volens.service.door.frame_sources import until_settled
from volens.service.door.stream_messages import plain

LOOK_EVERY_S: Final = 0.2
STILL_S: Final = 0.4
INCOMPLETE_S: Final = 10.0
MAX_FILE_BYTES: Final = 8 * 2**20

_SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png", ".webp"})


@final
@dataclass(frozen=True, slots=True)
class _Seen:
    size: int
    modified_ns: int
    since_s: float


@final
class Folder:
    """A folder of images that others write."""

    is_quiet = True

    def __init__(
        self,
        path: Path,
        *,
        consume: bool = False,
        max_age_s: float = MAX_AGE_S,
        ends: bool = False,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        """Watch a folder.

        Args:
            path: the folder; subfolders are not looked into.
            consume: delete each file afterwards.
            max_age_s: older files are not looked at.
            ends: stop when all that is there was looked at.
            wall_clock: seconds since 1970, as files have them.

        Raises:
            InputError: it is no folder.
        """
        if not path.is_dir():
            raise InputError(f"there is no folder {path}; make it, or check --folder")
        self._path = path
        self._consume = consume
        self._max_age_s = max_age_s
        self._ends = ends
        self._wall_clock = wall_clock
        self._growing: dict[str, _Seen] = {}
        self._done: dict[str, tuple[int, int]] = {}

    def run(self, frames: Frames, tell: Tell, stopped: threading.Event) -> None:
        """Look for new files until it is stopped."""
        is_well: bool | None = None
        while not stopped.is_set():
            try:
                files = self._files()
            except OSError as error:
                if is_well is not False:
                    tell(SourceBroken(f"cannot list {self._path}: {error.strerror}; check it and its rights"))
                is_well = False
                stopped.wait(1.0)
                continue
            if not is_well:
                tell(SourceWell())
            is_well = True
            for path, seen in files:
                if self._is_complete(path, seen) and not self._look(path, seen, frames, tell, stopped):
                    return
            if self._ends and not self._growing:
                tell(SourceEnded())
                return
            stopped.wait(LOOK_EVERY_S)

    def _files(self) -> list[tuple[Path, _Seen]]:
        now = time.monotonic()
        found: list[tuple[Path, _Seen]] = []
        for path in self._path.iterdir():
            if path.suffix.lower() not in _SUFFIXES or path.name.startswith("."):
                continue
            with suppress(OSError):  # gone again, or not ours to see
                state = path.stat()
                if path.is_file():
                    found.append((path, _Seen(state.st_size, state.st_mtime_ns, now)))
        names = {path.name for path, _ in found}
        self._growing = {name: seen for name, seen in self._growing.items() if name in names}
        self._done = {name: seen for name, seen in self._done.items() if name in names}
        fresh = [(path, seen) for path, seen in found if self._done.get(path.name) != (seen.size, seen.modified_ns)]
        return sorted(fresh, key=lambda one: (one[1].modified_ns, one[0].name))

    def _is_complete(self, path: Path, seen: _Seen) -> bool:
        # 1.
        before = self._growing.get(path.name)
        if before is None or (before.size, before.modified_ns) != (seen.size, seen.modified_ns):
            self._growing[path.name] = seen
            return False
        return seen.since_s - before.since_s >= STILL_S

    def _look(self, path: Path, seen: _Seen, frames: Frames, tell: Tell, stopped: threading.Event) -> bool:
        # 2.
        age_s = self._wall_clock() - seen.modified_ns / 1e9
        if age_s > self._max_age_s:
            tell(Unusable(f"{plain(path.name)} is {age_s:.0f} s old and was not looked at; see --max-age-s"))
            self._end(path, seen)
            return True
        try:
            data = _read(path)
            image = decode(data, plain(path.name))
        except OSError:
            return True  # gone again
        except ImageError as error:
            if seen.since_s - self._growing[path.name].since_s >= INCOMPLETE_S or self._ends:
                tell(Unusable(str(error)))
                self._end(path, seen)
            return True
        frame = Frame(image, time.monotonic(), data, alone=True)
        frames.put(frame)
        if not until_settled(frame, stopped):
            return False
        # 3.
        self._end(path, seen)
        return True

    def _end(self, path: Path, seen: _Seen) -> None:
        self._growing.pop(path.name, None)
        self._done[path.name] = (seen.size, seen.modified_ns)
        if self._consume:
            with suppress(OSError):
                path.unlink(missing_ok=True)


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        data = file.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise ImageError(f"{plain(path.name)} is larger than {MAX_FILE_BYTES // 2**20} MiB; expected at most that")
    return data
