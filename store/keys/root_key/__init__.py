"""The root key: what unlocks the keyring, held apart from what it unlocks. One holder for each kind of URL."""

from volens.store.keys.root_key.holder import RootKeyHolder as RootKeyHolder
from volens.store.keys.root_key.holder import RootKeys as RootKeys
from volens.store.keys.root_key.holder import RootKeySource as RootKeySource
from volens.store.keys.root_key.holder import Slot as Slot
from volens.store.keys.root_key.holder import root_keys as root_keys
from volens.store.keys.root_key.holder_choice import DEFAULT_URL as DEFAULT_URL
from volens.store.keys.root_key.holder_choice import ROOT_KEY_FILE as ROOT_KEY_FILE
from volens.store.keys.root_key.holder_choice import holder_at as holder_at
from volens.store.keys.root_key.holder_choice import new_holder as new_holder
from volens.store.keys.root_key.key_file import FileHolder as FileHolder
from volens.store.keys.root_key.key_file import make_root_key_file as make_root_key_file
from volens.store.keys.root_key.key_file import read_root_key_file as read_root_key_file
from volens.store.keys.root_key.key_record import RECORD_FILE as RECORD_FILE
from volens.store.keys.root_key.key_url import FileLocation as FileLocation
from volens.store.keys.root_key.key_url import KeyringLocation as KeyringLocation
from volens.store.keys.root_key.key_url import KmsLocation as KmsLocation
from volens.store.keys.root_key.key_url import RootKeyLocation as RootKeyLocation
from volens.store.keys.root_key.key_url import VaultLocation as VaultLocation
from volens.store.keys.root_key.key_url import parse_root_key_url as parse_root_key_url
