"""The home: the folder of a site. It is made atomically, and opened with the root key that it names."""

import shutil
import tempfile
from collections.abc import Generator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Final

from volens.consent import InputError, SiteId, UnavailableError, VolensError
from volens.consent.receipt import Controller
from volens.consent.typed_text import parse_text
from volens.store.files.home_folders import check_home_folders
from volens.store.keys.key_change import settle_root
from volens.store.keys.keyring import read_site_id
from volens.store.keys.root_key.holder import Slot
from volens.store.keys.root_key.holder_choice import DEFAULT_URL, holder_at, join_holder, new_holder, share_record
from volens.store.keys.root_key.key_url import parse_root_key_url
from volens.store.keys.secrets import Random
from volens.store.public_key_file import write_public_key
from volens.store.rollout import Step
from volens.store.signing_key import announce_successors
from volens.store.site_databases import SiteDatabases, write_databases
from volens.store.store import DATA_FILE, KEYRING_FILE, Store
from volens.store.system_clock import Clock

_MAX_TEXT: Final = 200


def make_home(
    home: Path,
    *,
    name: str,
    contact: str,
    clock: Clock,
    random: Random,
    root_key_url: str = DEFAULT_URL,
    databases: SiteDatabases | None = None,
) -> None:
    """Make a new site in a folder that is empty or does not exist yet.

    Name and contact of the controller are shown in every receipt (GDPR 4(7), 13(1)(a)). Without `databases`, they are
    files in the folder.

    Raises:
        InputError: the folder is not empty, name or contact is empty or not valid, or the URL is not valid or already
            has a key.
        UnavailableError: the disk refuses, or the holder of the root key does.
    """
    parse_root_key_url(root_key_url)
    if not name.strip() or not contact.strip():
        raise InputError("the controller's name or contact is missing; people must know who asks them (GDPR 13)")
    name, contact = (parse_text(text, "a name or contact", _MAX_TEXT) for text in (name, contact))
    with _drafted(home) as draft:
        if databases is not None:
            write_databases(draft, databases)
        site_id = SiteId(random(12).hex())
        holder = new_holder(draft, root_key_url, site_id, random)
        with ExitStack() as on_failure, holder.create(Slot.CURRENT) as root_key:
            on_failure.callback(holder.discard)
            controller = Controller(site_id, name, contact)
            store = Store.create(draft, root_key=root_key, controller=controller, clock=clock, random=random)
            for one in (store.keyring.engine.discard, store.data.discard, store.close):
                on_failure.callback(one)
            share_record(draft)
            write_public_key(draft, store.verifier_key)
            draft.replace(home)
            on_failure.pop_all()
            store.close()


def join_home(
    home: Path, databases: SiteDatabases, *, clock: Clock, random: Random, root_key_url: str = DEFAULT_URL
) -> None:
    """Make the home of a further node: a folder without state of its own, for a site that is on a server.

    Raises:
        InputError: the folder is not empty, or the URL of the root key is not valid.
        UnavailableError: there is no site in these databases, or the server or the holder of the root key does not
            answer, or the file of the root key is missing.
        TamperError: the root key is not the one of this site.
    """
    parse_root_key_url(root_key_url)
    with _drafted(home) as draft:
        write_databases(draft, databases)
        join_holder(draft, root_key_url, read_site_id(draft / KEYRING_FILE))
        with closing(open_home(draft, clock=clock, random=random)) as store:
            write_public_key(draft, store.verifier_key)
        draft.replace(home)


@contextmanager
def _drafted(home: Path) -> Generator[Path]:
    """Return a new folder, which the caller puts in the place of `home`; removed if it does not.

    Raises:
        InputError: the home is a folder that is not empty.
        UnavailableError: the disk refuses.
    """
    try:
        if home.exists() and (not home.is_dir() or any(home.iterdir())):
            raise InputError(f"{home} is already there and not an empty folder; choose another with --home")
        home.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{home.name}.", dir=home.parent))
        try:
            yield draft
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    except OSError as error:
        raise UnavailableError(f"cannot make {home}: {error.strerror}; check the disk and the rights") from None


def open_home(
    home: Path,
    *,
    clock: Clock,
    random: Random,
    restoring: Path | None = None,
    keep_root_key: bool = False,
    any_time: bool = False,
    step: Step | None = None,
) -> Store:
    """Open the store of a site; see `Store.open`.

    With `keep_root_key`, an erasure does not replace the root key: a draft must not destroy the key that another copy
    of its keyring still needs. The first sweep of the finished home does.

    Raises:
        UnavailableError: there is no site, a file is missing, locked, read-only or of a newer version, a folder of the
            home is a link or another user's, or the holder of the root key does not answer.
        TamperError: the files do not belong together, were changed, or are older than the keyring remembers.
    """
    if not home.is_dir():
        raise UnavailableError(f"there is no site in {home}; make one with 'volens init'")
    check_home_folders(home, (DATA_FILE, KEYRING_FILE))
    holder = holder_at(home, random)
    store = Store.open(
        home, root_key=holder, clock=clock, random=random, restoring=restoring, any_time=any_time, step=step
    )
    if keep_root_key:
        store.keyring.holder = None
    # An erasure or a rotation may have been killed while there were two root keys. The site is open in any case.
    with suppress(VolensError):
        settle_root(store.keyring)
    if restoring is None:
        with suppress(UnavailableError):
            announce_successors(store)
    return store
