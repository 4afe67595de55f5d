"""Files that a site gave out, as evidence of how long its log was: the checkpoints in them, also inside a zip."""

import io
import zipfile
import zlib
from pathlib import Path
from typing import Final

from volens.audit import Checkpoint, VerifierKey, checkpoints_in
from volens.consent import InputError
from volens.consent.plain_text import plain_bytes
from volens.store.files.private_files import read_private

MAX_EVIDENCE_BYTES: Final = 64 * 1024 * 1024
_MAX_MEMBER_BYTES: Final = 1024 * 1024
_MAX_MEMBERS: Final = 100
_ZIP: Final = b"PK\x03\x04"


def read_evidence(path: Path, key: VerifierKey) -> list[Checkpoint]:
    """Return the checkpoints in a file; see `checkpoints_of_file`, which raises the same errors.

    Raises:
        UnavailableError: the file is missing or cannot be read.
    """
    return checkpoints_of_file(read_private(path, MAX_EVIDENCE_BYTES), key)


def checkpoints_of_file(data: bytes, key: VerifierKey) -> list[Checkpoint]:
    """Return the checkpoints of the log of `key` in a file, at least one, largest first; see `checkpoints_in`.

    Of a zip, the first 100 members of at most 1 MiB are searched.

    Raises:
        InputError: it carries none, or is a damaged zip.
        TamperError: it carries one that the key has not signed.
    """
    contents = _unzipped(data) if data.startswith(_ZIP) else [plain_bytes(data)]
    found = {one for content in contents for one in checkpoints_in(content, key)}
    if not found:
        raise InputError("this file carries no checkpoint of this site's log; use it as the site gave it out")
    return sorted(found, key=lambda one: one.size, reverse=True)


def _unzipped(data: bytes) -> list[bytes]:
    files: list[bytes] = []
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for member in archive.infolist()[:_MAX_MEMBERS]:
                with archive.open(member) as file:
                    content = file.read(_MAX_MEMBER_BYTES + 1)
                files += [content] if len(content) <= _MAX_MEMBER_BYTES else []
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, OSError, ValueError):
        raise InputError("got a damaged zip; use it as the site gave it out") from None
    return files
