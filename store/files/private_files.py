"""Private files (0600) and public ones (0644), written atomically: complete or absent, also after a power cut."""

import errno
import os
import shutil
import tempfile
from collections.abc import Generator, Iterable, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from volens.consent import InputError, UnavailableError

PRIVATE: Final = 0o600
PUBLIC: Final = 0o644
_PUBLIC_FOLDER: Final = 0o755
_NO_HARD_LINKS: Final = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS)


def write_private(path: Path, data: bytes | bytearray | Iterable[bytes], *, replace: bool = False) -> None:
    """Write a file with mode 0600 atomically: it is complete or absent, also after a power cut.

    `data` is the content, or its parts in order, for a file that is larger than the memory.

    Raises:
        InputError: the file already exists and `replace` is false; nothing is changed.
        UnavailableError: the disk refuses.
    """
    _write_synced(path, data, PRIVATE, replace=replace)


def write_public(path: Path, data: bytes, *, replace: bool = False) -> None:
    """Write a file that everybody may read (0644), such as a public key or a certificate; else as `write_private`."""
    _write_synced(path, data, PUBLIC, replace=replace)


def make_private_folder(folder: Path) -> None:
    """Make a folder with mode 0700 if it is not there.

    Raises:
        UnavailableError: the disk refuses.
    """
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise UnavailableError(f"cannot make {folder}: {error.strerror}; check the disk and the rights") from None


def make_public_folder(folder: Path) -> None:
    """Make a folder that everybody may read (0755), with its parents, durably; one that is there stays as it is.

    Raises:
        UnavailableError: the disk refuses.
    """
    missing = [one for one in (folder, *folder.absolute().parents) if not one.exists()]
    try:
        for one in reversed(missing):
            one.mkdir(exist_ok=True)
            one.chmod(_PUBLIC_FOLDER)
            sync_folder(one.absolute().parent)
    except OSError as error:
        raise UnavailableError(f"cannot make {folder}: {error.strerror}; check the disk and the rights") from None


@contextmanager
def draft_folder(target: Path) -> Generator[Path]:
    """Yield a new folder next to `target`, which replaces it durably at the end of the `with`: complete or absent."""
    draft = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.absolute().parent))
    try:
        yield draft
        put_folder_in_place(draft, target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def put_folder_in_place(draft: Path, target: Path) -> None:
    """Rename a folder, and sync its names and its new name to the disk (fsync)."""
    sync_folder(draft)
    draft.replace(target)
    sync_folder(target.absolute().parent)


def write_public_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write some hundred files into a folder, each atomically as `write_public` does; existing files are replaced.

    Raises:
        UnavailableError: the disk refuses; some files may be written, each complete.
    """
    path, drafts = folder, ExitStack()
    try:
        with drafts:
            opened = []
            for name, data in files.items():
                path = folder / name
                descriptor, draft = _draft(path)
                drafts.callback(Path(draft).unlink, missing_ok=True)
                drafts.callback(os.close, descriptor)
                with os.fdopen(descriptor, "wb", closefd=False) as file:
                    file.write(data)
                os.fchmod(descriptor, PUBLIC)
                opened.append((path, descriptor, draft))
            # All are written before the first is synced: its fsync then writes most of the others too.
            for _, descriptor, _ in opened:
                os.fsync(descriptor)
            for path, _, draft in opened:
                Path(draft).replace(path)
        sync_folder(folder)
    except OSError as error:
        raise _cannot_write(path, error) from None


def _draft(path: Path) -> tuple[int, str]:
    # Mode 0600, and a name that no draft of a killed process has.
    return tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)


def _write_synced(path: Path, data: bytes | bytearray | Iterable[bytes], mode: int, *, replace: bool) -> None:
    try:
        _write(path, data, mode, replace=replace)
        sync_folder(path.parent)
    except FileExistsError:
        raise InputError(f"{path} is already there; nothing was changed, choose another name") from None
    except OSError as error:
        raise _cannot_write(path, error) from None


def _write(path: Path, data: bytes | bytearray | Iterable[bytes], mode: int, *, replace: bool) -> None:
    descriptor, name = _draft(path)
    draft = Path(name)
    try:
        with os.fdopen(descriptor, "wb", buffering=0) as file:  # a buffer would keep a copy of a key
            for one in (data,) if isinstance(data, bytes | bytearray) else data:
                left = memoryview(one)
                while left:
                    left = left[file.write(left) :]
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        if replace:
            draft.replace(path)
        else:
            _take_new_name(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def _take_new_name(draft: Path, path: Path) -> None:
    """Give a draft a name that no file has; unlike a rename, this never replaces a file."""
    try:
        os.link(draft, path)
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        # FAT and exFAT, as on USB sticks. A power cut between these two lines leaves an empty file of this name.
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        draft.replace(path)


def _cannot_write(path: Path, error: OSError) -> UnavailableError:
    return UnavailableError(f"cannot write {path}: {error.strerror}; check the disk and the folder's rights")


def read_private(path: Path, limit_bytes: int) -> bytes:
    """Read a file of at most `limit_bytes`.

    Raises:
        InputError: it is larger.
        UnavailableError: it is missing or cannot be read.
    """
    try:
        with path.open("rb") as file:
            data = file.read(limit_bytes + 1)
    except OSError as error:
        raise UnavailableError(f"cannot read {path}: {error.strerror}; check the name and the file's rights") from None
    if len(data) > limit_bytes:
        raise InputError(f"got {path} of more than {limit_bytes} bytes; expected a smaller file")
    return data


def overwrite_file(path: Path) -> None:
    """Overwrite a file with zeros in place, and sync it to the disk (fsync).

    Raises:
        OSError: the disk refuses.
    """
    with path.open("r+b") as file:
        file.write(bytes(path.stat().st_size))
        file.flush()
        os.fsync(file.fileno())


def erase_file(path: Path) -> None:
    """Overwrite a file with zeros, remove it, and sync its folder.

    Not reached: spare blocks of an SSD, old blocks of a file system that copies on write, and backups.

    Raises:
        UnavailableError: the disk refuses.
    """
    try:
        overwrite_file(path)
        path.unlink()
        sync_folder(path.absolute().parent)
    except OSError as error:
        raise UnavailableError(f"cannot remove {path}: {error.strerror}; remove it by hand") from None


def sync_folder(folder: Path) -> None:
    """Sync the names in a folder to the disk (fsync)."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
