"""The keyring: secrets in locked buffers, sealing (AES-256-GCM), store keys, and the holders of the root key."""

from volens.store.keys.sealing import nonce_of as nonce_of
from volens.store.keys.secrets import GrantSecret as GrantSecret
from volens.store.keys.secrets import Random as Random
