"""The root key, which unlocks the keyring and is kept apart from it. There is one holder for each kind of URL."""

from volens.store.keys.root_key.holder_choice import DEFAULT_URL as DEFAULT_URL
from volens.store.keys.root_key.key_file import make_root_key_file as make_root_key_file
from volens.store.keys.root_key.key_file import read_root_key_file as read_root_key_file
from volens.store.keys.root_key.key_record import RECORD_FILE as RECORD_FILE
from volens.store.keys.root_key.key_url import FileLocation as FileLocation
from volens.store.keys.root_key.key_url import KeyringLocation as KeyringLocation
from volens.store.keys.root_key.key_url import KmsLocation as KmsLocation
from volens.store.keys.root_key.key_url import RootKeyLocation as RootKeyLocation
from volens.store.keys.root_key.key_url import VaultLocation as VaultLocation
from volens.store.keys.root_key.key_url import parse_root_key_url as parse_root_key_url
from volens.store.keys.root_key.vault_transit import VaultTransit as VaultTransit
