"""The keyring: secrets in locked buffers, sealing (AES-256-GCM), wrapped keys, and the holders of the root key."""

from volens.store.keys.key_change import KeyChange as KeyChange
from volens.store.keys.key_change import destroy_secrets as destroy_secrets
from volens.store.keys.key_change import renew_root_key as renew_root_key
from volens.store.keys.keyring import Keyring as Keyring
from volens.store.keys.keyring import Wrapped as Wrapped
from volens.store.keys.lost_secret import lost_secret as lost_secret
from volens.store.keys.sealing import OVERHEAD_BYTES as OVERHEAD_BYTES
from volens.store.keys.sealing import SEALED_VERSION as SEALED_VERSION
from volens.store.keys.sealing import nonce_of as nonce_of
from volens.store.keys.sealing import open_into as open_into
from volens.store.keys.sealing import reference_context as reference_context
from volens.store.keys.sealing import seal as seal
from volens.store.keys.secrets import GrantSecret as GrantSecret
from volens.store.keys.secrets import LeaseKey as LeaseKey
from volens.store.keys.secrets import ProfileKey as ProfileKey
from volens.store.keys.secrets import Random as Random
from volens.store.keys.secrets import ReferenceKey as ReferenceKey
from volens.store.keys.secrets import RootKey as RootKey
from volens.store.keys.secrets import Secret as Secret
from volens.store.keys.unlocked_keys import KeyId as KeyId
