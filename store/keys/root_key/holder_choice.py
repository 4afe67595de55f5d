"""The choice of the holder for the root key of a home, by its URL."""

from pathlib import Path
from typing import Final

from volens.consent import InputError, SiteId, TamperError
from volens.store.keys.root_key.aws_kms import AwsKms
from volens.store.keys.root_key.holder import RootKeyHolder
from volens.store.keys.root_key.key_file import FileHolder
from volens.store.keys.root_key.key_record import RECORD_FILE, RootKeyRecord, read_record, write_record
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


def join_holder(home: Path, url: str, site_id: SiteId) -> None:
    """Record in the home of a further node where the root key of its site already is; nothing is made there.

    Raises:
        InputError: the URL is of a key service, whose wrapped key is in the first home.
    """
    if isinstance(parse_root_key_url(url), VaultLocation | KmsLocation):
        raise InputError(
            f"got a key service, whose wrapped root key is in {RECORD_FILE} of the first node's home; expected "
            "file:PATH of a root key that every node can read and replace"
        )
    write_record(home, RootKeyRecord(site_id, url))


def holder_at(home: Path, random: Random) -> RootKeyHolder:
    """Return the holder of a home's root key. No request is made to it yet.

    Raises:
        UnavailableError, TamperError: the record in the home cannot be read.
    """
    record = read_record(home)
    if record is None:
        return FileHolder(home / ROOT_KEY_FILE, DEFAULT_URL, random)
    try:
        return _holder(home, record, random)
    except InputError:
        raise TamperError(f"integrity: {RECORD_FILE} has a root key URL that is not valid; restore it") from None


def _holder(home: Path, record: RootKeyRecord, random: Random) -> RootKeyHolder:
    match parse_root_key_url(record.url):
        case FileLocation(path):
            return FileHolder(home / path, record.url, random)
        case KeyringLocation() as location:
            return KeyringHolder(location, location.name or record.site_id, record.url, random)
        case VaultLocation() as location:
            return WrappedHolder(home, record, VaultTransit(location, record.site_id, random))
        case KmsLocation() as location:
            return WrappedHolder(home, record, AwsKms(location, record.site_id))
