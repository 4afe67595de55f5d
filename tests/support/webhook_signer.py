"""A sender that signs its webhooks with a key of its own (``v1a``, Ed25519); the product only verifies these."""

import base64

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from volens.service.webhooks import VerifyKey


class Ed25519Signer:
    def __init__(self, seed: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.public = VerifyKey(self._key.public_key().public_bytes_raw())
        self.public_text = "whpk_" + base64.b64encode(self.public.raw).decode("ascii")

    def signature(self, signed: bytes) -> str:
        return "v1a," + base64.b64encode(self._key.sign(signed)).decode("ascii")
