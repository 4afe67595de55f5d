"""Folders of a home must be real folders of this site: no symbolic links, and no other user's.

An erasure searches every file below the home, and a certificate says where it searched. Behind a link lie files that
other programs may write, that no backup of the home contains, or that another site has written.
"""

import os
import stat
from pathlib import Path
from typing import Final

from volens.consent import UnavailableError
from volens.store.files.shell_command import shell_command

_ADVICE: Final = "move what it leads to into the home itself, with no link"


def check_home_folders(home: Path, databases: tuple[str, ...]) -> None:
    """Check every entry of a home, not what is in its folders.

    1. Folders belong to the owner of the home, or to the user of this process.
    2. A link leads to a regular file (such as a secret that is mounted as ``root.key``), and is no database: SQLite
       would keep the write-ahead log at the other end of the link.

    Raises:
        UnavailableError: 1 or 2 does not hold; the message says what to do.

    Not checked: file systems that are mounted below the home. They are searched as part of it.
    """
    try:
        for entry in sorted(home.iterdir()):
            check_home_entry(entry, home)
            if entry.name in databases and entry.is_symlink():
                raise UnavailableError(f"{entry} is a symbolic link; {_ADVICE}")
    except OSError as error:
        raise UnavailableError(f"cannot inspect {home}: {error.strerror}; check the disk and the rights") from None


def check_home_entry(path: Path, home: Path) -> None:
    """Check one file or folder below a home; see `check_home_folders`. What does not exist is no error.

    Raises:
        UnavailableError: a link to something other than a regular file, or another user's folder.
        OSError: it cannot be inspected.
    """
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if stat.S_ISLNK(found.st_mode) and not path.is_file():
        raise UnavailableError(f"{path} is a symbolic link and no folder of this home; {_ADVICE}")
    if stat.S_ISDIR(found.st_mode) and found.st_uid not in {os.geteuid(), home.stat().st_uid}:
        raise UnavailableError(
            f"{path} belongs to another user (uid {found.st_uid}); run: "
            f"{shell_command('chown', '-R', os.geteuid(), path)}, if its files "
            "are this site's"
        )


def make_home_folder(home: Path, name: str) -> Path:
    """Return a folder of a home; it is made with mode 0700 if it is not there, and checked if it is.

    Raises:
        UnavailableError: it is a link or another user's (`check_home_entry`), or the disk refuses.
    """
    folder = home / name
    try:
        check_home_entry(folder, home)
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise UnavailableError(f"cannot make {folder}: {error.strerror}; check the disk and the rights") from None
    return folder
