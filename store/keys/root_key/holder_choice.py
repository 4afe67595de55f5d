"""The choice of the holder for the root key of a home, by its URL."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from volens.consent import InputError, SiteId, TamperError
from volens.store.engine_choice import server_document
from volens.store.keys.root_key.aws_kms import AwsKms
from volens.store.keys.root_key.holder import RootKeyHolder
from volens.store.keys.root_key.key_file import FileHolder
from volens.store.keys.root_key.key_record import (
    RECORD_FILE,
    RecordPlace,
    RootKeyRecord,
    SharedDocument,
    read_record,
    write_record,
)
from volens.store.keys.root_key.key_url import (
    FileLocation,
    KeyringLocation,
    KmsLocation,
    VaultLocation,
    parse_root_key_url,
)
from volens.store.keys.root_key.os_keyring import KeyringHolder
from volens.store.keys.root_key.vault_transit import VaultTransit
from volens.store.keys.root_key.wrapped_key import WrappedHolder
from volens.store.keys.secrets import Random

ROOT_KEY_FILE: Final = "root.key"
DEFAULT_URL: Final = f"file:{ROOT_KEY_FILE}"


def new_holder(home: Path, url: str, site_id: SiteId, random: Random) -> RootKeyHolder:
    """Return the holder for a new home, and record its URL in the home, unless it is the default.

    Raises:
        InputError: the URL is not valid.
    """
    holder = _holder(home, RootKeyRecord(site_id, url), random)
    if url != DEFAULT_URL:
        write_record(home, RootKeyRecord(site_id, url))
    return holder


def share_record(home: Path) -> None:
    """Put the wrapped root key of a new site on a server where all nodes find it, if a key service wrapped it.

    Raises:
        UnavailableError: the server does not answer.
    """
    shared, record = server_document(home, RECORD_FILE), read_record(home)
    if shared is not None and record is not None and record.wrapped is not None:
        write_record(shared, record)
        write_record(home, RootKeyRecord(record.site_id, record.url))


def join_holder(home: Path, url: str, site_id: SiteId) -> None:
    """Record in the home of a further node where the root key of its site already is; nothing is made there."""
    write_record(home, RootKeyRecord(site_id, url))


def holder_at(home: Path, random: Random) -> RootKeyHolder:
    """Return the holder of a home's root key. No request is made to it yet.

    Raises:
        UnavailableError, TamperError: the record in the home cannot be read.
    """
    return _recorded_holder(home, random, lambda: server_document(home, RECORD_FILE))


def keep_record(home: Path) -> None:
    """Write the whole record of a site on a server into its home too, before the keyring there is moved away.

    Raises:
        UnavailableError, TamperError: the record cannot be read or written.
    """
    shared = server_document(home, RECORD_FILE)
    record = None if shared is None else read_record(shared)
    if record is not None:
        write_record(home, record)


def holder_by_home(home: Path, random: Random) -> RootKeyHolder:
    """Return the holder by the home alone, which has the whole record: its keyring is being moved (`keep_record`).

    Raises:
        UnavailableError, TamperError: the record in the home cannot be read.
    """
    return _recorded_holder(home, random, lambda: None)


def hand_over_record(home: Path, place: SharedDocument) -> None:
    """Write the record of a home into a document that nodes will share, if a key service wrapped the key.

    Raises:
        UnavailableError, TamperError: the record cannot be read or written.
    """
    record = read_record(home)
    if record is not None and record.wrapped is not None:
        write_record(place, record)


def shorten_record(home: Path) -> None:
    """Leave only the URL in the home of a site whose record is on a server now.

    Raises:
        UnavailableError, TamperError: the record cannot be read or written.
    """
    record = read_record(home)
    if record is not None and record.wrapped is not None:
        write_record(home, RootKeyRecord(record.site_id, record.url))


def _recorded_holder(home: Path, random: Random, shared: Callable[[], RecordPlace | None]) -> RootKeyHolder:
    """Return the holder that the record of a home names; `shared` returns where the wrapped key is, if not there."""
    record = read_record(home)
    if record is None:
        return FileHolder(home / ROOT_KEY_FILE, DEFAULT_URL, random)
    try:
        return _holder(home, record, random, shared())
    except InputError:
        raise TamperError(f"integrity: {RECORD_FILE} has a root key URL that is not valid; restore it") from None


def _holder(home: Path, record: RootKeyRecord, random: Random, shared: RecordPlace | None = None) -> RootKeyHolder:
    place = home if shared is None else shared
    match parse_root_key_url(record.url):
        case FileLocation(path):
            return FileHolder(home / path, record.url, random)
        case KeyringLocation() as location:
            return KeyringHolder(location, location.name or record.site_id, record.url, random)
        case VaultLocation() as location:
            return WrappedHolder(place, record, VaultTransit(location, record.site_id, random))
        case KmsLocation() as location:
            return WrappedHolder(place, record, AwsKms(location, record.site_id))
