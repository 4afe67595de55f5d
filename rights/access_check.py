"""Verifying an access answer offline: with the zip and the site's public key, and nothing else.

1. The site signed the list of files.
2. The zip has exactly the listed files, byte for byte.
3. The answer is in the audit log, under a checkpoint that the site signed.
"""

import io
import zipfile
import zlib
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from typing import Any, Final

from volens.audit import VerifierKey, refuse_other_signer
from volens.consent import InputError, TamperError
from volens.rights.access_answer import ACCESS_ANSWER, EVENT, SIGNED_FILE, log_details

MAX_FILE_BYTES: Final = 64 * 1024 * 1024
_MAX_MEMBERS: Final = 10_000


def verify_answer(data: bytes, key: VerifierKey) -> Mapping[str, Any]:
    """Return the statement of an access answer, if all of it is what the site gave.

    Raises:
        InputError: the bytes are not an access answer of this version.
        WrongKeyError: the answer says that another site signed it.
        TamperError: 1, 2 or 3 does not hold.
    """
    files = _unpacked(data)
    # 1.
    token, _ = ACCESS_ANSWER.from_file(files.pop(SIGNED_FILE))
    try:
        answer = ACCESS_ANSWER.verify(token, *key.public_keys)
    except TamperError:
        with suppress(InputError):
            refuse_other_signer("this answer", ACCESS_ANSWER.peek(token).note, key)
        raise
    # 2.
    if {name: sha256(one).hexdigest() for name, one in files.items()} != answer.statement["files"]:
        raise TamperError("integrity: the files are not the ones that the site signed; get the answer again")
    # 3.
    answer.verify(key, EVENT, log_details(answer.statement))
    return answer.statement


def _unpacked(data: bytes) -> dict[str, bytes]:
    """Unpack in memory up to a limit, because a small zip can expand to a very large one (zip bomb)."""
    problem = f"this is not {ACCESS_ANSWER.name}; {ACCESS_ANSWER.advice}"
    files: dict[str, bytes] = {}
    left = MAX_FILE_BYTES
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if len(archive.infolist()) > _MAX_MEMBERS:
                raise InputError(problem)
            for member in archive.infolist():
                with archive.open(member) as file:
                    content = file.read(left + 1)
                left -= len(content)
                if left < 0 or member.filename in files:
                    raise InputError(problem)
                files[member.filename] = content
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, OSError, ValueError):
        raise InputError(problem) from None
    if SIGNED_FILE not in files:
        raise InputError(problem)
    return files
