"""Checks what a site signed (certificate, receipt, checkpoint); written from docs/certificate-format.md alone."""

import base64
import hashlib
import json
import re
from typing import Any

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


def jws(token: str, typ: str, key: bytes = b"") -> dict[str, Any]:  # a receipt brings its own key
    head, body, signature = token.split(".")
    need(json.loads(b64(head).decode(), object_pairs_hook=sorted) == [("alg", "Ed25519"), ("typ", f"volens-{typ}+jws")])
    said = json.loads(b64(body), parse_float=need, parse_int=lambda one: need(abs(int(one)) < 2**53) or int(one))
    need(canonical(said) == b64(body))
    Key.from_public_bytes(key or b64(said["pii_principal_key"]["x"])).verify(b64(signature), f"{head}.{body}".encode())
    return said


def root_of(leaf: bytes, m: int, n: int, proof: list[bytes]) -> bytes:
    if n == 1:
        need(m == 0, not proof)
        return leaf
    k = 1 << (n - 1).bit_length() - 1  # the left subtree: the largest power of two below n
    half = root_of(leaf, m, k, proof[:-1]) if m < k else root_of(leaf, m - k, n - k, proof[:-1])
    return sha(b"\1", half, proof[-1]) if m < k else sha(b"\1", proof[-1], half)


def receipt(data: bytes) -> tuple[str, dict[str, Any]]:
    token = json.loads(data)["receipt"] if data[:1] == b"{" else data.decode().strip()
    agreed = jws(token, "receipt")
    key, terms, times = agreed["pii_principal_key"], agreed["pii_processing"], agreed["event"]
    need(key == {"crv": "Ed25519", "kty": "OKP", "x": key["x"]}, b64(agreed["pii_principal_id"]) == sha(canonical(key)))
    need(agreed["schema_version"].endswith(" volens-receipt/1"), times["event_state"] == "consent given")
    said = [terms["purpose"], terms["jurisdiction"], times["event_time"], times["expires_at"]]
    form = "[a-z0-9][a-z0-9_-]{0,62} [A-Z]{2}(-[A-Z0-9]{1,3})?( [0-9]{4}(-[0-9]{2}){2}T[0-9]{2}(:[0-9]{2}){2}Z){2}"
    need(re.fullmatch(form, " ".join(said)), said[2] < said[3])
    return sha(token).hex(), agreed


class Site:
    def __init__(self, line: str) -> None:
        self.named, key = line.strip().split("+", 2)[:2], line.strip().split("+", 2)[2]
        self.line, self.key = line.strip(), b64(key, b"+/")[1:]
        need(self.named[1] == sha(self.named[0], "\n\1", self.key)[:4].hex(), b64(key, b"+/")[:1] == b"\1")

    def checkpoint(self, note: str) -> tuple[int, bytes]:
        text, _, lines = note.rpartition("\n\n")
        origin, size, root = text.split("\n")
        signed = [one.removeprefix("— ").split(" ") for one in lines[:-1].split("\n")]
        own = [data[4:] for name, blob in signed if [name, (data := b64(blob, b"+/"))[:4].hex()] == self.named]
        need(own, origin == self.named[0], size == str(int(size)), lines[-1] == "\n")
        for signature in own:
            Key.from_public_bytes(self.key).verify(signature, f"{text}\n".encode())
        return int(size), b64(root, b"+/")

    def entry(self, log: dict[str, Any], size: int, root: bytes) -> tuple[str, dict[str, Any]]:
        leaf, salt, *proof = (b64(one, b"+/") for one in (log["leaf"], log["salt"], *log["proof"]))
        need(root_of(sha(b"\0", leaf), log["index"], size, proof) == root, len(salt) == 32)
        need(canonical(fields := json.loads(leaf)) == leaf, sorted(fields) == ["at", "commitment", "kind", "v"])
        need(b64(fields["commitment"]) == sha("volens leaf v1\0", salt, canonical(log["details"])), fields["v"] == 1)
        return fields["kind"], log["details"]

    def logged(self, token: str, typ: str) -> tuple[Any, object, str]:
        signed = jws(token, typ, self.key)
        entry = self.entry(signed["log"], *self.checkpoint(signed["log"]["checkpoint"]))
        return signed["statement"], entry, sha(canonical(signed["statement"])).hex()

    def certificate(self, data: bytes) -> dict[str, Any]:
        file = json.loads(data)
        need(json.dumps(file).encode() + b"\n" == data, file.keys() <= {"certificate", "acknowledgements"})
        said, entry, digest = self.logged(file["certificate"], "erasure-certificate")
        need(entry == ("erasure.certified", {"certificate_id": said["certificate_id"], "statement_sha256": digest}))
        need(not any(one.get("found") for one in said["searched"] + said.get("search_after", [])))
        for answer in (jws(one, "erasure-acknowledgement", self.key) for one in file.get("acknowledgements", [])):
            need(answer["certificate_id"] == said["certificate_id"])
            if "statement" in answer:
                theirs = jws(answer["statement"], "recipient-statement", b64(answer["recipient_key"]))
                need((theirs["certificate_id"], theirs["statement"]) == (said["certificate_id"], "erased"))
        return said
