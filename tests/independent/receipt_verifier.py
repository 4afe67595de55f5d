"""Checks a receipt in every form of signature; written from docs/certificate-format.md, section 7, alone."""

import json
import re
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from verifier import Key, b64, canonical, jws, need, sha

ALGORITHMS = {"OKP": "EdDSA", "EC": "ES256", "RSA": "RS256"}
MEMBERS = {"OKP": {"crv", "kty", "x"}, "EC": {"crv", "kty", "x", "y"}, "RSA": {"e", "kty", "n"}}
DESK = {"form": "desk", "statement": "signed at the desk, with the key made there or brought there"}


def check_of(jwk: dict[str, str]) -> Callable[[bytes, bytes], object]:
    """Return how a signature by this key over some data is checked."""
    number = {name: int.from_bytes(b64(jwk[name]), "big") for name in jwk if name in {"x", "y", "n", "e"}}
    need(jwk.keys() == MEMBERS[jwk["kty"]])
    if jwk["kty"] == "OKP":
        need(jwk["crv"] == "Ed25519", len(b64(jwk["x"])) == 32)
        return Key.from_public_bytes(b64(jwk["x"])).verify
    if jwk["kty"] == "EC":
        need(jwk["crv"] == "P-256", len(b64(jwk["x"])) == len(b64(jwk["y"])) == 32)
        point = ec.EllipticCurvePublicNumbers(number["x"], number["y"], ec.SECP256R1()).public_key()

        def es256(signature: bytes, data: bytes) -> None:
            need(encode_dss_signature(*decode_dss_signature(signature)) == signature)
            point.verify(signature, data, ec.ECDSA(SHA256()))

        return es256
    need(jwk["e"] == "AQAB", 2048 <= number["n"].bit_length() <= 4096, number["n"] % 2, b64(jwk["n"])[0])
    public = rsa.RSAPublicNumbers(65537, number["n"]).public_key()
    return lambda signature, data: public.verify(signature, data, padding.PKCS1v15(), SHA256())


def end_of_item(data: bytes, at: int, depth: int = 0) -> int:
    """Return where a CBOR item ends."""
    kind, info, at = data[at] >> 5, data[at] & 31, at + 1
    need(info < 28, depth <= 4)
    size = 0 if info < 24 else 1 << info - 24
    need(at + size <= len(data))
    value, at = int.from_bytes(data[at : at + size], "big") if size else info, at + size
    for _ in range({4: value, 5: 2 * value, 6: 1}.get(kind, 0)):
        at = end_of_item(data, at, depth + 1)
    return at + value if kind in {2, 3} else at


def passkey(token: str) -> dict[str, Any]:
    head, body, third = token.split(".")
    said, parts, text = (json.loads(b64(body)), json.loads(b64(third)), b64(body))
    need(canonical(said) == text, canonical(parts) == b64(third), len(parts) == 3)
    jwk, terms = said["pii_principal_key"], said["signature"]
    need(b64(head) == canonical({"alg": ALGORITHMS[jwk["kty"]], "typ": "volens-receipt+webauthn"}))
    data, client, signature = (b64(parts[one]) for one in ("authenticator_data", "client_data_json", "signature"))
    need(37 <= len(data) <= 1024, len(client) <= 4096, 0 < len(signature) <= 512)
    asked = json.loads(client.removeprefix(b"\xef\xbb\xbf").decode(), object_pairs_hook=list)
    need(len(dict(asked)) == len(asked))
    asked, flags = dict(asked), data[32]
    need(asked["type"] == "webauthn.get", isinstance(asked["challenge"], str), b64(asked["challenge"]) == sha(text))
    need(asked["origin"] == terms["origin"], asked.get("crossOrigin", False) is False, "topOrigin" not in asked)
    need(data[:32] == sha(terms["relying_party_id"]), flags & 1, flags & 4, flags & 8 or not flags & 16, not flags & 64)
    need(data[37] >> 5 == 5 and end_of_item(data, 37) == len(data) if flags & 128 else len(data) == 37)
    check_of(jwk)(signature, data + sha(client))
    host = re.fullmatch(r"https?://([a-z0-9.-]+)(:[0-9]+)?", terms["origin"])
    need(host and host[1] == terms["relying_party_id"], terms["form"] == "passkey", len(terms) == 3)
    return said


def receipt(data: bytes) -> tuple[str, dict[str, Any]]:
    token = json.loads(data)["receipt"] if data[:1] == b"{" else data.decode().strip()
    is_passkey = b"webauthn" in b64(token.split(".")[0])
    agreed = passkey(token) if is_passkey else jws(token, "receipt")
    key, terms, times = agreed["pii_principal_key"], agreed["pii_processing"], agreed["event"]
    need(is_passkey or agreed["signature"] in ({"form": "person_key"}, DESK))
    check_of(key)
    need(is_passkey or key["kty"] == "OKP", b64(agreed["pii_principal_id"]) == sha(canonical(key)))
    need(agreed["schema_version"].endswith(" volens-receipt/2"), times["event_state"] == "consent given")
    said = [terms["purpose"], terms["jurisdiction"], times["event_time"], times["expires_at"]]
    form = "[a-z0-9][a-z0-9_-]{0,62} [A-Z]{2}(-[A-Z0-9]{1,3})?( [0-9]{4}(-[0-9]{2}){2}T[0-9]{2}(:[0-9]{2}){2}Z){2}"
    need(re.fullmatch(form, " ".join(said)), said[2] < said[3])
    return sha(token).hex(), agreed
