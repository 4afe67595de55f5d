"""The certificate: checked with nothing but the site's public key, and worthless once a single byte was changed."""

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from house import MODEL, House
from interruptions import interrupted_after_stop

from tests.unit.store.raw import DATA, tamper
from volens.audit import LogEntry, LoggedStatement, VerifierKey
from volens.consent import InputError, TamperError, VolensError
from volens.consent.receipt import verify_receipt
from volens.erase.proof import ACKNOWLEDGEMENT, CERTIFICATE, is_for, log_details, verify_certificate
from volens.store.keys import OVERHEAD_BYTES, nonce_of
from volens.store.log import node_reader
from volens.store.people import name_of, sealed_name, sealed_references

STRANGER = Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key().public_bytes_raw()
EVENT = "erasure.certified"
VECTORS = Path(__file__).parents[2] / "vectors"
Statement = dict[str, Any]


@pytest.fixture(scope="module")
def house(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """One house for all: certificates are only read here, and the log only grows."""
    house = House.copied(template, tmp_path_factory.mktemp("certificates") / "home")
    yield house
    house.site.close()


@pytest.fixture(scope="module")
def data(house: House) -> bytes:
    """A certificate as issued."""
    house.admit()
    return house.withdraw(house.admit()).certificate_path.read_bytes()


def statement_of(data: bytes) -> Statement:
    token = json.loads(data)["certificate"]
    payload = token.split(".")[1]
    document: Statement = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return document["statement"]


def reissue(
    house: House,
    statement: Statement,
    *,
    kind: str = EVENT,
    change: Callable[[LoggedStatement], LoggedStatement] = lambda logged: logged,
    details: Callable[[Statement], dict[str, str | int]] = log_details,
    payload: Callable[[bytes], bytes] = lambda payload: payload,
    typ: str = CERTIFICATE.typ,
) -> bytes:
    """Log and sign a statement with the site's own key, as a dishonest or faulty site would."""
    with house.store.write() as tx:
        index, event = tx.log(kind, details(statement))
        head, note = tx.sign_log()
        entry = LogEntry.of(event, index, head.size, node_reader(tx.connection))
    logged = change(LoggedStatement(statement, entry, note))
    return CERTIFICATE.to_file(house.store.keyring.sign(payload(rfc8785.dumps(logged.to_json())), typ))


def refused(house: House, data: bytes, kind: type[VolensError], words: str) -> None:
    with pytest.raises(VolensError, match=words) as caught:
        verify_certificate(data, house.site.verifier_key)
    assert type(caught.value) is kind


def test_a_certificate_states_what_was_destroyed_and_names_no_person(house: House) -> None:
    person = house.admit()
    house.clock.move(days=3)
    erased = house.withdraw(person)
    data = erased.certificate_path.read_bytes()

    certificate = verify_certificate(data, house.site.verifier_key)

    assert certificate.certificate_id == erased.certificate_id == erased.certificate_path.stem
    assert certificate.receipt_sha256 == sha256(person.take_home.receipt.token.encode()).hexdigest()
    assert (certificate.zone, certificate.reason) == (erased.zone, erased.reason) == ("lobby", "withdrawn")
    assert certificate.ended_at == certificate.erased_at == house.store.now()
    assert certificate.checkpoint.origin == house.store.origin
    assert certificate.checkpoint.size == house.site.status().log_size
    statement = certificate.statement
    assert statement["destroyed"] == {
        "sealed embedding": 1,
        "sealed name": 1,
        "wrapped grant secret": 1,
        "openings of audit leaves": 2,
        "gallery sketch": 1,
        "last interactions": 1,
    }
    assert {one["what"] for one in statement["searched"]} >= {"sealed embedding", "sealed name", "grant secret"}
    assert all(one["found"] == 0 and one["pieces"] > 0 for one in statement["searched"])
    assert {one["name"] for one in statement["searched_in"]} >= {"volens.db", "keyring.db", "root.key", "site.pub"}
    for secret in (person.receipt_id, person.subject_id, "Ada", person.code):
        assert secret not in json.dumps(dict(statement))
        assert secret.encode() not in data
    assert "receipt" not in repr(certificate.statement)[:0] + repr(certificate).partition("statement")[2]


def test_a_certificate_says_how_the_zone_compared_and_whom_to_ask_and_not_where_the_person_lives(house: House) -> None:
    house.declare("gate", custody="badge")
    first = house.withdraw(house.admit(jurisdiction="US-IL"))
    house.site.declarations.declare({"dpo": "Dana Doe"})
    second = house.withdraw(house.admit("gate", jurisdiction="US-IL"))
    stated = [
        verify_certificate(one.certificate_path.read_bytes(), house.site.verifier_key).statement
        for one in (first, second)
    ]
    assert [one["comparison"] for one in stated] == [
        "biometric identification (1:N)",
        "biometric verification of a claim (1:1)",
    ]
    assert [(one["contact"], one.get("dpo")) for one in stated] == [
        ("privacy@example.org", None),
        ("privacy@example.org", "Dana Doe"),
    ]
    assert not any("US-IL" in str(one) or "740 ILCS" in str(one) for one in stated)


def test_a_reissued_certificate_verifies(house: House, data: bytes) -> None:
    statement = statement_of(data)
    assert verify_certificate(reissue(house, statement), house.site.verifier_key).statement == statement


def test_a_certificate_is_for_exactly_one_receipt_and_may_not_contradict_it(house: House) -> None:
    person, other = house.admit(), house.admit()
    mine, theirs = (
        verify_receipt(one.take_home.receipt, one.take_home.receipt.claims.subject_key) for one in (person, other)
    )
    data = house.withdraw(person).certificate_path.read_bytes()
    certificate = verify_certificate(data, house.site.verifier_key)
    assert is_for(certificate, mine)
    assert not is_for(certificate, theirs)
    for lie in ({"zone": "vault"}, {"site_id": "site-5c1e"}, {"ended_at": "2001-01-01T00:00:00Z"}):
        wrong = verify_certificate(reissue(house, statement_of(data) | lie), house.site.verifier_key)
        with pytest.raises(TamperError, match="names this receipt, but contradicts it"):
            is_for(wrong, mine)
        assert not is_for(wrong, theirs)


def test_a_certificate_verifies_without_the_store_and_after_the_log_has_grown(house: House, data: bytes) -> None:
    line = (house.site.home / "site.pub").read_text().strip()
    for _ in range(3):
        house.withdraw(house.admit())

    assert verify_certificate(data, VerifierKey.parse(line)).reason == "withdrawn"


def test_a_change_of_any_byte_is_noticed(house: House, data: bytes) -> None:
    """Every position, acknowledgements included: another bit, a blank in its place, a blank before it, left out."""
    data = with_acknowledgements(house, data, 2)
    key = house.site.verifier_key  # read from the keyring at each access
    assert len(verify_certificate(data, key).acknowledgements) == 2
    for at, byte in enumerate(data):
        flipped = bytes([byte ^ (1 << at % 8)])
        replaced = b" " if byte != ord(b" ") else b"\t"
        for other in (flipped, replaced, b" " + bytes([byte]), b""):
            if data[:at] + other + data[at + 1 :] != data:
                refuses(key, data[:at] + other + data[at + 1 :])
    for end in (b" ", b"\n", b"\0", b"{}"):
        refuses(key, data + end)


def refuses(key: VerifierKey, data: bytes) -> None:
    with pytest.raises((TamperError, InputError)):
        verify_certificate(data, key)


def acknowledgement(house: House, certificate_id: str, typ: str = ACKNOWLEDGEMENT.typ) -> str:
    answer = {"certificate_id": certificate_id, "recipient": "Badge office", "acknowledged_at": "2099-03-02T00:00:00Z"}
    return house.store.keyring.sign(rfc8785.dumps(answer), typ)


def with_acknowledgements(house: House, data: bytes, count: int) -> bytes:
    certificate_id = statement_of(data)["certificate_id"]
    return CERTIFICATE.to_file(token_of(data), [acknowledgement(house, certificate_id) for _ in range(count)])


def token_of(data: bytes) -> str:
    token: str = json.loads(data)["certificate"]
    return token


def test_acknowledgements_are_added_later_and_verified_with_the_certificate(house: House, data: bytes) -> None:
    certificate = verify_certificate(with_acknowledgements(house, data, 1), house.site.verifier_key)
    (answer,) = certificate.acknowledgements
    assert answer["recipient"] == "Badge office"
    assert certificate.statement == verify_certificate(data, house.site.verifier_key).statement


@pytest.mark.parametrize(
    ("spoil", "kind", "words"),
    [
        (lambda house, _own: acknowledgement(house, "0" * 32), TamperError, "of another certificate"),
        (lambda house, own: acknowledgement(house, own, CERTIFICATE.typ), TamperError, "not have the form of an ack"),
        (lambda house, own: acknowledgement(house, own)[:-1] + "A", TamperError, "integrity: "),
        (lambda house, _own: house.store.keyring.sign(b"[]", ACKNOWLEDGEMENT.typ), TamperError, "not have the form"),
        (lambda _house, _own: 7, InputError, "this is not an erasure certificate"),
    ],
)
def test_an_acknowledgement_that_does_not_belong_is_refused(
    house: House, data: bytes, spoil: Callable[[House, str], str], kind: type[VolensError], words: str
) -> None:
    own = statement_of(data)["certificate_id"]
    refused(house, CERTIFICATE.to_file(token_of(data), [spoil(house, own)]), kind, words)


def test_a_certificate_states_the_hashes_of_what_existed(house: House) -> None:
    person = house.admit()
    with house.store.read() as connection:
        (reference,) = sealed_references(connection, [person.receipt_id])
        name = sealed_name(connection, person.receipt_id)
    wrapped = house.store.keyring.wrapped_secrets([person.receipt_id]).get(person.receipt_id)
    boxes = {"sealed embedding": reference.sealed_embedding, "sealed name": name, "wrapped grant secret": wrapped}

    existed = statement_of(house.withdraw(person).certificate_path.read_bytes())["existed"]

    assert [one["what"] for one in existed] == list(boxes)
    for one in existed:
        box = boxes[one["what"]]
        assert box is not None
        assert one["salted_sha256"] == sha256(bytes.fromhex(one["salt"]) + box).hexdigest()
        assert one["size_bytes"] == len(box)
    assert len({one["salt"] for one in existed}) == len(existed)


def test_a_certificate_prints_no_byte_of_a_sealed_box(house: House) -> None:
    person = house.admit()
    with house.store.read() as connection:
        (reference,) = sealed_references(connection, [person.receipt_id])
        name = sealed_name(connection, person.receipt_id)
    wrapped = house.store.keyring.wrapped_secrets([person.receipt_id])[person.receipt_id]
    assert name is not None

    statement = json.dumps(statement_of(house.withdraw(person).certificate_path.read_bytes()))

    for box in (reference.sealed_embedding, name, wrapped):
        assert not [at for at in range(len(box) - 3) if box[at : at + 4].hex() in statement]
        assert nonce_of(box).hex() not in statement


def test_the_size_of_a_sealed_name_says_little_about_the_name(house: House) -> None:
    sizes = set()
    for name in ("Al", "Ada Canary Example", "x" * 64):
        person = house.invite(name=name)
        with house.store.read() as connection:
            box = sealed_name(connection, person.receipt_id)
        assert box is not None
        sizes.add(len(box))
        assert name_of(house.store, person.receipt_id) == name
    assert sizes == {64 + OVERHEAD_BYTES}


def test_a_certificate_states_the_time_of_each_step_and_the_search_results(house: House) -> None:
    person = house.admit()
    assert house.sees(person)
    epoch = house.site.keys.status().epoch
    statement = statement_of(house.withdraw(person).certificate_path.read_bytes())

    assert list(statement["times"]) == ["removed", "scrubbed", "shredded", "stopped", "verified"]
    assert statement["search_before"] == [{"found": True, "model": MODEL, "rank": 1}]
    assert statement["search_after"] == [{"found": False, "model": MODEL}]
    assert [one["what"] for one in statement["touched"]][:2] == ["data file", "keyring"]
    assert statement["keys"] == {
        "store_key_destroyed": epoch,
        "root_key_destroyed": True,
        "root_key": "replaced by its holder, and destroyed there; a copy of it that was made before may be in: backups "
        "and other copies of the key file, and blocks that the disk has set aside",
        "root_key_holder": "file",
        "other_processes": {"others": 0, "confirmed": 0},
    }
    assert statement["recipients"] == []
    assert str(house.site.home) not in json.dumps(statement)


def test_a_search_that_did_not_run_is_stated_as_not_run(house: House) -> None:
    person = house.admit()
    with interrupted_after_stop(), pytest.raises(KeyboardInterrupt):
        house.withdraw(person)

    statement = statement_of(house.withdraw(person).certificate_path.read_bytes())

    assert statement["search_before"] == [{"found": True, "model": MODEL, "rank": 1}]
    assert statement["search_after"] == [
        {"not_run": "another process finished the erasure, and the old embedding opens no more"}
    ]
    assert {one["what"].split(" of ")[0] for one in statement["searched"]} == {"beginning"}


def test_certificates_of_version_1_stay_verifiable() -> None:
    data = (VECTORS / "certificate_v1.json").read_bytes()
    key = VerifierKey.parse((VECTORS / "certificate_v1.pub").read_text().strip())

    certificate = verify_certificate(data, key)

    assert certificate.statement["version"] == 1
    assert certificate.reason == "withdrawn"
    assert all(one["found"] == 0 for one in certificate.statement["searched"])
    with pytest.raises((TamperError, InputError)):
        verify_certificate(data.replace(b"A", b"B", 1), key)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda _: b"",
        lambda _: b"not a certificate",
        lambda _: b"{}",
        lambda _: b"[]",
        lambda _: b"null",
        lambda _: b'{"certificate": 1}\n',
        lambda _: b'{"certificate": null}\n',
        lambda _: b"\xff\xfe",
        lambda _: b"[" * 200_000,
        lambda data: data[:-1],
        lambda data: data + b"\n",
        lambda data: data[: len(data) // 2],
        lambda data: data.replace(b'": "', b'":"'),
        lambda data: data.replace(b"{", b'{"note": "x", '),
        lambda data: data + bytes(256 * 1024),
    ],
)
def test_a_file_that_is_not_a_certificate_is_an_input_error(
    house: House, data: bytes, spoil: Callable[[bytes], bytes]
) -> None:
    refused(house, spoil(data), InputError, "this is not an erasure certificate.*; use the file as the site wrote it")


def test_another_sites_key_does_not_verify_it(house: House, data: bytes, tmp_path: Path) -> None:
    other = House.build(tmp_path / "other", seed=9)
    key = other.site.verifier_key
    other.site.close()
    own = house.store.origin
    for one in (key, VerifierKey(own, STRANGER), VerifierKey(own, key.public_key)):
        with pytest.raises(
            TamperError, match=r"of another site than the public key|the signature does not match|with key"
        ):
            verify_certificate(data, one)


def test_the_right_key_under_another_logs_name_does_not_verify_it(house: House, data: bytes) -> None:
    with pytest.raises(TamperError, match="none by the log's key"):
        verify_certificate(data, VerifierKey("volens/elsewhere", house.store.site.public_key))


def test_a_token_of_another_type_is_no_certificate(house: House, data: bytes) -> None:
    refused(house, reissue(house, statement_of(data), typ="volens-receipt+jws"), InputError, "got another JWS header")


LEFT = "integrity: the certificate states an erasure that left something behind; ask the site"
FORM = "integrity: this does not have the form of an erasure certificate"
COMMITS = "integrity: the log entry does not commit to this statement"


def found(statement: Statement, *counts: int) -> Statement:
    searched = [dict(one) for one in statement["searched"]]
    for one, count in zip(searched, counts, strict=False):
        one["found"] = count
    return statement | {"searched": searched}


STATEMENTS: dict[str, tuple[Callable[[Statement], Statement], str]] = {
    "something found": (lambda s: found(s, 1), LEFT),
    "something found last": (lambda s: found(s, *[0] * (len(s["searched"]) - 1), 1), LEFT),
    "something found and made up for": (lambda s: found(s, 1, -1), LEFT),
    "found again by search": (lambda s: s | {"search_after": [{"model": "x", "found": True}]}, LEFT),
    "another version": (lambda s: s | {"version": 4}, r"expected statement.version 1 or 2 or 3"),
    "no version": (lambda s: {k: v for k, v in s.items() if k != "version"}, FORM),
    "nothing searched": (lambda s: {k: v for k, v in s.items() if k != "searched"}, FORM),
    "a search that found no number": (lambda s: s | {"searched": [{"what": "x"}]}, FORM),
    "no id": (lambda s: {k: v for k, v in s.items() if k != "receipt_sha256"}, FORM),
    "a time that is none": (lambda s: s | {"erased_at": "yesterday"}, FORM),
    "no end": (lambda s: {k: v for k, v in s.items() if k != "ended_at"}, FORM),
}


@pytest.mark.parametrize("case", STATEMENTS)
def test_an_invalid_statement_fails_although_the_site_signed_and_logged_it(
    house: House, data: bytes, case: str
) -> None:
    change, words = STATEMENTS[case]
    refused(house, reissue(house, change(statement_of(data))), TamperError, words)


def test_a_leaf_of_another_kind_certifies_nothing(house: House, data: bytes) -> None:
    refused(house, reissue(house, statement_of(data), kind="consent.ended"), TamperError, COMMITS)


@pytest.mark.parametrize("field", ["zone", "reason", "destroyed", "receipt_sha256", "controller", "not_promised"])
def test_the_leaf_commits_to_the_whole_statement(house: House, data: bytes, field: str) -> None:
    """The site signs one statement and logs another."""
    statement = statement_of(data)
    logged = log_details(statement | {field: "something else"})
    refused(house, reissue(house, statement, details=lambda _: logged), TamperError, COMMITS)


def test_the_leaf_commits_to_the_certificates_id(house: House, data: bytes) -> None:
    logged = log_details(statement_of(data)) | {"certificate_id": "0" * 32}
    refused(house, reissue(house, statement_of(data), details=lambda _: logged), TamperError, COMMITS)


def changed(logged: LoggedStatement, **members: object) -> LoggedStatement:
    return replace(logged, entry=replace(logged.entry, **members))  # type: ignore[arg-type]


ENTRIES: dict[str, tuple[Callable[[LoggedStatement], LoggedStatement], str]] = {
    "another place": (lambda e: changed(e, index=e.entry.index - 1), "integrity: "),
    "a place beyond the log": (lambda e: changed(e, index=10**6), "no such leaf can be in it"),
    "a proof cut off": (lambda e: changed(e, proof=e.entry.proof[:-1]), "the inclusion proof is too short"),
    "a longer proof": (lambda e: changed(e, proof=[*e.entry.proof, bytes(32)]), "the proof is too long"),
    "another proof": (lambda e: changed(e, proof=[bytes(32) for _ in e.entry.proof]), "is not in the log of"),
    "another salt": (lambda e: changed(e, salt=bytes(32)), "the leaf was not made from these details and this salt"),
    "a salt that is too short": (lambda e: changed(e, salt=b""), FORM),
    "other details": (lambda e: changed(e, details={"a": "b"}), "the leaf was not made from these details"),
    "another leaf": (lambda e: changed(e, leaf=b"x"), "are not a Volens audit leaf"),
    "a checkpoint that is none": (lambda e: replace(e, note="x"), "integrity: the note is not"),
    "a changed checkpoint": (lambda e: replace(e, note=e.note.replace("\n", "\n1", 1)), "signature does not match"),
}


@pytest.mark.parametrize("case", ENTRIES)
def test_a_changed_log_entry_fails_although_the_site_signed_it(house: House, data: bytes, case: str) -> None:
    change, words = ENTRIES[case]
    refused(house, reissue(house, statement_of(data), change=change), TamperError, words)


def test_the_proof_of_another_entry_fails(house: House, data: bytes) -> None:
    """The other entry is in the log too, and of the right kind."""
    seen: list[LoggedStatement] = []
    reissue(house, statement_of(data) | {"zone": "lab"}, change=lambda logged: seen.append(logged) or logged)
    (other,) = seen

    def moved(mine: LoggedStatement) -> LoggedStatement:
        return changed(replace(mine, note=other.note), index=other.entry.index, proof=other.entry.proof)

    refused(house, reissue(house, statement_of(data), change=moved), TamperError, "is not in the log of")
    refused(
        house,
        reissue(house, statement_of(data), change=lambda mine: replace(other, statement=mine.statement)),
        TamperError,
        COMMITS,
    )


PAYLOADS: dict[str, Callable[[bytes], bytes]] = {
    "not JSON": lambda _: b"{",
    "a list": lambda _: b"[]",
    "a number": lambda _: b"7",
    "no log": lambda payload: rfc8785.dumps({"statement": json.loads(payload)["statement"]}),
    "no statement": lambda payload: rfc8785.dumps({"log": json.loads(payload)["log"]}),
    "a statement that is a list": lambda payload: rfc8785.dumps(json.loads(payload) | {"statement": []}),
    "details that are a list": lambda payload: _with_log(payload, details=[]),
    "an index that is text": lambda payload: _with_log(payload, index="1"),
    "a proof that is none": lambda payload: _with_log(payload, proof=7),
    "base64 that is not canonical": lambda payload: _with_log(payload, salt="A" * 42 + "B="),
    "base64 that is none": lambda payload: _with_log(payload, leaf="!"),
}


def _with_log(payload: bytes, **fields: object) -> bytes:
    document = json.loads(payload)
    return rfc8785.dumps(document | {"log": document["log"] | fields})


@pytest.mark.parametrize("case", PAYLOADS)
def test_a_signed_payload_of_another_form_is_refused(house: House, data: bytes, case: str) -> None:
    refused(house, reissue(house, statement_of(data), payload=PAYLOADS[case]), TamperError, FORM)


def test_a_certificate_states_what_its_zone_does_against_photos(house: House) -> None:
    first, second, third = house.admit(), house.admit(), house.admit()
    assert statement_of(house.withdraw(first).certificate_path.read_bytes())["liveness"] == "none"
    house.site.zones.set_liveness("lobby", "challenge")
    assert statement_of(house.withdraw(second).certificate_path.read_bytes())["liveness"] == "challenge"
    # A zone that does not verify keeps no one from leaving, and nothing is stated about it.
    tamper(house.site.home / DATA, "UPDATE zone_change SET liveness = 'pack'")
    house.reopen()
    assert "liveness" not in statement_of(house.withdraw(third).certificate_path.read_bytes())
