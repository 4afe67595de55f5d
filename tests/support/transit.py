"""Fake Transit engine of Vault over HTTP, on loopback: real AES-GCM, versions, tokens and refusals.

Written after Vault's documented API (secrets engines, transit), as far as a root key needs it. It can be sealed, made
slow, made to redirect, and it remembers every request, so that a test can check the requests.
"""

import base64
import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

TOKEN = "hvs.canary-token-of-the-test"  # noqa: S105  made up, to be searched for
MOUNT = "transit"


class _RefusedError(Exception):
    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass
class TransitKey:
    """One key with its versions, and from which version on it works."""

    versions: dict[int, bytes] = field(default_factory=lambda: {1: os.urandom(32)})
    min_encryption: int = 0
    min_decryption: int = 1

    @property
    def latest(self) -> int:
        return max(self.versions)


@dataclass
class Transit:
    """The state of the server.

    Attributes:
        sealed, delay_s, redirect_to: its faults now.
        asked: method, path and namespace of every request.
    """

    address: str = ""
    token: str = TOKEN
    sealed: bool = False
    delay_s: float = 0.0
    redirect_to: str | None = None
    garbage: bytes | None = None
    keys: dict[str, TransitKey] = field(default_factory=dict)
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def url(self, key: str = "volens", **options: str) -> str:
        """Return the root key URL of a key of this server, which is made if it does not exist."""
        self.keys.setdefault(key, TransitKey())
        query = "&".join(f"{name.replace('_', '-')}={value}" for name, value in options.items())
        return f"vault:{self.address}/{MOUNT}/{key}" + (f"?{query}" if query else "")

    def answer(self, path: str, token: str | None, body: dict[str, Any]) -> dict[str, Any]:
        """Execute a request; return the data of the response."""
        if self.sealed:
            raise _RefusedError(503, "Vault is sealed")
        if token != self.token:
            raise _RefusedError(403, "permission denied")
        parts = path.split("/")
        if parts[:3] != ["", "v1", MOUNT]:
            raise _RefusedError(404, f'no handler for route "{path}". route entry not found.')
        match parts[3:]:
            case ["encrypt", name]:
                return self._encrypt(self._key(name), body)
            case ["decrypt", name]:
                return self._decrypt(self._key(name), body)
            case ["keys", name, "rotate"]:
                key = self._key(name)
                key.versions[key.latest + 1] = os.urandom(32)
                return {}
            case ["keys", name, "config"]:
                return self._configure(self._key(name), body)
            case ["keys", name, "trim"]:
                return self._trim(self._key(name), int(body["min_available_version"]))
        raise _RefusedError(404, "unsupported path")

    def _key(self, name: str) -> TransitKey:
        if name not in self.keys:
            raise _RefusedError(400, "encryption key not found")
        return self.keys[name]

    @staticmethod
    def _encrypt(key: TransitKey, body: dict[str, Any]) -> dict[str, Any]:
        nonce, bound = os.urandom(12), base64.b64decode(body.get("associated_data", ""))
        box = nonce + AESGCM(key.versions[key.latest]).encrypt(nonce, base64.b64decode(body["plaintext"]), bound)
        ciphertext = f"vault:v{key.latest}:{base64.b64encode(box).decode()}"
        return {"ciphertext": ciphertext, "key_version": key.latest}

    @staticmethod
    def _decrypt(key: TransitKey, body: dict[str, Any]) -> dict[str, Any]:
        _, version, box = body["ciphertext"].split(":")
        number, raw = int(version[1:]), base64.b64decode(box)
        if number > key.latest:
            raise _RefusedError(400, "invalid ciphertext: version is too new")
        if number < key.min_decryption or number not in key.versions:
            raise _RefusedError(400, "ciphertext or signature version is disallowed by policy (too old)")
        try:
            plaintext = AESGCM(key.versions[number]).decrypt(
                raw[:12], raw[12:], base64.b64decode(body.get("associated_data", ""))
            )
        except InvalidTag:
            raise _RefusedError(400, "cipher: message authentication failed") from None
        return {"plaintext": base64.b64encode(plaintext).decode()}

    @staticmethod
    def _configure(key: TransitKey, body: dict[str, Any]) -> dict[str, Any]:
        encryption = int(body.get("min_encryption_version", key.min_encryption))
        decryption = int(body.get("min_decryption_version", key.min_decryption))
        if max(encryption, decryption) > key.latest:
            raise _RefusedError(400, f"cannot set min version, latest key version is {key.latest}")
        if 0 < encryption < decryption:
            raise _RefusedError(400, "min_encryption_version must be greater than or equal to min_decryption_version")
        key.min_encryption, key.min_decryption = encryption, decryption
        return {}

    @staticmethod
    def _trim(key: TransitKey, first: int) -> dict[str, Any]:
        if not key.min_encryption:
            raise _RefusedError(
                400, "minimum available version cannot be set when minimum encryption version is not set"
            )
        if first > min(key.min_encryption, key.min_decryption):
            raise _RefusedError(400, "minimum available version cannot be higher than the minimum versions")
        key.versions = {number: bits for number, bits in key.versions.items() if number >= first}
        return {}


@contextmanager
def transit() -> Iterator[Transit]:
    """Run a server on a free port of loopback."""
    state = Transit()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            with state.lock:
                state.asked.append((self.command, self.path, self.headers.get("X-Vault-Namespace")))
                time.sleep(state.delay_s)
                if state.redirect_to is not None:
                    self._send(307, b"", Location=f"{state.redirect_to}{self.path}")
                elif state.garbage is not None:
                    self._send(200, state.garbage)
                else:
                    self._send(*self._answer(body))

        def _answer(self, body: bytes) -> tuple[int, bytes]:
            try:
                data = state.answer(self.path, self.headers.get("X-Vault-Token"), json.loads(body or b"{}"))
            except _RefusedError as refused:
                return refused.status, json.dumps({"errors": [str(refused)]}).encode()
            return (200, json.dumps({"data": data}).encode()) if data else (204, b"")

        def _send(self, status: int, body: bytes, **headers: str) -> None:
            self.send_response(status)
            for name, value in {
                "Content-Type": "application/json",
                "Content-Length": str(len(body)),
                **headers,
            }.items():
                self.send_header(name, value)
            self.end_headers()
            try:
                self.wfile.write(body)
            except BrokenPipeError:
                return  # the client did not wait

        do_PUT = do_GET = do_POST  # noqa: N815  names of the standard library

        def log_message(self, *_: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state.address = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield state
        finally:
            server.shutdown()
            thread.join()
