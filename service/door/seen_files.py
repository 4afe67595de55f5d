"""Which images of a watched folder were processed: a journal, so that each is processed at most once.

1. A file is noted before it is processed. If the program is killed in between, the image is lost, and not processed
   twice: a door that opens once too often is worse than a person who looks into the camera again.
2. A file is known by its name, size and time; and by the SHA-256 of its content under another name, size or time, so
   that a rename, a copy or `touch` does not make it new. No clock is compared.
3. A file that has left the folder is forgotten after `keep_s`; the rest is written again when most lines are outdated.

A line is JSON: name, size in bytes, time of change in nanoseconds, SHA-256. Nothing else about an image is kept. A line
that was cut off is ignored.
"""

import json
import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final, final

from volens.consent import UnavailableError
from volens.consent.json_reader import JsonError, read_json
from volens.store.files import write_private

_HEADER: Final = b'{"format": "volens-seen-files/1"}\n'
_MAX_JOURNAL_BYTES: Final = 64 * 2**20
_OUTDATED_LINES: Final = 1000


def journal_of(folder: Path, door: str, environment: Mapping[str, str] = os.environ) -> Path:
    """Return where the journal of a door is by default.

    Below systemd's `StateDirectory=` if there is one, because such a service can often not write the folder; else in
    the folder, under a name that is not taken for an image.
    """
    state = environment.get("STATE_DIRECTORY", "").partition(":")[0]
    if not state:
        return folder / f".volens-seen-{door}.jsonl"
    which = sha256(os.fsencode(folder.absolute())).hexdigest()[:16]
    return Path(state) / f"seen-{door}-{which}.jsonl"


@final
@dataclass(frozen=True, slots=True)
class SeenFile:
    """A file that was processed, or is about to be; without a hash if it is no image."""

    name: str
    size: int
    modified_ns: int
    sha256: str


@final
class SeenFiles:
    """The files of one folder that were processed. For one thread of one process."""

    def __init__(self, path: Path, keep_s: float) -> None:
        """Read nothing yet; `path` is the journal, `keep_s` how long a file is known after it has left the folder."""
        self._path = path
        self._keep_s = keep_s
        self._by_name: dict[str, SeenFile] = {}
        self._digests: dict[str, int] = {}
        self._gone_at_s: dict[str, float] = {}
        self._lines = 0

    def load(self) -> None:
        """Read the journal, and check that it can be written.

        Raises:
            UnavailableError: it cannot be read or written.
        """
        try:
            data = b""
            with suppress(FileNotFoundError), self._path.open("rb") as file:
                data = file.read(_MAX_JOURNAL_BYTES)
        except OSError as error:
            raise self._refusal(str(error.strerror)) from None
        for one in _files_in(data):
            self._remember(one)
        self._write_again()

    def knows(self, name: str, size: int, modified_ns: int) -> bool:
        """Return whether a file of this name, size and time was processed; the file is not read."""
        one = self._by_name.get(name)
        return one is not None and (one.size, one.modified_ns) == (size, modified_ns)

    def knows_content(self, sha256: str) -> bool:
        """Return whether a file with this content was processed, under any name."""
        return sha256 in self._digests

    def add(self, seen: SeenFile) -> None:
        """Note a file, on the disk (fsync) before this returns.

        Raises:
            UnavailableError: the disk refuses; the file is known to this process nevertheless.
        """
        self._remember(seen)
        try:
            with self._path.open("ab") as file:
                file.write(_line(seen))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise self._refusal(str(error.strerror)) from None

    def forget_missing(self, names: Collection[str], now_s: float) -> None:
        """Forget files that left the folder more than `keep_s` ago; `names` are there now.

        Raises:
            UnavailableError: the journal is to be written again, and the disk refuses.
        """
        for name in names:
            self._gone_at_s.pop(name, None)
        for name in self._by_name.keys() - names:
            if now_s - self._gone_at_s.setdefault(name, now_s) > self._keep_s:
                self._forget(name)
        if self._lines > 2 * len(self._by_name) + _OUTDATED_LINES:
            self._write_again()

    def _remember(self, one: SeenFile) -> None:
        self._forget(one.name)
        self._by_name[one.name] = one
        if one.sha256:
            self._digests[one.sha256] = self._digests.get(one.sha256, 0) + 1
        self._lines += 1

    def _forget(self, name: str) -> None:
        one = self._by_name.pop(name, None)
        self._gone_at_s.pop(name, None)
        if one is not None and one.sha256:
            self._digests[one.sha256] -= 1
            if not self._digests[one.sha256]:
                del self._digests[one.sha256]

    def _write_again(self) -> None:
        try:
            write_private(self._path, _HEADER + b"".join(map(_line, self._by_name.values())), replace=True)
        except UnavailableError as error:
            raise self._refusal(str(error)) from None
        self._lines = len(self._by_name)

    def _refusal(self, reason: str) -> UnavailableError:
        return UnavailableError(
            f"cannot note which images were processed in {self._path}: {reason}; make the folder writable for this "
            "program, or give another file with --folder-state"
        )


def _line(seen: SeenFile) -> bytes:
    return json.dumps(asdict(seen)).encode("ascii") + b"\n"


def _files_in(data: bytes) -> Iterator[SeenFile]:
    for line in data.splitlines():
        # Not the header, a line that was cut off, or one of a later version.
        with suppress(JsonError, TypeError, AttributeError):
            members = read_json(line)
            if all(isinstance(members.get(name), str) for name in ("name", "sha256")):
                yield SeenFile(**members)
