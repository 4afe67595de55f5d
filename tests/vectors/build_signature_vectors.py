"""Write `signature_vectors.json`: receipts in every form of signature, good and bad, for a verifier in any language.

Run from the root of the project: ``python -m tests.vectors.build_signature_vectors``. Keys are fixed and every
algorithm signs without randomness here (RFC 6979 for ECDSA), so the same code writes the same bytes.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import rfc8785
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from tests.support.signing import ATTESTED, DOOR_PAGE, ELIGIBLE, EXTENDED, PRESENT, VERIFIED, Passkey
from tests.vectors.build_vectors import ANN_SEED, BOB_SEED, document, malleated, signed
from volens.consent import from_b64url
from volens.consent.jws import b64url
from volens.consent.passkey_assertion import PasskeyAssertion
from volens.consent.receipt_signature import PASSKEY_TYPE, SignatureForm, SignatureTerms
from volens.consent.relying_party import RelyingParty
from volens.consent.subject_key import SubjectPublicKey

FILE: Final = Path(__file__).parent / "signature_vectors.json"
P256_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_P: Final = int(
    "fba4fcdcce0d2849588a29ad592e702c6a7ef5c39f72080ec8f85e7a28b18afe9ea441f74c786422c65c7c7114adac40e7bb3641a62e5efa"
    "4eacd7d008bbdb267fe513127c1b525dbdfb092f63c2df14b1b19d4bb691c71a0ae720fd8721e76e004260abbccebcfc7e18ebc095d0dba3"
    "5d687058e8c7292eeb5b0da06284067b",
    16,
)
_Q: Final = int(
    "b7af7f4635e2be525cd43be981159b4d4df263b572df172befa5b0a585e4b9e4306ac81984a70859c78b23fa628a8ed9cec0c70520dca296"
    "d505c5ad84c438058bfb9f1bb137f1833e1be9014906dfc14bdf3707f8d712ee38be02ef10ba053cce37b98b92a110eef9c08af079bb7364"
    "263cbf4e207b07035f69236dd3a53edf",
    16,
)

VERIFIED_RECEIPT: Final = "verified"
MALFORMED: Final = "malformed"
NOT_SIGNED: Final = "not signed"


@dataclass(frozen=True, slots=True)
class SignatureVector:
    """A receipt and its expected result, with words of the reason."""

    receipt: str
    expected: str
    reason: str


def _rsa() -> rsa.RSAPrivateKey:
    d = pow(65537, -1, (_P - 1) * (_Q - 1))
    public = rsa.RSAPublicNumbers(65537, _P * _Q)
    parts = (rsa.rsa_crt_dmp1(d, _P), rsa.rsa_crt_dmq1(d, _Q), rsa.rsa_crt_iqmp(_P, _Q))
    return rsa.RSAPrivateNumbers(_P, _Q, d, *parts, public).private_key()


ES256: Final = Passkey(ec.derive_private_key(int.from_bytes(bytes([0xE5]) * 31, "big"), ec.SECP256R1()))
OTHER: Final = Passkey(ec.derive_private_key(int.from_bytes(bytes([0xE6]) * 31, "big"), ec.SECP256R1()))
EDDSA: Final = Passkey(ed25519.Ed25519PrivateKey.from_private_bytes(bytes([0xED]) * 32))
RS256: Final = Passkey(_rsa())
ELSEWHERE: Final = RelyingParty.parse("https://door.example.net")


def receipt_for(key: SubjectPublicKey, terms: SignatureTerms, **changes: object) -> bytes:
    """Return the receipt of the other vectors, for another key and form."""
    said = document()
    said |= {"pii_principal_id": key.subject_id, "pii_principal_key": key.to_jwk(), "signature": terms.to_json()}
    said["event"] |= {"entity_id": key.subject_id}
    return rfc8785.dumps(said | changes)


def passkey_receipt(passkey: Passkey = ES256, **changes: object) -> bytes:
    """Return a receipt for a passkey of the door's page."""
    return receipt_for(passkey.public, SignatureTerms(SignatureForm.PASSKEY, DOOR_PAGE), **changes)


def by(**changes: Any) -> str:  # noqa: ANN401  any field of a passkey
    """Return the ES256 receipt, signed by a passkey that answers otherwise."""
    return replace(ES256, **changes).token(passkey_receipt())


def altered(name: str, change: Callable[[bytes], bytes], passkey: Passkey = ES256) -> str:
    """Return a receipt with one part of its assertion changed after it was signed."""
    text = passkey_receipt(passkey)
    header, payload, _ = passkey.token(text).split(".")
    members = passkey.assertion(text).to_json()
    members[name] = b64url(change(from_b64url(members[name])))
    return f"{header}.{payload}.{b64url(rfc8785.dumps(members))}"


def with_header(header: bytes, text: bytes | None = None) -> str:
    """Return the ES256 receipt under another header."""
    _, payload, assertion = ES256.token(text or passkey_receipt()).split(".")
    return f"{b64url(header)}.{payload}.{assertion}"


def with_third(third: bytes) -> str:
    """Return the ES256 receipt with another third segment."""
    header, payload, _ = ES256.token(passkey_receipt()).split(".")
    return f"{header}.{payload}.{b64url(third)}"


def raw_client(text: bytes) -> str:
    """Return the ES256 receipt, signed over client data of any bytes."""
    data = ES256.assertion(passkey_receipt()).authenticator_data
    signature = ES256.sign(data + sha256(text).digest())
    assertion = PasskeyAssertion(data, text, signature, {})
    return with_third(rfc8785.dumps(assertion.to_json()))


def other_s(signature: bytes) -> bytes:
    """Return the second signature (r, n - s) that holds whenever (r, s) does."""
    r, s = decode_dss_signature(signature)
    return encode_dss_signature(r, P256_ORDER - s)


def raw_numbers(signature: bytes) -> bytes:
    """Return r and s as 64 bytes, as a JWS has them."""
    return b"".join(one.to_bytes(32, "big") for one in decode_dss_signature(signature))


def padded(signature: bytes) -> bytes:
    """Put a zero byte before r: BER, and not DER."""
    length = signature[3]
    return bytes([0x30, signature[1] + 1, 0x02, length + 1, 0]) + signature[4:]


def client_text(**changes: object) -> bytes:
    """Return the client data of the good vector with members changed."""
    said = json.loads(ES256.assertion(passkey_receipt()).client_data_json)
    return json.dumps(said | changes).encode()


def signature_vectors() -> dict[str, SignatureVector]:
    """Return every vector by name."""
    ann = SubjectPublicKey.from_raw(
        ed25519.Ed25519PrivateKey.from_private_bytes(ANN_SEED).public_key().public_bytes_raw()
    )
    own = receipt_for(ann, SignatureTerms(SignatureForm.PERSON_KEY))
    desk = receipt_for(ann, SignatureTerms(SignatureForm.DESK))
    good, text = ES256.token(passkey_receipt()), passkey_receipt()
    segments = good.split(".")
    challenge = b64url(sha256(text).digest())
    data = ES256.assertion(text).authenticator_data
    small = {"e": "AQAB", "kty": "RSA", "n": b64url((_P * 3).to_bytes(129, "big"))}
    off_curve = ES256.public.to_jwk() | {"y": b64url(bytes(31) + b"\1")}
    ver, bad, no = VERIFIED_RECEIPT, MALFORMED, NOT_SIGNED
    flags = PRESENT | VERIFIED
    made: dict[str, tuple[str, str, str]] = {
        # good
        "person_key": (signed(own), ver, "an Ed25519 key of the person"),
        "desk": (signed(desk), ver, "an Ed25519 key at the desk"),
        "passkey_es256": (good, ver, "a passkey, P-256"),
        "passkey_eddsa": (EDDSA.token(passkey_receipt(EDDSA)), ver, "a passkey, Ed25519"),
        "passkey_rs256": (RS256.token(passkey_receipt(RS256)), ver, "a passkey, RSA with 2048 bits"),
        "passkey_counter": (by(counter=7), ver, "the counter is not compared"),
        "passkey_not_backed_up": (by(flags=flags), ver, "a passkey that stays on one device"),
        "passkey_reserved_flags": (by(flags=flags | 0x22), ver, "reserved flags are ignored"),
        "passkey_extension_data": (by(extension_data=b"\xa1\x6bcredProtect\x02"), ver, "extension data is not read"),
        "passkey_no_cross_origin": (by(client={"crossOrigin": None}), ver, "crossOrigin may be absent"),
        "passkey_further_member": (by(client={"later": ["x", 1]}), ver, "further client data is ignored"),
        "passkey_byte_order_mark": (raw_client(b"\xef\xbb\xbf" + client_text()), ver, "UTF-8 decode drops the mark"),
        "passkey_malleated": (altered("signature", other_s), ver, "holds, but is another token than the recorded one"),
        # the web site
        "passkey_wrong_origin": (by(client={"origin": "https://evil.example"}), no, "another web site"),
        "passkey_origin_with_slash": (by(client={"origin": "https://door.example/"}), no, "another web site"),
        "passkey_origin_subdomain": (by(client={"origin": "https://a.door.example"}), no, "another web site"),
        "passkey_origin_http": (by(client={"origin": "http://door.example"}), no, "another web site"),
        "passkey_origin_missing": (by(client={"origin": None}), no, "another web site"),
        "passkey_other_relying_party": (
            by(party=ELSEWHERE, client={"origin": DOOR_PAGE.origin}),
            no,
            "another relying",
        ),
        "passkey_cross_origin": (by(client={"crossOrigin": True}), no, "frame of another web site"),
        "passkey_cross_origin_text": (by(client={"crossOrigin": "false"}), no, "frame of another web site"),
        "passkey_top_origin": (by(client={"topOrigin": DOOR_PAGE.origin}), no, "frame of another web site"),
        "passkey_rp_id_not_the_host": (
            ES256.token(
                passkey_receipt(
                    signature={"form": "passkey", "origin": DOOR_PAGE.origin, "relying_party_id": "example"}
                )
            ),
            bad,
            "known form of signature",
        ),
        # what was signed
        "passkey_wrong_challenge": (by(client={"challenge": b64url(bytes(32))}), no, "another text"),
        "passkey_padded_challenge": (by(client={"challenge": f"{challenge}="}), no, "another text"),
        "passkey_challenge_missing": (by(client={"challenge": None}), no, "another text"),
        "passkey_registration": (by(client={"type": "webauthn.create"}), no, "another operation"),
        "passkey_type_missing": (by(client={"type": None}), no, "another operation"),
        "passkey_other_receipt": (
            ".".join((segments[0], b64url(passkey_receipt(record_id="f" * 32)), segments[2])),
            no,
            "another text",
        ),
        # flags
        "passkey_not_present": (by(flags=VERIFIED), no, "without the presence"),
        "passkey_not_verified": (by(flags=PRESENT), no, "without verification"),
        "passkey_backed_up_not_eligible": (by(flags=flags | 0x10), no, "contradict each other"),
        "passkey_attested_data": (by(flags=flags | ELIGIBLE | ATTESTED), no, "attested data"),
        "passkey_flag_without_extension_data": (by(flags=flags | EXTENDED), bad, "of another form"),
        "passkey_extension_data_without_flag": (
            altered("authenticator_data", lambda one: one + b"\xa0"),
            bad,
            "of another form",
        ),
        "passkey_extension_data_no_map": (by(extension_data=b"\x01"), bad, "of another form"),
        "passkey_extension_data_cut_off": (by(extension_data=b"\xa1\x61"), bad, "of another form"),
        "passkey_extension_data_and_more": (by(extension_data=b"\xa0\xa0"), bad, "of another form"),
        # the signature
        "passkey_of_another_key": (
            with_third(rfc8785.dumps(OTHER.assertion(text).to_json())),
            no,
            "does not match the signed bytes",
        ),
        "passkey_der_with_more": (altered("signature", lambda one: one + b"\0"), no, "does not match"),
        "passkey_der_padded": (altered("signature", padded), no, "does not match"),
        "passkey_raw_numbers": (altered("signature", raw_numbers), no, "does not match"),
        "passkey_zero": (altered("signature", lambda _: encode_dss_signature(0, 0)), no, "does not match"),
        "passkey_counter_changed": (
            altered("authenticator_data", lambda one: one[:36] + b"\1"),
            no,
            "does not match the signed bytes",
        ),
        "passkey_client_data_changed": (
            altered("client_data_json", lambda one: one.replace(b"}", b" }")),
            no,
            "does not match the signed bytes",
        ),
        "passkey_eddsa_malleated": (altered("signature", malleated, EDDSA), no, "does not match"),
        "passkey_rs256_changed": (
            altered("signature", lambda one: bytes([one[0] ^ 1]) + one[1:], RS256),
            no,
            "does not match",
        ),
        "person_key_malleated": (
            ".".join((*signed(own).split(".")[:2], b64url(malleated(from_b64url(signed(own).split(".")[2]))))),
            no,
            "does not match the signed bytes",
        ),
        "desk_signed_by_another": (signed(desk, seed=BOB_SEED), no, "does not match the signed bytes"),
        # the algorithm and the form
        "passkey_header_of_another_algorithm": (
            with_header(b'{"alg":"RS256","typ":"%s"}' % PASSKEY_TYPE.encode()),
            no,
            "another algorithm",
        ),
        "passkey_header_in_another_order": (
            with_header(b'{"typ":"%s","alg":"ES256"}' % PASSKEY_TYPE.encode()),
            bad,
            "another JWS header",
        ),
        "passkey_header_none": (
            with_header(b'{"alg":"none","typ":"%s"}' % PASSKEY_TYPE.encode()),
            bad,
            "another JWS header",
        ),
        "passkey_jws_header": (with_header(b'{"alg":"ES256","typ":"volens-receipt+jws"}'), bad, "another JWS header"),
        "jws_that_states_a_passkey": (
            signed(receipt_for(ann, SignatureTerms(SignatureForm.PASSKEY, DOOR_PAGE))),
            no,
            "another form than it states",
        ),
        "passkey_that_states_a_person_key": (
            EDDSA.token(receipt_for(EDDSA.public, SignatureTerms(SignatureForm.PERSON_KEY))),
            no,
            "another form than it states",
        ),
        "person_key_with_p256": (
            ES256.token(receipt_for(ES256.public, SignatureTerms(SignatureForm.PERSON_KEY))),
            bad,
            "cannot sign in the form",
        ),
        "form_unknown": (
            signed(receipt_for(ann, SignatureTerms(SignatureForm.DESK), signature={"form": "fax"})),
            bad,
            "form",
        ),
        "form_missing": (
            signed({name: value for name, value in json.loads(own).items() if name != "signature"}),
            bad,
            "expected an object 'signature'",
        ),
        "desk_without_its_statement": (
            signed(receipt_for(ann, SignatureTerms(SignatureForm.DESK), signature={"form": "desk"})),
            bad,
            "known form of signature",
        ),
        # the encoding
        "passkey_two_segments": (".".join(segments[:2]), bad, "dot-separated segments"),
        "passkey_not_canonical": (
            with_third(json.dumps(ES256.assertion(text).to_json()).encode()),
            bad,
            "not canonical JSON",
        ),
        "passkey_further_part": (
            with_third(rfc8785.dumps(ES256.assertion(text).to_json() | {"user_handle": ""})),
            bad,
            "of another form",
        ),
        "passkey_part_missing": (with_third(rfc8785.dumps({"signature": ""})), bad, "of another form"),
        "passkey_short_authenticator_data": (
            with_third(rfc8785.dumps(ES256.assertion(text).to_json() | {"authenticator_data": b64url(data[:36])})),
            bad,
            "of another form",
        ),
        "passkey_client_data_twice": (
            raw_client(client_text().replace(b"{", b'{"type": "webauthn.get", ', 1)),
            bad,
            "of another form",
        ),
        "passkey_client_data_no_object": (raw_client(b'["webauthn.get"]'), bad, "of another form"),
        "passkey_client_data_not_utf8": (
            raw_client(client_text().replace(b"door", b"d\xf6\xf6r")),
            bad,
            "of another form",
        ),
        "passkey_client_data_too_long": (by(client={"later": "x" * 4096}), bad, "of another form"),
        # the key
        "passkey_point_not_on_the_curve": (
            with_header(from_b64url(segments[0]), passkey_receipt(pii_principal_key=off_curve)),
            bad,
            "public key of another kind",
        ),
        "passkey_small_rsa": (
            RS256.token(passkey_receipt(RS256, pii_principal_key=small)),
            bad,
            "public key of another kind",
        ),
        "passkey_private_key_inside": (
            ES256.token(passkey_receipt(pii_principal_key=ES256.public.to_jwk() | {"d": b64url(bytes(32))})),
            bad,
            "public key of another kind",
        ),
        "passkey_key_of_another_subject": (
            ES256.token(passkey_receipt(pii_principal_id=OTHER.public.subject_id)),
            no,
            "another data subject",
        ),
    }
    return {name: SignatureVector(*one) for name, one in made.items()}


def content() -> bytes:
    """Return the file."""
    vectors = [
        {"name": name, "receipt": one.receipt, "expected": one.expected, "reason": one.reason}
        for name, one in signature_vectors().items()
    ]
    about = {
        "about": "each receipt is checked with the public key that it names; expected: verified, malformed, not signed",
        "made_by": "tests/vectors/build_signature_vectors.py",
        "origin": DOOR_PAGE.origin,
        "relying_party_id": DOOR_PAGE.rp_id,
    }
    return (json.dumps(about | {"vectors": vectors}, indent=2) + "\n").encode()


def main() -> None:
    """Write it."""
    FILE.write_bytes(content())


if __name__ == "__main__":
    main()
