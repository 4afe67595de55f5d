"""The keyring: secrets in locked buffers, sealing (AES-256-GCM), store keys, and the holders of the root key."""

from volens.store.keys.keyring import FIRST_EPOCH as FIRST_EPOCH
from volens.store.keys.keyring import Keyring as Keyring
from volens.store.keys.sealing import OVERHEAD_BYTES as OVERHEAD_BYTES
from volens.store.keys.sealing import nonce_of as nonce_of
from volens.store.keys.sealing import open_into as open_into
from volens.store.keys.sealing import reference_context as reference_context
from volens.store.keys.sealing import seal as seal
from volens.store.keys.secrets import GrantSecret as GrantSecret
from volens.store.keys.secrets import ProfileKey as ProfileKey
from volens.store.keys.secrets import Random as Random
from volens.store.keys.secrets import ReferenceKey as ReferenceKey
from volens.store.keys.secrets import RootKey as RootKey
from volens.store.keys.secrets import Secret as Secret
from volens.store.keys.secrets import StoreKey as StoreKey
