"""The root key: what unlocks the keyring, held apart from what it unlocks. One holder for each kind of URL."""

from store.root_key.file import FileHolder, make_root_key_file, read_root_key_file
from store.root_key.holder import RootKeyHolder, RootKeys, RootKeySource, Slot, root_keys
from store.root_key.home import DEFAULT_URL, ROOT_KEY_FILE, holder_at, new_holder
from store.root_key.location import (
    FileLocation,
    KeyringLocation,
    KmsLocation,
    RootKeyLocation,
    VaultLocation,
    parse_root_key_url,
)
from store.root_key.record import RECORD_FILE

__all__ = [
    "DEFAULT_URL",
    "RECORD_FILE",
    "ROOT_KEY_FILE",
    "FileHolder",
    "FileLocation",
    "KeyringLocation",
    "KmsLocation",
    "RootKeyHolder",
    "RootKeyLocation",
    "RootKeySource",
    "RootKeys",
    "Slot",
    "VaultLocation",
    "holder_at",
    "make_root_key_file",
    "new_holder",
    "parse_root_key_url",
    "read_root_key_file",
    "root_keys",
]
