"""The home: the folder that holds all of a site. Made whole or not at all, opened with the root key in it."""

import shutil
import tempfile
from pathlib import Path
from typing import Final

from consent import InputError, SiteId, UnavailableError
from store.private_files import write_private
from store.root_key import make_root_key_file, read_root_key_file
from store.secrets import Random
from store.store import Clock, Store

ROOT_KEY_FILE: Final = "root.key"
PUBLIC_KEY_FILE: Final = "site.pub"


def make_home(home: Path, *, name: str, contact: str, clock: Clock, random: Random) -> None:
    """Make a new site in a folder that is empty or not there yet.

    Args:
        home: the folder.
        name: the controller's name, shown in every receipt (GDPR 4(7), 13(1)(a)).
        contact: where to reach the controller.
        clock: a function that returns aware time.
        random: a function that returns n random bytes.

    Raises:
        InputError: the folder is not empty, or name or contact is.
        UnavailableError: the disk refuses.
    """
    if not name.strip() or not contact.strip():
        raise InputError("got no name or no contact of the controller; people must know who asks them (GDPR 13)")
    try:
        if home.exists() and (not home.is_dir() or any(home.iterdir())):
            raise InputError(f"{home} is already there and not an empty folder; choose another with --home")
        home.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{home.name}.", dir=home.parent))
        try:
            with make_root_key_file(draft / ROOT_KEY_FILE, random) as root_key:
                store = Store.create(
                    draft,
                    root_key=root_key,
                    site_id=SiteId(random(12).hex()),
                    name=name.strip(),
                    contact=contact.strip(),
                    clock=clock,
                    random=random,
                )
            store.close()
            write_private(draft / PUBLIC_KEY_FILE, f"{store.verifier_key.line()}\n".encode())
            draft.replace(home)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    except OSError as error:
        raise UnavailableError(f"cannot make {home}: {error.strerror}; check the disk and the rights") from None


def open_home(home: Path, *, clock: Clock, random: Random, restoring: Path | None = None) -> Store:
    """Open the store of a site; see `Store.open`.

    Raises:
        UnavailableError: there is no site, or a file is missing, locked, unwritable or of a newer version.
        TamperError: the files do not belong together, were changed, or are older than the keyring remembers.
    """
    if not home.is_dir():
        raise UnavailableError(f"there is no site in {home}; make one with 'volens init'")
    with read_root_key_file(home / ROOT_KEY_FILE) as root_key:
        return Store.open(home, root_key=root_key, clock=clock, random=random, restoring=restoring)
