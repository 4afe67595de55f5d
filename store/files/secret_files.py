"""Files with secrets: who may read them, also where a secrets manager lays them.

1. Below the folders of a secrets manager (`$CREDENTIALS_DIRECTORY` of systemd, ``/run/secrets`` of Docker and
   Kubernetes) a file belongs to root or to the user of this process, and nobody else can write it. systemd shows
   credentials as 0440, Docker and Kubernetes as 0444 or 0440; the folder, or the container, keeps other users out.
2. Elsewhere only the owner has rights (0600 or 0400).

A pipe has no rights to check: it is read once, by the process that it is given to.
"""

import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

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
