"""Files with secrets: who may read them, also where a secrets manager lays them.

1. Below the folders of a secrets manager (`$CREDENTIALS_DIRECTORY` of systemd, ``/run/secrets`` of Docker and
   Kubernetes) a file belongs to root or to the user of this process, and no one else can write it. systemd shows
   credentials as 0440, Docker and Kubernetes as 0444 or 0440; the folder, or the container, keeps other users out.
2. Elsewhere only the owner has rights (0600 or 0400).

A pipe has no rights to check: it is read once, by the process that it is given to.
"""

import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from volens.consent import InputError, UnavailableError
from volens.consent.plain_text import plain_text
from volens.store.files.shell_command import shell_command

MANAGED_FOLDERS: Final = (Path("/run/secrets"), Path("/var/run/secrets"), Path("/run/credentials"))
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH


def secret_problem(
    path: Path,
    found: os.stat_result,
    what: str,
    *,
    environment: Mapping[str, str] = os.environ,
    folders: Sequence[Path] = MANAGED_FOLDERS,
) -> str | None:
    """Return a sentence that says why a file must not hold a secret, and what to do; None if it may.

    `found` is of the open file, so that it cannot be replaced after the check. `what` is the secret, as in "token".

    Not checked: access control lists (POSIX ACLs), and the rights of the folders above.
    """
    if not stat.S_ISREG(found.st_mode) or not found.st_mode & _OTHERS:
        return None
    state = f"mode {stat.S_IMODE(found.st_mode):04o}, owner uid {found.st_uid}"
    # 1.
    if _is_managed(path, environment, folders):
        if found.st_uid not in {0, os.geteuid()}:
            return (
                f"the {what} in {path} belongs to another user ({state}), who can change it; expected root or uid "
                f"{os.geteuid()}; check how the secrets manager lays it"
            )
        if found.st_mode & _OTHERS_WRITE:
            return f"other users can write the {what} in {path} ({state}); have the secrets manager lay it read-only"
        return None
    # 2.
    who = "its group" if not found.st_mode & stat.S_IRWXO else "other users"
    return (
        f"{who} can read the {what} in {path} ({state}); expected mode 0600 or 0400; {_advice(path, found)}, "
        f"and replace the {what} if they may have read it"
    )


def read_secret(path: Path, what: str, limit_bytes: int) -> str:
    """Read a secret of one line from a file that others cannot read.

    Raises:
        InputError: other users can read the file, or it is not one line of printable ASCII.
        UnavailableError: the file is missing or cannot be read.
    """
    try:
        with path.open("rb") as file:
            problem = secret_problem(path, os.fstat(file.fileno()), what)
            data = b"" if problem is not None else file.read(limit_bytes + 1)
    except OSError as error:
        raise UnavailableError(f"cannot read {path}: {error.strerror}; check the name and the file's rights") from None
    if problem is not None:
        raise InputError(problem)
    if len(data) > limit_bytes:
        raise InputError(f"got {path} of more than {limit_bytes} bytes; expected one line with the {what}")
    text = plain_text(data, f"the {what} in {path}").strip("\r\n")
    if not text or not text.isascii() or not text.isprintable():
        raise InputError(f"got no {what} in {path}; expected one line of printable ASCII")
    return text


def _is_managed(path: Path, environment: Mapping[str, str], folders: Sequence[Path]) -> bool:
    credentials = environment.get("CREDENTIALS_DIRECTORY")
    known = [*folders, *([Path(credentials)] if credentials else [])]
    real = path.resolve()
    return any(real.is_relative_to(one.resolve()) for one in known)


def _advice(path: Path, found: os.stat_result) -> str:
    if os.geteuid() not in {0, found.st_uid} or os.statvfs(path).f_flag & os.ST_RDONLY:
        return (
            "have it laid with mode 0400 for this user, with LoadCredential= of systemd, or below /run/secrets of a "
            "container"
        )
    return f"run: {shell_command('chmod', 600, path)}"
