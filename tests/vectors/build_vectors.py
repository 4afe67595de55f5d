"""Write the signed receipts of this folder, valid and invalid, one file each, and the manifest of expected results.

Also the worked example of docs/certificate-format.md: a site's key, a log of three leaves, a certificate.

Run from the root of the project: ``python -m tests.vectors.build_vectors``. Keys come from fixed seeds and Ed25519 is
deterministic, so the same code writes the same bytes; a test holds it to that. A change to a file here is a change to
the format of receipts that people already hold: avoid it, otherwise state it in the CHANGELOG.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from volens.audit import (
    Checkpoint,
    Event,
    LogEntry,
    LoggedStatement,
    VerifierKey,
    checkpoint_line,
    header_line,
    leaf_bytes,
    leaf_hash,
    leaf_line,
    new_nodes,
    opening_line,
    root,
    sign_checkpoint,
)
from volens.consent import Notice, Purpose, ReceiptId, SiteId, SubjectKey, Zone, from_b64url
from volens.consent.jws import b64url
from volens.consent.law import ProfileCatalogue
from volens.consent.processing_record import ProcessingRecord
from volens.consent.receipt import Controller
from volens.consent.receipt_offer import ReceiptOffer, compose_receipt, end_of_term
from volens.consent.receipt_signature import SignatureForm, SignatureTerms
from volens.consent.refusal import REFUSAL, sign_refusal
from volens.erase.proof import CERTIFICATE, log_details

FOLDER: Final = Path(__file__).parent
ANN_SEED: Final = bytes.fromhex("a1" * 32)
BOB_SEED: Final = bytes.fromhex("b0" * 32)
SITE_SEED: Final = bytes.fromhex("c5" * 32)
NOW: Final = datetime(2099, 3, 14, 9, 26, 53, tzinfo=UTC)
ERASED: Final = datetime(2099, 4, 1, 8, 0, 1, tzinfo=UTC)
TYPE: Final = '"typ":"volens-receipt+jws"'
HEADER: Final = '{"alg":"Ed25519",' + TYPE + "}"
ORDER: Final = 2**252 + 27742317777372353535851937790883648493  # of Ed25519's group, RFC 8032 section 5.1

VERIFIED: Final = "verified"
MALFORMED: Final = "ReceiptError"
NOT_SIGNED: Final = "ReceiptSignatureError"


@dataclass(frozen=True, slots=True)
class Vector:
    """One file: a token, its expected result under Ann's key, and words of the error."""

    token: str
    expected: str
    words: str = ""


def good(seed: bytes = ANN_SEED, *, jurisdiction: str = "FR", days: int = 365, now: datetime = NOW) -> str:
    """Return a receipt as the library signs it."""
    zone = Zone.declare(
        "front-door",
        custody="operator",
        justification="bakers come in with dough on both hands",
        alternative="a key, from the desk",
        retention_days=days,
        now=now,
    )
    notice = Notice.publish(Purpose("front-door"), language="en", version=1, text=b"We keep a number.\n", now=now)
    key = SubjectKey.from_seed(seed)
    controller = Controller(SiteId("site-5c1e"), "Lakeside Bakery", "privacy@lakeside.example")
    record = ProcessingRecord(controller, zone, jurisdiction, ProfileCatalogue().profile_of(jurisdiction))
    document = compose_receipt(
        record,
        notice,
        receipt_id=ReceiptId("00112233445566778899aabbccddeeff"),
        key=key.public,
        signature=SignatureTerms(SignatureForm.PERSON_KEY),
        issued_at=now,
        expires_at=end_of_term(record, now),
    )
    return ReceiptOffer(document).sign(key).decode("ascii")


def document() -> dict[str, Any]:
    """Return the payload of the good receipt."""
    said: dict[str, Any] = json.loads(payload_of(good()))
    return said


def payload_of(token: str) -> bytes:
    """Return the signed JSON."""
    return from_b64url(token.split(".")[1])


def signed(payload: dict[str, Any] | bytes, header: str = HEADER, seed: bytes = ANN_SEED) -> str:
    """Sign anything under any header, without the library under test."""
    body = payload if isinstance(payload, bytes) else rfc8785.dumps(payload)
    text = f"{b64url(header.encode())}.{b64url(body)}"
    return f"{text}.{b64url(Ed25519PrivateKey.from_private_bytes(seed).sign(text.encode('ascii')))}"


def with_signature(change: Callable[[bytes], bytes]) -> str:
    """Return the good receipt with another signature."""
    rest, _, signature = good().rpartition(".")
    return f"{rest}.{b64url(change(from_b64url(signature)))}"


def with_payload(payload: dict[str, Any] | bytes) -> str:
    """Return the good receipt's header and signature around another payload."""
    body = payload if isinstance(payload, bytes) else rfc8785.dumps(payload)
    header, _, signature = good().split(".")
    return f"{header}.{b64url(body)}.{signature}"


def changed(section: str, **members: object) -> dict[str, Any]:
    """Return the document with members of one section replaced."""
    said = document()
    said[section] |= members
    return said


def lacking(section: str, member: str) -> dict[str, Any]:
    """Return the document without one member of one section."""
    said = document()
    del said[section][member]
    return said


def flipped(place: int) -> Callable[[bytes], bytes]:
    """Return a function that changes one bit of one byte."""
    return lambda data: data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


def malleated(data: bytes) -> bytes:
    """Add the group order to S: the equation holds as before, and RFC 8032 refuses it for that reason."""
    return data[:32] + (int.from_bytes(data[32:], "little") + ORDER).to_bytes(32, "little")


def unused_bits() -> str:
    """Return the good receipt with a last character that stands for the same bytes."""
    token = good()
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return token[:-1] + alphabet[alphabet.index(token[-1]) + 1]


def none_token(body: str) -> str:
    """Return an unsecured JWS, RFC 7515 appendix A.5: algorithm none and an empty signature."""
    header = '{"alg":"none",' + TYPE + "}"
    return f"{b64url(header.encode())}.{body}."


def vectors() -> dict[str, Vector]:
    """Return every vector by the name of its file, without the suffix."""
    ann, bob = SubjectKey.from_seed(ANN_SEED).public, SubjectKey.from_seed(BOB_SEED).public
    payload = payload_of(good())
    bob_key = json.dumps(bob.to_jwk(), separators=(",", ":"))
    header, body, signature = good().split(".")
    other_header = "another JWS header"
    return {
        # good
        "receipt_good": Vector(good(), VERIFIED),
        "receipt_good_us_il": Vector(good(jurisdiction="US-IL"), VERIFIED),
        "receipt_good_one_day": Vector(good(days=1), VERIFIED),
        "receipt_good_expired_long_ago": Vector(good(now=datetime(2001, 1, 1, tzinfo=UTC)), VERIFIED),
        "receipt_good_header_in_other_order": Vector(signed(payload, "{" + TYPE + ',"alg":"Ed25519"}'), VERIFIED),
        # the header
        "receipt_alg_none": Vector(none_token(body), MALFORMED, other_header),
        "receipt_alg_eddsa": Vector(signed(payload, '{"alg":"EdDSA",' + TYPE + "}"), MALFORMED, other_header),
        "receipt_alg_hs256": Vector(signed(payload, '{"alg":"HS256",' + TYPE + "}"), MALFORMED, other_header),
        "receipt_alg_rs256": Vector(signed(payload, '{"alg":"RS256",' + TYPE + "}"), MALFORMED, other_header),
        "receipt_alg_twice": Vector(signed(payload, '{"alg":"none",' + HEADER[1:]), MALFORMED, other_header),
        "receipt_typ_jwt": Vector(signed(payload, '{"alg":"Ed25519","typ":"JWT"}'), MALFORMED, other_header),
        "receipt_typ_missing": Vector(signed(payload, '{"alg":"Ed25519"}'), MALFORMED, other_header),
        "receipt_extra_header": Vector(signed(payload, HEADER[:-1] + ',"cty":"JWT"}'), MALFORMED, other_header),
        "receipt_header_jwk": Vector(
            signed(payload, HEADER[:-1] + f',"jwk":{bob_key}}}', BOB_SEED), MALFORMED, other_header
        ),
        "receipt_header_kid": Vector(signed(payload, HEADER[:-1] + ',"kid":"../../etc"}'), MALFORMED, other_header),
        "receipt_header_crit": Vector(
            signed(payload, HEADER[:-1] + ',"b64":false,"crit":["b64"]}'), MALFORMED, other_header
        ),
        # the encoding
        "receipt_two_segments": Vector(f"{header}.{body}", MALFORMED, "got 2 dot-separated segments"),
        "receipt_four_segments": Vector(f"{good()}.AAAA", MALFORMED, "got 4 dot-separated segments"),
        "receipt_base64_padding": Vector(f"{header}.{body}.{signature}==", MALFORMED, "base64url"),
        "receipt_base64_unused_bits": Vector(unused_bits(), MALFORMED, "not canonical"),
        "receipt_json_with_spaces": Vector(
            signed(json.dumps(document(), sort_keys=True).encode()), MALFORMED, "not canonical JSON"
        ),
        "receipt_json_member_twice": Vector(
            signed(payload.replace(b'"jurisdiction":"FR"', b'"jurisdiction":"DE","jurisdiction":"FR"')),
            MALFORMED,
            "not canonical JSON",
        ),
        "receipt_json_nan": Vector(signed(payload.replace(b'"version":1', b'"version":NaN')), MALFORMED, "RFC 8785"),
        "receipt_json_big_number": Vector(
            signed(payload.replace(b'"version":1', b'"version":9007199254740993')), MALFORMED, "RFC 8785"
        ),
        "receipt_json_lone_surrogate": Vector(signed(payload.replace(b'"FR"', b'"\\ud800"')), MALFORMED, "RFC 8785"),
        # the fields
        "receipt_schema_other": Vector(
            signed(document() | {"schema_version": "ISO/IEC TS 27560:2023 volens-receipt/1"}),
            MALFORMED,
            "expected schema_version",
        ),
        "receipt_jurisdiction_missing": Vector(
            signed(lacking("pii_processing", "jurisdiction")), MALFORMED, "expected text in 'jurisdiction'"
        ),
        "receipt_jurisdiction_lower_case": Vector(
            signed(changed("pii_processing", jurisdiction="fr")), MALFORMED, "another form"
        ),
        "receipt_expiry_missing": Vector(signed(lacking("event", "expires_at")), MALFORMED, "expected UTC as"),
        "receipt_expiry_before_issue": Vector(
            signed(changed("event", expires_at="2099-03-14T09:26:52Z")), MALFORMED, "another form"
        ),
        "receipt_expiry_in_other_digits": Vector(
            signed(changed("event", expires_at="\N{ARABIC-INDIC DIGIT TWO}100-03-14T09:26:53Z")),
            MALFORMED,
            "expected UTC as",
        ),
        "receipt_purpose_is_a_path": Vector(
            signed(changed("pii_processing", purpose="../vault")), MALFORMED, "got zone name"
        ),
        "receipt_state_withdrawn": Vector(
            signed(changed("event", event_state="consent withdrawn")), MALFORMED, "another form"
        ),
        "receipt_private_key_inside": Vector(
            signed(document() | {"pii_principal_key": ann.to_jwk() | {"d": b64url(bytes(32))}}),
            MALFORMED,
            "got a public key of another kind",
        ),
        # the signature
        "receipt_signature_flipped": Vector(with_signature(flipped(0)), NOT_SIGNED, "does not match its text"),
        "receipt_signature_flipped_at_end": Vector(with_signature(flipped(63)), NOT_SIGNED, "does not match"),
        "receipt_signature_empty": Vector(with_signature(lambda _: b""), NOT_SIGNED, "does not match its text"),
        "receipt_signature_zero": Vector(with_signature(lambda _: bytes(64)), NOT_SIGNED, "does not match its text"),
        "receipt_signature_short": Vector(with_signature(lambda data: data[:-1]), NOT_SIGNED, "does not match"),
        "receipt_signature_malleated": Vector(with_signature(malleated), NOT_SIGNED, "does not match its text"),
        "receipt_signature_by_another": Vector(signed(payload, seed=BOB_SEED), NOT_SIGNED, "does not match its text"),
        "receipt_payload_other_purpose": Vector(
            with_payload(changed("pii_processing", purpose="vault")), NOT_SIGNED, "does not match its text"
        ),
        "receipt_payload_later_expiry": Vector(
            with_payload(changed("event", expires_at="2199-03-14T09:26:53Z")), NOT_SIGNED, "does not match its text"
        ),
        "receipt_of_another_subject": Vector(good(BOB_SEED), NOT_SIGNED, "another data subject"),
        "receipt_subject_swapped": Vector(
            signed(document() | {"pii_principal_id": bob.subject_id}, seed=BOB_SEED), NOT_SIGNED, "another data subject"
        ),
        "receipt_subject_key_swapped": Vector(
            signed(document() | {"pii_principal_key": bob.to_jwk()}), NOT_SIGNED, "another data subject"
        ),
    }


class SiteKey:
    """The site's key, whose JWS are made as receipts are."""

    def sign(self, payload: bytes, typ: str) -> str:
        return signed(payload, f'{{"alg":"Ed25519","typ":"{typ}"}}', SITE_SEED)


@dataclass(frozen=True, slots=True)
class WorkedExample:
    """A log of three leaves and the certificate in it; `lines` are the values that docs/certificate-format.md shows."""

    key: VerifierKey
    certificate: bytes
    log: bytes
    lines: list[str]


def worked_example() -> WorkedExample:
    """Return a site that certified the erasure of `receipt_good.txt`."""
    private = Ed25519PrivateKey.from_private_bytes(SITE_SEED)
    key = VerifierKey("volens/site-5c1e", private.public_key().public_bytes_raw())
    statement = {
        "version": CERTIFICATE.version,
        "certificate_id": "f0" * 16,
        "site_id": "site-5c1e",
        "controller": "Lakeside Bakery",
        "receipt_sha256": sha256(good().encode("ascii")).hexdigest(),
        "zone": "front-door",
        "reason": "withdrawn",
        "ended_at": "2099-04-01T08:00:00Z",
        "erased_at": "2099-04-01T08:00:01Z",
        "destroyed": {"sealed embedding": 1},
        "searched": [{"what": "sealed embedding", "pieces": 10, "found": 0}],
        "searched_in": [{"name": "volens.db", "size_bytes": 286720}],
        "not_promised": "spare blocks of an SSD",
        "recipients": [],
    }
    events = [
        Event("site.created", NOW, {"site_id": "site-5c1e"}, bytes([1]) * 32),
        Event("zone.added", NOW, {"zone": "front-door", "retention_days": 365}, bytes([2]) * 32),
        Event("erasure.certified", ERASED, log_details(statement), bytes([3]) * 32),
    ]
    nodes: dict[tuple[int, int], bytes] = {}

    def read(level: int, index: int, /) -> bytes:
        return nodes[level, index]

    leaves = [leaf_bytes(one) for one in events]
    log = b""
    for size, leaf in enumerate(leaves):
        nodes |= {(level, at): node for level, at, node in new_nodes(size, leaf_hash(leaf), read)}
        log += leaf_line(leaf)
        log += opening_line(events[size].details, events[size].salt) if size < 2 else b""
        note = sign_checkpoint(Checkpoint(key.name, size + 1, root(size + 1, read)), private)
        log += checkpoint_line(note)
    entry = LogEntry.of(events[2], 2, 3, read)
    token = CERTIFICATE.sign(SiteKey(), LoggedStatement(statement, entry, note).to_json())
    lines = [
        f"site.pub          {key.line()}",
        f"details           {rfc8785.dumps(dict(events[2].details)).decode()}",
        f"salt              {events[2].salt.hex()}",
        f"commitment        {json.loads(leaves[2])['commitment']}",
        *(f"leaf {index}            {leaf.decode()}" for index, leaf in enumerate(leaves)),
        *(f"hash of leaf {index}    {leaf_hash(leaf).hex()}" for index, leaf in enumerate(leaves)),
        f"inclusion proof   {' '.join(one.hex() for one in entry.proof)}",
        f"root              {root(3, read).hex()}",
        f"statement_sha256  {log_details(statement)['statement_sha256']}",
        f"receipt_sha256    {statement['receipt_sha256']}",
        *(f"checkpoint        {line}".rstrip() for line in note.removesuffix("\n").split("\n")),
    ]
    return WorkedExample(key, CERTIFICATE.to_file(token), header_line(key, note) + log, lines)


def refusals() -> dict[str, tuple[bytes, str]]:
    """Return refusal receipts, each with its expected result under the key of the worked example's site."""
    controller = Controller(SiteId("site-5c1e"), "Lakeside Bakery", "privacy@lakeside.example")
    site, other = (SubjectKey.from_seed(seed) for seed in (SITE_SEED, BOB_SEED))
    good = sign_refusal(site, controller, "front-door", "ffeeddccbbaa99887766554433221100", NOW)
    token = json.loads(good)["refusal"]
    said = json.loads(payload_of(token))
    header = '{"alg":"Ed25519","typ":"volens-refusal+jws"}'

    def changed_to(typ: str = header, **members: object) -> bytes:
        return REFUSAL.to_file(signed(said | members, typ, SITE_SEED))

    rest, _, signature = token.rpartition(".")
    another_day = b64url(rfc8785.dumps(said | {"refused_on": "2099-03-15"}))
    return {
        "refusal_good": (good, VERIFIED),
        "refusal_by_another_site": (sign_refusal(other, controller, "front-door", "ff" * 16, NOW), "TamperError"),
        "refusal_payload_other_day": (
            REFUSAL.to_file(f"{rest.partition('.')[0]}.{another_day}.{signature}"),
            "TamperError",
        ),
        "refusal_statement_other": (changed_to(statement="a person said yes"), "TamperError"),
        "refusal_number_short": (changed_to(refusal_id="ff"), "TamperError"),
        "refusal_version_other": (changed_to(version=2), "InputError"),
        "refusal_typ_receipt": (changed_to(HEADER), "InputError"),
        "refusal_bare_token": (f"{token}\n".encode("ascii"), "InputError"),
    }


def files() -> dict[str, bytes]:
    """Return every file of this folder that is built, by name."""
    made, said_no = vectors(), refusals()
    ann = SubjectKey.from_seed(ANN_SEED).public
    manifest = {
        "made_by": "tests/vectors/build_vectors.py",
        "subject_public_key": ann.to_jwk(),
        "subject_id": ann.subject_id,
        "receipts": {
            f"{name}.txt": {"expected": vector.expected, "words": vector.words} for name, vector in made.items()
        },
        "refusals": {f"{name}.json": expected for name, (_data, expected) in said_no.items()},
    }
    built = {f"{name}.txt": f"{vector.token}\n".encode("ascii") for name, vector in made.items()}
    built |= {f"{name}.json": data for name, (data, _expected) in said_no.items()}
    worked = worked_example()
    return built | {
        "manifest.json": (json.dumps(manifest, indent=2) + "\n").encode(),
        "worked_certificate.json": worked.certificate,
        "worked_log.jsonl": worked.log,
        "worked_site.pub": f"{worked.key.line()}\n".encode(),
    }


def main() -> None:
    """Write them."""
    for name, content in files().items():
        (FOLDER / name).write_bytes(content)


if __name__ == "__main__":
    main()
