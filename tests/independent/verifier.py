"""Checks what a site signed (site.pub, checkpoint, certificate); written from docs/certificate-format.md alone."""

import base64
import hashlib
import json
from contextlib import suppress
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey as Key


def need(*holds: object) -> None:
    if not all(holds):
        raise ValueError("this is not what was signed")


def sha(*parts: bytes | str) -> bytes:
    return hashlib.sha256(b"".join(one.encode() if isinstance(one, str) else one for one in parts)).digest()


def b64(text: str, letters: bytes = b"-_") -> bytes:
    padded = text if letters == b"+/" else text.replace("=", "!") + "=" * (-len(text) % 4)
    need(base64.b64encode(data := base64.b64decode(padded, letters, validate=True), letters).decode() == padded)
    return data


def canonical(value: object) -> bytes:
    return json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


def jws(token: str, typ: str, *keys: bytes) -> dict[str, Any]:  # a receipt brings its own key
    head, body, signature = token.split(".")
    need(json.loads(b64(head).decode(), object_pairs_hook=sorted) == [("alg", "Ed25519"), ("typ", f"volens-{typ}+jws")])
    said = json.loads(b64(body), parse_float=need, parse_int=lambda one: need(abs(int(one)) < 2**53) or int(one))
    need(canonical(said) == b64(body))
    for key in keys or [b64(said["pii_principal_key"]["x"])]:
        with suppress(InvalidSignature):
            Key.from_public_bytes(key).verify(b64(signature), f"{head}.{body}".encode())
            return said
    raise InvalidSignature


def root_of(leaf: bytes, m: int, n: int, proof: list[bytes]) -> bytes:
    if n == 1:
        need(m == 0, not proof)
        return leaf
    k = 1 << (n - 1).bit_length() - 1  # the left subtree: the largest power of two below n
    half = root_of(leaf, m, k, proof[:-1]) if m < k else root_of(leaf, m - k, n - k, proof[:-1])
    return sha(b"\1", half, proof[-1]) if m < k else sha(b"\1", proof[-1], half)


class Site:
    def __init__(self, text: str) -> None:  # site.pub: the first key, and statements that introduce the next ones
        self.line, *tokens = text.split()
        self.name, line, self.ids = self.line.split("+")[0], self.line, dict[str, tuple[bytes, float]]()
        for epoch, token in enumerate([*tokens, ""], 2):
            name, key_id, encoded = line.split("+", 2)
            need(key_id == sha(name, "\n", key := b64(encoded, b"+/"))[:4].hex(), name == self.name, key[:1] == b"\1")
            said = jws(token, "key-succession", key[1:]) if token else {"log_size": float("inf")}
            need(not token or [said["version"], said["epoch"], said["old_key"]] == [1, epoch, line])
            need(said["log_size"] >= max((size for _, size in self.ids.values()), default=0))
            self.ids[key_id], line = (key[1:], said["log_size"]), said.get("new_key", "")
        self.keys = [key for key, _ in self.ids.values()]

    def checkpoint(self, note: str) -> tuple[int, bytes]:
        text, _, lines = note.rpartition("\n\n")
        origin, size, root = text.split("\n")
        mine = f"— {self.name} "
        signed = [b64(one.removeprefix(mine), b"+/") for one in lines.split("\n") if one.startswith(mine)]
        own = [(self.ids[data[:4].hex()], data[4:]) for data in signed if data[:4].hex() in self.ids]
        need(own, origin == self.name, size == str(int(size)), lines[-1] == "\n")
        for (key, last_size), signature in own:
            need(Key.from_public_bytes(key).verify(signature, f"{text}\n".encode()) is None, int(size) <= last_size)
        return int(size), b64(root, b"+/")

    def entry(self, log: dict[str, Any], size: int, root: bytes) -> tuple[str, dict[str, Any]]:
        leaf, salt, *proof = (b64(one, b"+/") for one in (log["leaf"], log["salt"], *log["proof"]))
        need(root_of(sha(b"\0", leaf), log["index"], size, proof) == root, len(salt) == 32)
        need(canonical(fields := json.loads(leaf)) == leaf, sorted(fields) == ["at", "commitment", "kind", "v"])
        need(b64(fields["commitment"]) == sha("volens leaf v1\0", salt, canonical(log["details"])), fields["v"] == 1)
        return fields["kind"], log["details"]

    def logged(self, token: str, typ: str) -> tuple[Any, object, str]:
        signed = jws(token, typ, *self.keys)
        entry = self.entry(signed["log"], *self.checkpoint(signed["log"]["checkpoint"]))
        return signed["statement"], entry, sha(canonical(signed["statement"])).hex()

    def certificate(self, data: bytes) -> dict[str, Any]:
        file = json.loads(data)
        need(json.dumps(file).encode() + b"\n" == data, file.keys() <= {"certificate", "acknowledgements", "witnessed"})
        said, entry, digest = self.logged(file["certificate"], "erasure-certificate")
        need(entry == ("erasure.certified", {"certificate_id": said["certificate_id"], "statement_sha256": digest}))
        need(not any(one.get("found") for one in said["searched"] + said.get("search_after", [])))
        for answer in (jws(one, "erasure-acknowledgement", *self.keys) for one in file.get("acknowledgements", [])):
            need(answer["certificate_id"] == said["certificate_id"])
            if "statement" in answer:
                theirs = jws(answer["statement"], "recipient-statement", b64(answer["recipient_key"]))
                need((theirs["certificate_id"], theirs["statement"]) == (said["certificate_id"], "erased"))
        return said
