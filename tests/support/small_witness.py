"""A witness written from c2sp.org/tlog-witness and tlog-cosignature; tlog_scales checks its proofs, not Volens."""

import base64
import hashlib
from http.server import BaseHTTPRequestHandler

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from receiver import Received, answer
from tlog_scales.tlog import ConsistencyProof, ConsistencyProofInvalid

Answer = tuple[int, bytes, str]


class SmallWitness:
    """Keeps size and root of the newest checkpoint of each log, and cosigns what continues it."""

    def __init__(self, name: str = "witness.example/w1", seed: int = 1, now: int = 4_076_000_000) -> None:
        self.name = name
        self.now = now
        self.seen: dict[str, tuple[int, bytes]] = {}
        self._logs: dict[str, tuple[bytes, bytes]] = {}
        self._key = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
        self._public = self._key.public_key().public_bytes_raw()
        self._key_id = hashlib.sha256(name.encode() + b"\n\x04" + self._public).digest()[:4]

    @property
    def vkey(self) -> str:
        return f"{self.name}+{self._key_id.hex()}+{base64.b64encode(bytes([4]) + self._public).decode()}"

    def trust(self, log: str) -> None:
        """Know a log by its verifier key."""
        name, key_id, key = log.split("+", 2)
        self._logs[name] = bytes.fromhex(key_id), base64.b64decode(key)[1:]

    def behave(self, handler: BaseHTTPRequestHandler, received: Received) -> None:
        """Answer a request, for `receiver`."""
        assert received.path.endswith("/add-checkpoint")
        status, body, content_type = self.add_checkpoint(received.body)
        answer(status, body, Content_Type=content_type)(handler, received)

    def add_checkpoint(self, body: bytes) -> Answer:
        head, _, note = body.decode().partition("\n\n")
        first, *lines = head.split("\n")
        assert first.startswith("old ")
        old_size, proof = int(first.removeprefix("old ")), [base64.b64decode(line, validate=True) for line in lines]
        text, _, signatures = note.rpartition("\n\n")
        origin, number, root = text.split("\n")
        size, root_hash = int(number), base64.b64decode(root)
        if origin not in self._logs:
            return 404, b"", "text/plain"
        if not self._is_signed(origin, text + "\n", signatures):
            return 403, b"", "text/plain"
        if old_size > size:
            return 400, b"", "text/plain"
        known_size, known_root = self.seen.get(origin, (0, b""))
        if old_size != known_size or (size == known_size and root_hash != known_root):
            return 409, f"{known_size}\n".encode(), "text/x.tlog.size"
        if old_size not in {0, size}:
            try:
                ConsistencyProof(old_size, size, proof).check(known_root, root_hash)
            except ConsistencyProofInvalid:
                return 422, b"", "text/plain"
        self.seen[origin] = size, root_hash
        return 200, self.cosign(text + "\n").encode(), "text/plain"

    def cosign(self, text: str) -> str:
        signed = f"cosignature/v1\ntime {self.now}\n{text}".encode()
        blob = self._key_id + self.now.to_bytes(8, "big") + self._key.sign(signed)
        return f"\N{EM DASH} {self.name} {base64.b64encode(blob).decode()}\n"

    def _is_signed(self, origin: str, text: str, signatures: str) -> bool:
        key_id, public = self._logs[origin]
        for line in signatures.removesuffix("\n").split("\n"):
            _, name, encoded = line.split(" ")
            blob = base64.b64decode(encoded)
            if name == origin and blob[:4] == key_id:
                try:
                    Ed25519PublicKey.from_public_bytes(public).verify(blob[4:], text.encode())
                except InvalidSignature:
                    return False
                return True
        return False
