"""A receipt has the fields of ISO/IEC TS 27560, one accepted form, and one valid signature."""

import copy
import json
from collections.abc import Callable
from dataclasses import FrozenInstanceError, replace
from datetime import timedelta
from hashlib import sha256
from typing import Any

import pytest
import rfc8785
from signing import sign_receipt

from tests.unit.consent.samples import (
    ANN,
    BOB,
    BOB_SEED,
    CONTROLLER,
    DOOR,
    HEADER,
    NOTICE_TEXT,
    NOW,
    RECEIPT_ID,
    SITE,
    document,
    notice,
    receipt,
    token,
    zone,
)
from volens.consent import (
    Custody,
    DataSubjectId,
    InputError,
    Purpose,
    RefusedError,
    UnverifiedReceipt,
    from_b64url,
)
from volens.consent.declarations import SiteFact
from volens.consent.errors import ReceiptError, ReceiptSignatureError
from volens.consent.jws import MAX_TOKEN_BYTES, b64url, public_jwk
from volens.consent.law import ProfileCatalogue
from volens.consent.processing_record import NamedRecipient, ProcessingRecord
from volens.consent.receipt import SCHEMA_VERSION, verify_receipt
from volens.consent.receipt_offer import compose_receipt, end_of_term, read_offer, signed_words
from volens.consent.receipt_signature import SignatureForm, SignatureTerms

JsonObject = dict[str, Any]

# ISO/IEC TS 27560:2023 clause 6: record header, PII processing, party identification, event.
FIELDS = [
    "schema_version",
    "record_id",
    "pii_principal_id",
    "pii_processing.privacy_notice",
    "pii_processing.language",
    "pii_processing.purpose",
    "pii_processing.purpose_type",
    "pii_processing.lawful_basis",
    "pii_processing.consent_text",
    "pii_processing.comparison",
    "pii_processing.law",
    "pii_processing.jurisdiction_profile",
    "pii_processing.second_factor",
    "pii_processing.trigger",
    "pii_processing.liveness",
    "pii_processing.offline_lease_seconds",
    "pii_processing.controller_declarations",
    "pii_processing.pii_information",
    "pii_processing.pii_controllers",
    "pii_processing.collection_method",
    "pii_processing.processing_method",
    "pii_processing.storage_locations",
    "pii_processing.processing_location",
    "pii_processing.geographic_restrictions",
    "pii_processing.retention_period",
    "pii_processing.jurisdiction",
    "pii_processing.recipient_third_parties",
    "pii_processing.withdrawal_method",
    "pii_processing.privacy_rights",
    "pii_processing.authority_party",
    "party_identification.0.party_id",
    "party_identification.0.party_name",
    "party_identification.0.party_contact",
    "party_identification.0.party_role",
    "event.event_time",
    "event.validity_duration",
    "event.entity_id",
    "event.event_type",
    "event.event_state",
    # Not in the standard; Volens needs them to decide.
    "pii_principal_key.x",
    "pii_processing.privacy_notice.sha256",
    "pii_processing.custody",
    "pii_processing.custody_justification",
    "pii_processing.alternative",
    "event.expires_at",
]

# The fields that `parse` requires.
NEEDED = [
    "schema_version",
    "record_id",
    "pii_principal_id",
    "pii_principal_key",
    "pii_principal_key.x",
    "pii_principal_key.crv",
    "pii_principal_key.kty",
    "pii_processing",
    "pii_processing.privacy_notice",
    "pii_processing.privacy_notice.sha256",
    "pii_processing.purpose",
    "pii_processing.custody",
    "pii_processing.jurisdiction",
    "party_identification",
    "party_identification.0.party_id",
    "event",
    "event.event_time",
    "event.expires_at",
    "event.event_state",
]


def at(content: object, path: str) -> Any:  # noqa: ANN401  JSON
    """Follow a dotted path."""
    for step in path.split("."):
        content = content[int(step)] if isinstance(content, list) else content[step]  # type: ignore[index]
    return content


def changed(path: str, value: object) -> JsonObject:
    """Return a good receipt's document with one value replaced."""
    content = document(receipt().token)
    parent, _, last = path.rpartition(".")
    (at(content, parent) if parent else content)[int(last) if last.isdecimal() else last] = value
    return content


def without(path: str) -> JsonObject:
    """Return a good receipt's document with one member removed."""
    content = document(receipt().token)
    parent, _, last = path.rpartition(".")
    del (at(content, parent) if parent else content)[last]
    return content


def parse(text: str) -> UnverifiedReceipt:
    return UnverifiedReceipt.parse(text.encode())


# --- fields of every receipt


@pytest.mark.parametrize("field", FIELDS)
def test_every_receipt_has_the_field(field: str) -> None:
    assert at(document(receipt().token), field) is not None


@pytest.mark.parametrize("jurisdiction", ["FR", "DE", "US-IL", "CA-QC", "FR-75C"])
@pytest.mark.parametrize("days", [1, 365, 1098])
def test_every_receipt_carries_jurisdiction_and_expiry(jurisdiction: str, days: int) -> None:
    signed = receipt(jurisdiction=jurisdiction, retention_days=days)
    assert signed.claims.jurisdiction == jurisdiction
    assert signed.claims.expires_at == NOW + timedelta(days=days)
    said = document(signed.token)
    assert said["pii_processing"]["jurisdiction"] == jurisdiction
    assert said["pii_processing"]["retention_period"] == said["event"]["validity_duration"] == f"P{days}D"


def test_the_claims_are_what_was_agreed() -> None:
    claims = receipt().claims
    assert claims.receipt_id == RECEIPT_ID
    assert claims.subject_id == ANN.public.subject_id
    assert claims.subject_key == ANN.public
    assert claims.site_id == SITE
    assert claims.purpose == DOOR
    assert claims.custody is Custody.OPERATOR
    assert claims.notice_sha256 == sha256(NOTICE_TEXT).hexdigest()
    assert claims.issued_at == NOW


def test_a_receipt_is_canonical_json_under_the_pinned_header() -> None:
    header, payload, signature = (from_b64url(part) for part in receipt().token.split("."))
    assert header == HEADER
    assert rfc8785.dumps(json.loads(payload)) == payload
    assert len(signature) == 64


def test_the_same_agreement_gives_the_same_bytes() -> None:
    assert receipt().token == receipt().token == token(document(receipt().token))


@pytest.mark.parametrize("bad", ["", "F", "FRA", "FR-", "FR-ABCD", "France", "\u0424R"])
def test_a_jurisdiction_in_another_form_is_not_signed(bad: str) -> None:
    with pytest.raises(InputError, match=r"got jurisdiction .*; expected an ISO 3166 code"):
        receipt(jurisdiction=bad)


def test_a_jurisdiction_is_signed_in_capitals() -> None:
    assert receipt(jurisdiction=" fr-il").claims.jurisdiction == "FR-IL"


@pytest.mark.parametrize(
    ("jurisdiction", "basis"),
    [("ES", "GDPR 6(1)(a)"), ("FR", "article 44"), ("US-IL", "740 ILCS 14/15"), ("CA-QC", "CQLR"), ("BR", "LGPD")],
)
def test_the_law_of_the_person_is_what_they_sign(jurisdiction: str, basis: str) -> None:
    processing = document(receipt(jurisdiction=jurisdiction).token)["pii_processing"]
    assert basis.lower() in f"{processing['lawful_basis']} {processing['law']}".lower()
    assert jurisdiction in {"ES", "FR"} or "GDPR" not in str(processing)


def test_recipients_and_declarations_are_in_the_receipt() -> None:
    record = ProcessingRecord(
        CONTROLLER,
        zone(),
        "FR",
        ProfileCatalogue().profile_of("FR"),
        (NamedRecipient("Guard Co", "guard@example.org"),),
        {SiteFact.TRANSFERS: "none", SiteFact.DPO: "Dana Doe"},
    )
    processing = json.loads(composed(record))["pii_processing"]
    assert processing["recipient_third_parties"] == [{"name": "Guard Co", "contact": "guard@example.org"}]
    assert processing["geographic_restrictions"] == ["none"]
    assert processing["controller_declarations"] == {"transfers": "none", "dpo": "Dana Doe"}
    assert processing["comparison"] == "biometric identification (1:N)"


def test_what_nobody_declared_is_not_claimed() -> None:
    processing = document(receipt().token)["pii_processing"]
    assert processing["geographic_restrictions"] == ["not declared by the controller"]
    assert processing["recipient_third_parties"] == []


@pytest.mark.parametrize(("language", "word"), [("en", "I"), ("fr-CA", "Je"), ("de", "Ich"), ("nl", "I")])
def test_the_words_of_consent_are_in_the_language_of_the_notice(language: str, word: str) -> None:
    record = ProcessingRecord(CONTROLLER, zone(title="Front door"), "FR", ProfileCatalogue().profile_of("FR"))
    words = signed_words(read_offer(composed(record, language=language)))
    assert word in words.split()
    assert all(one in words for one in ("Lakeside Bakery", "Front door", "365"))


@pytest.mark.parametrize("language", ["en", "fr", "de", "nl"])
def test_the_words_of_consent_say_for_how_long_a_door_may_still_know_a_person(language: str) -> None:
    profile = ProfileCatalogue().profile_of("FR")
    said = {
        seconds: composed(ProcessingRecord(CONTROLLER, zone(lease_seconds=seconds), "FR", profile), language=language)
        for seconds in (0, 75)
    }
    assert " 75 " in signed_words(read_offer(said[75]))
    assert " 75 " not in signed_words(read_offer(said[0]))
    terms = [json.loads(one)["pii_processing"]["offline_lease_seconds"] for one in said.values()]
    assert terms == [0, 75]


def test_the_shortest_clock_ends_the_term() -> None:
    record = ProcessingRecord(CONTROLLER, zone(retention_days=1098), "US-CO", ProfileCatalogue().profile_of("US-CO"))
    assert end_of_term(record, NOW) == NOW + timedelta(days=730)
    with pytest.raises(InputError, match="expected 1 to 730 days, the longest term of the profile US-CO"):
        end_of_term(record, NOW, valid_days=731)
    with pytest.raises(InputError, match="within 730 days, the longest term of the profile US-CO"):
        end_of_term(record, NOW, valid_until=NOW + timedelta(days=731))


def test_a_custody_that_the_law_forbids_is_not_offered() -> None:
    own = ProfileCatalogue.parse(
        b"based_on = 'EU'\ncode = 'ES'\nnames = {en = 'Spain', fr = 'Espagne', de = 'Spanien'}\n"
        b"forbidden_custodies = {operator = 'an article'}\nnot_checked = ['all of it']\n"
        b"[[checked]]\nwhere = 'nowhere'\nchecked_on = 2026-11-30\nwhat = 'for this test'\n"
    )
    with pytest.raises(RefusedError, match=r"custody 'operator', which the profile of ES forbids \(an article\)"):
        composed(ProcessingRecord(CONTROLLER, zone(), "ES", own))


def composed(record: ProcessingRecord, language: str = "en") -> bytes:
    """Return the receipt of a record for Ann."""
    return compose_receipt(
        record,
        notice(language=language),
        receipt_id=RECEIPT_ID,
        key=ANN.public,
        signature=SignatureTerms(SignatureForm.DESK),
        issued_at=NOW,
        expires_at=end_of_term(record, NOW),
    )


def test_a_notice_of_another_zone_is_not_signed() -> None:
    with pytest.raises(InputError, match="got a notice for zone 'lab'; expected one for 'front-door'"):
        sign_receipt(
            zone(), notice(Purpose("lab")), CONTROLLER, receipt_id=RECEIPT_ID, jurisdiction="FR", key=ANN, now=NOW
        )


# --- reading


@pytest.mark.parametrize("around", ["{}", "{}\n", "\n  {}\r\n"])
def test_a_receipt_is_read_with_white_space_around_it(around: str) -> None:
    assert parse(around.format(receipt().token)) == receipt()


def segments(change: Callable[[list[str]], list[str]]) -> bytes:
    return ".".join(change(receipt().token.split("."))).encode()


def header(text: str | bytes) -> bytes:
    return token(document(receipt().token), header=text if isinstance(text, bytes) else text.encode()).encode()


def last_bits_set(segment: str) -> str:
    """Return the same bytes in another base64url text, if the segment has unused bits."""
    assert len(segment) % 4, "this segment has no unused bits"
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return segment[:-1] + alphabet[alphabet.index(segment[-1]) + 1]


def unused_bits_in_signature() -> bytes:
    return segments(lambda s: [s[0], s[1], last_bits_set(s[2])])


GOOD_HEADER = HEADER.decode()
GOOD_TYPE = '"typ":"volens-receipt+jws"'

MALFORMED_TOKENS: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "got 1 dot-separated segments"),
    "a byte that is not ASCII": (receipt().token.encode() + b"\xff", "not ASCII text"),
    "an em dash": (receipt().token.encode() + "\N{EM DASH}".encode(), "not ASCII text"),
    "two segments": (segments(lambda s: s[:2]), "got 2 dot-separated segments"),
    "four segments": (segments(lambda s: [*s, s[2]]), "got 4 dot-separated segments"),
    "five segments, as of a JWE": (segments(lambda s: [*s, "", ""]), "got 5 dot-separated segments"),
    "JSON serialisation": (b'{"payload":"","signatures":[]}', "dot-separated segments"),
    "two receipts": (f"{receipt().token}\n{receipt().token}".encode(), "got 5 dot-separated segments"),
    "an empty header": (segments(lambda s: ["", *s[1:]]), "header is not JSON"),
    "an empty payload": (segments(lambda s: [s[0], "", s[2]]), "payload is not canonical JSON"),
    "a header in base64's other alphabet": (segments(lambda s: [s[0] + "+/", *s[1:]]), "not base64url"),
    "a header with padding": (segments(lambda s: [s[0] + "=", *s[1:]]), "base64url"),
    "a payload with a line break": (segments(lambda s: [s[0], s[1][:40] + "\n" + s[1][40:], s[2]]), "base64url"),
    "a payload with a space": (segments(lambda s: [s[0], s[1] + " ", s[2]]), "base64url"),
    "a signature with unused bits set": (unused_bits_in_signature(), "not canonical"),
    "a signature with padding": (segments(lambda s: [s[0], s[1], s[2] + "=="]), "base64url"),
    "a header that is not JSON": (header("alg=Ed25519"), "header is not JSON"),
    "a header that is cut off": (header(GOOD_HEADER[:-1]), "header is not JSON"),
    "a header that nests too deeply": (header("[" * 20_000), "header is not JSON"),
    "a header in UTF-16": (header(GOOD_HEADER.encode("utf-16-le")), "header is not JSON"),
    "a header after a byte order mark": (header(b"\xef\xbb\xbf" + HEADER), "header is not JSON"),
    "a header that is an array of pairs": (header('[["alg","Ed25519"],["typ","volens-receipt+jws"]]'), "another JWS"),
    "a header that is null": (header("null"), "another JWS header"),
    "no algorithm": (header("{" + GOOD_TYPE + "}"), "another JWS header"),
    "no type": (header('{"alg":"Ed25519"}'), "another JWS header"),
    "the type of another token": (header('{"alg":"Ed25519","typ":"JWT"}'), "another JWS header"),
    "algorithm none": (header('{"alg":"none",' + GOOD_TYPE + "}"), "another JWS header"),
    "algorithm None": (header('{"alg":null,' + GOOD_TYPE + "}"), "another JWS header"),
    "algorithm EdDSA": (header('{"alg":"EdDSA",' + GOOD_TYPE + "}"), "another JWS header"),
    "algorithm ed25519 in small letters": (header('{"alg":"ed25519",' + GOOD_TYPE + "}"), "another JWS header"),
    "algorithm HS256": (header('{"alg":"HS256",' + GOOD_TYPE + "}"), "another JWS header"),
    "algorithm RS256": (header('{"alg":"RS256",' + GOOD_TYPE + "}"), "another JWS header"),
    "algorithm ES256": (header('{"alg":"ES256",' + GOOD_TYPE + "}"), "another JWS header"),
    "two algorithms, the good one last": (
        header('{"alg":"none","alg":"Ed25519",' + GOOD_TYPE + "}"),
        "another JWS header",
    ),
    "a key in the header": (
        header(GOOD_HEADER[:-1] + ',"jwk":' + json.dumps(BOB.public.to_jwk()) + "}"),
        "another JWS header",
    ),
    "a key id in the header": (header(GOOD_HEADER[:-1] + ',"kid":"1"}'), "another JWS header"),
    "a key address in the header": (header(GOOD_HEADER[:-1] + ',"jku":"https://a.example"}'), "another JWS header"),
    "a critical extension": (header(GOOD_HEADER[:-1] + ',"crit":["b64"],"b64":false}'), "another JWS header"),
    "compression": (header(GOOD_HEADER[:-1] + ',"zip":"DEF"}'), "another JWS header"),
    "64 KiB and more": (
        b"A" * (MAX_TOKEN_BYTES + 1),
        f"got {MAX_TOKEN_BYTES + 1} bytes; expected at most {MAX_TOKEN_BYTES}",
    ),
    "a megabyte of dots": (b"." * 1_000_000, "got 1000000 bytes; expected at most"),
}


@pytest.mark.parametrize("case", MALFORMED_TOKENS)
def test_a_token_is_refused_with(case: str) -> None:
    data, words = MALFORMED_TOKENS[case]
    with pytest.raises(ReceiptError) as caught:
        UnverifiedReceipt.parse(data)
    assert words in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


NOT_CANONICAL: dict[str, bytes] = {
    "spaces": json.dumps(document(receipt().token), sort_keys=True).encode(),
    "another order": json.dumps(dict(reversed(document(receipt().token).items())), separators=(",", ":")).encode(),
    "a newline at the end": rfc8785.dumps(document(receipt().token)) + b"\n",
    "a byte order mark": b"\xef\xbb\xbf" + rfc8785.dumps(document(receipt().token)),
    "UTF-16": rfc8785.dumps(document(receipt().token)).decode().encode("utf-16"),
    "an escape for a plain letter": rfc8785.dumps(document(receipt().token)).replace(b'"FR"', b'"\\u0046R"'),
    "a member twice": rfc8785.dumps(document(receipt().token)).replace(
        b'"jurisdiction":"FR"', b'"jurisdiction":"DE","jurisdiction":"FR"'
    ),
    "a number with a fraction of nothing": rfc8785.dumps(document(receipt().token)).replace(
        b'"version":1', b'"version":1.0'
    ),
    "NaN": rfc8785.dumps(document(receipt().token)).replace(b'"version":1', b'"version":NaN'),
    "infinity": rfc8785.dumps(document(receipt().token)).replace(b'"version":1', b'"version":Infinity'),
    "a number beyond 2**53": rfc8785.dumps(document(receipt().token)).replace(
        b'"version":1', b'"version":9007199254740993'
    ),
    "a number of 5000 digits": rfc8785.dumps(document(receipt().token)).replace(
        b'"version":1', b'"version":' + b"9" * 5000
    ),
    "half a surrogate pair": rfc8785.dumps(document(receipt().token)).replace(b'"FR"', b'"\\ud800"'),
    "half a surrogate pair in a name": rfc8785.dumps(document(receipt().token)).replace(
        b'"jurisdiction"', b'"\\ud800"'
    ),
    "a deeper nesting than Python reads": b"[" * 20_000,
    "bytes that are not UTF-8": rfc8785.dumps(document(receipt().token)).replace(b'"FR"', b'"\xff"'),
}


@pytest.mark.parametrize("case", NOT_CANONICAL)
def test_a_payload_is_refused_in_another_form_than_the_canonical_one(case: str) -> None:
    with pytest.raises(ReceiptError, match="RFC 8785"):
        parse(token(NOT_CANONICAL[case]))


@pytest.mark.parametrize("path", NEEDED)
def test_a_receipt_is_refused_without(path: str) -> None:
    with pytest.raises(ReceiptError, match="this is not a Volens receipt "):
        parse(token(without(path)))


WRONG_VALUES: dict[str, tuple[str, object, str]] = {
    "a later schema": ("schema_version", SCHEMA_VERSION.replace("/2", "/3"), "expected schema_version"),
    "an earlier standard": ("schema_version", "1.1.0", "expected schema_version"),
    "a schema version that is a number": ("schema_version", 1, "expected schema_version"),
    "a receipt id in upper case": ("record_id", "A" * 32, "another form"),
    "a receipt id that is a number": ("record_id", 7, "expected text in 'record_id'"),
    "a receipt id that is null": ("record_id", None, "expected text in 'record_id'"),
    "a short receipt id": ("record_id", "00", "another form"),
    "a subject id with padding": ("pii_principal_id", "a" * 43 + "=", "another form"),
    "a subject id that is null": ("pii_principal_id", None, "expected text in 'pii_principal_id'"),
    "no object for the key": ("pii_principal_key", "key", "expected an object 'pii_principal_key'"),
    "a key of 31 bytes": ("pii_principal_key", public_jwk(bytes(31)), "public key of another kind"),
    "a key of 33 bytes": ("pii_principal_key", public_jwk(bytes(33)), "public key of another kind"),
    "a key on another curve": ("pii_principal_key.crv", "X25519", "public key of another kind"),
    "a private key": ("pii_principal_key.d", b64url(bytes(32)), "public key of another kind"),
    "a key in base64's other alphabet": ("pii_principal_key.x", "+" * 43, "public key of another kind"),
    "a zone name with a slash": ("pii_processing.purpose", "../door", "got zone name"),
    "a zone name that is a list": ("pii_processing.purpose", ["front-door"], "expected text in 'purpose'"),
    "an unknown custody": ("pii_processing.custody", "cloud", "expected a known custody"),
    "a jurisdiction in small letters": ("pii_processing.jurisdiction", "fr", "another form"),
    "no jurisdiction in the text": ("pii_processing.jurisdiction", "", "another form"),
    "a notice hash in upper case": ("pii_processing.privacy_notice.sha256", "A" * 64, "another form"),
    "a notice hash of 63 digits": ("pii_processing.privacy_notice.sha256", "a" * 63, "another form"),
    "no party": ("party_identification", [], "expected one party_identification"),
    "two parties": ("party_identification", [{"party_id": "a"}, {"party_id": "b"}], "expected one party"),
    "a party that is text": ("party_identification", ["site-5c1e"], "expected one party_identification"),
    "a site id that is null": ("party_identification.0.party_id", None, "expected text in 'party_id'"),
    "a time with an offset": ("event.event_time", "2099-03-14T09:26:53+01:00", "expected UTC as"),
    "a time that is a number": ("event.event_time", 4076645213, "expected UTC as"),
    "a day that does not exist": ("event.expires_at", "2100-02-29T00:00:00Z", "no moment in time"),
    "no end": ("event.expires_at", None, "expected UTC as"),
    "an end at the beginning": ("event.expires_at", "2099-03-14T09:26:53Z", "another form"),
    "an end before the beginning": ("event.expires_at", "2099-03-14T09:26:52Z", "another form"),
    "a consent that was withdrawn": ("event.event_state", "consent withdrawn", "another form"),
    "a consent that was refused": ("event.event_state", "consent refused", "another form"),
}


@pytest.mark.parametrize("case", WRONG_VALUES)
def test_a_receipt_is_refused_with(case: str) -> None:
    path, value, words = WRONG_VALUES[case]
    with pytest.raises(ReceiptError) as caught:
        parse(token(changed(path, value)))
    assert words in str(caught.value)


@pytest.mark.parametrize("payload", [b"[]", b'"text"', b"1", b"null", b"true"])
def test_a_payload_that_is_no_object_is_refused(payload: bytes) -> None:
    with pytest.raises(ReceiptError, match="expected schema_version"):
        parse(token(payload))


# --- verifying


def test_a_receipt_that_its_subject_signed_is_verified() -> None:
    verified = verify_receipt(receipt(), ANN.public)
    assert verified.claims == receipt().claims
    assert verified.token == receipt().token
    assert verified.sha256 == sha256(receipt().token.encode()).digest()


def test_an_expired_receipt_still_verifies_so_that_it_can_be_withdrawn() -> None:
    old = receipt(now=NOW - timedelta(days=20_000))
    assert verify_receipt(old, ANN.public).claims.expires_at < NOW


def swapped(*, subject: bool, key: bool) -> UnverifiedReceipt:
    """Return Ann's receipt with Bob's id and key, signed by Bob."""
    content = document(receipt().token)
    if subject:
        content["pii_principal_id"] = BOB.public.subject_id
    if key:
        content["pii_principal_key"] = BOB.public.to_jwk()
    return parse(token(content, seed=BOB_SEED))


def flipped(position: int) -> UnverifiedReceipt:
    """Return the receipt with one bit of the signature changed."""
    head, payload, signature = receipt().token.split(".")
    data = bytearray(from_b64url(signature))
    data[position] ^= 1
    return parse(f"{head}.{payload}.{b64url(bytes(data))}")


def with_signature(data: bytes) -> UnverifiedReceipt:
    return parse(receipt().token.rpartition(".")[0] + "." + b64url(data))


def malleated() -> UnverifiedReceipt:
    """Return the same signature with the group order added to S: the same equation, other bytes (RFC 8032 5.1.7)."""
    data = from_b64url(receipt().token.rpartition(".")[2])
    order = 2**252 + 27742317777372353535851937790883648493
    raised = int.from_bytes(data[32:], "little") + order
    return with_signature(data[:32] + raised.to_bytes(32, "little"))


def payload_swapped(path: str, value: object) -> UnverifiedReceipt:
    """Return the receipt with another payload under the old signature."""
    head, _, signature = receipt().token.split(".")
    return parse(f"{head}.{b64url(rfc8785.dumps(changed(path, value)))}.{signature}")


OTHER_SUBJECT = "names another data subject than the owner of the key"
OTHER_TEXT = "signature does not match its text"

NOT_SIGNED_BY_ANN: dict[str, tuple[UnverifiedReceipt, str]] = {
    "another zone": (payload_swapped("pii_processing.purpose", "vault"), OTHER_TEXT),
    "a later end": (payload_swapped("event.expires_at", "2199-03-14T09:26:53Z"), OTHER_TEXT),
    "another site": (payload_swapped("party_identification.0.party_id", "site-0000"), OTHER_TEXT),
    "another notice": (payload_swapped("pii_processing.privacy_notice.sha256", "0" * 64), OTHER_TEXT),
    "another receipt id": (payload_swapped("record_id", "f" * 32), OTHER_TEXT),
    "the first bit of the signature flipped": (flipped(0), OTHER_TEXT),
    "a bit in the middle of the signature flipped": (flipped(32), OTHER_TEXT),
    "the last byte of the signature flipped": (flipped(63), OTHER_TEXT),
    "no signature": (with_signature(b""), OTHER_TEXT),
    "a signature of zeros": (with_signature(bytes(64)), OTHER_TEXT),
    "a signature cut off": (with_signature(bytes(63)), OTHER_TEXT),
    "a signature with a byte more": (
        with_signature(from_b64url(receipt().token.rpartition(".")[2]) + b"\0"),
        OTHER_TEXT,
    ),
    "a malleated signature": (malleated(), OTHER_TEXT),
    "Bob's signature": (parse(token(document(receipt().token), seed=BOB_SEED)), OTHER_TEXT),
    "Bob's own receipt": (receipt(key=BOB), OTHER_SUBJECT),
    "the subject swapped": (swapped(subject=True, key=False), OTHER_SUBJECT),
    "the key swapped": (swapped(subject=False, key=True), OTHER_SUBJECT),
    "subject and key swapped": (swapped(subject=True, key=True), OTHER_SUBJECT),
    "claims put in by hand": (
        replace(receipt(), claims=replace(receipt().claims, purpose=Purpose("vault"))),
        "claims are not those in its signed text",
    ),
}


@pytest.mark.parametrize("case", NOT_SIGNED_BY_ANN)
def test_a_receipt_is_not_what_ann_signed_with(case: str) -> None:
    bad, words = NOT_SIGNED_BY_ANN[case]
    with pytest.raises(ReceiptSignatureError) as caught:
        verify_receipt(bad, ANN.public)
    assert str(caught.value).startswith("integrity: ")
    assert words in str(caught.value)


@pytest.mark.parametrize(("subject", "key"), [(True, False), (False, True)])
def test_a_receipt_with_half_a_swap_does_not_verify_under_its_own_key(*, subject: bool, key: bool) -> None:
    bad = swapped(subject=subject, key=key)
    with pytest.raises(ReceiptSignatureError, match="names another data subject"):
        verify_receipt(bad, bad.claims.subject_key)


def test_ann_cannot_sign_for_bob() -> None:
    content = document(receipt().token) | {"pii_principal_id": BOB.public.subject_id}
    for trusted in (ANN.public, BOB.public):
        with pytest.raises(ReceiptSignatureError, match="integrity"):
            verify_receipt(parse(token(content)), trusted)


def test_a_receipt_carries_no_name_of_the_person() -> None:
    said = document(receipt().token)
    names = {key for key in flatten(said) if "name" in key}
    assert names == {"party_identification.0.party_name"}


def flatten(content: object, path: str = "") -> set[str]:
    if isinstance(content, dict):
        return set().union(*(flatten(value, f"{path}.{key}".strip(".")) for key, value in content.items()))
    if isinstance(content, list):
        return set().union(*(flatten(value, f"{path}.{index}") for index, value in enumerate(content)))
    return {path}


def test_an_unverified_receipt_is_a_plain_value() -> None:
    assert copy.deepcopy(receipt()) == receipt()
    with pytest.raises(FrozenInstanceError):
        receipt().token = ""  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        receipt().claims.subject_id = DataSubjectId("x")  # type: ignore[misc]
