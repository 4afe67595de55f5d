"""Every kind of signed document refuses damaged bytes with the one error that it declares, and with no other."""

import ast
import json
from collections.abc import Callable
from typing import Any

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.architecture.code import called, modules
from tests.unit.consent.samples import ANN, ANN_SEED, document, receipt, token
from volens.audit.verifier_key import SUCCESSION
from volens.consent import SignedDocument, TamperError, VolensError
from volens.consent.jws import b64url
from volens.consent.lease import LEASE
from volens.consent.receipt import RECEIPT
from volens.consent.refusal import REFUSAL
from volens.consent.refusal import STATEMENT as REFUSED
from volens.erase import APPROVAL, OPERATOR_CHANGE
from volens.erase.order import DOSSIER, PLAN
from volens.erase.proof import ACKNOWLEDGEMENT, CERTIFICATE, STATEMENT
from volens.rights import ACCESS_ANSWER, RETENTION_POLICY
from volens.rights.papers import PAPER
from volens.store.backup import MANIFEST

REPEATABLE = settings(derandomize=True, deadline=None, max_examples=60, database=None)
TIME = "2099-03-14T09:26:53Z"
LOG = {"leaf": "YQ==", "details": {"a": 1}, "salt": "A" * 43 + "=", "index": 0, "proof": [], "checkpoint": "note"}
STATEMENT_OF_CERTIFICATE = {
    "version": 2,
    "certificate_id": "00",
    "receipt_sha256": "00",
    "zone": "lobby",
    "reason": "withdrawn",
    "ended_at": TIME,
    "erased_at": TIME,
    "searched": [{"what": "sealed name", "pieces": 1, "found": 0}],
}
SAMPLES: dict[str, tuple[SignedDocument[Any], dict[str, Any]]] = {
    "introduction of a key": (
        SUCCESSION,
        {"version": 1, "epoch": 2, "old_key": "site+00+A", "new_key": "site+00+B", "log_size": 3},
    ),
    "lease": (
        LEASE,
        {
            "version": 1,
            "lease_id": "0" * 32,
            "site_id": "site-1",
            "purpose": "lobby",
            "holder": "0" * 16,
            "generation": 7,
            "term_seconds": 60,
            "issued_at": TIME,
            "model_id": "sface@00",
            "threshold": 0.5,
            "trigger": "near",
            "people": 0,
            "references_sha256": "0" * 64,
            "liveness_model": "",
            "after_lease": "closed",
        },
    ),
    "receipt": (RECEIPT, document(receipt().token)),
    "refusal": (
        REFUSAL,
        {
            "version": 1,
            "refusal_id": "0" * 32,
            "controller": {"site_id": "site-1", "name": "Bakery", "contact": "privacy@example.org"},
            "zone": "lobby",
            "refused_on": "2099-03-14",
            "statement": REFUSED,
        },
    ),
    "recipient's statement": (STATEMENT, {"certificate_id": "00", "statement": "erased", "stated_at": TIME}),
    "acknowledgement": (
        ACKNOWLEDGEMENT,
        {
            "certificate_id": "00",
            "recipient": "Badge office",
            "acknowledged_at": TIME,
            "recipient_key": b64url(ANN.public_key),
            "statement": "a.b.c",
        },
    ),
    "certificate": (CERTIFICATE, {"statement": STATEMENT_OF_CERTIFICATE, "log": LOG}),
    "approval": (
        APPROVAL,
        {"version": 1, "cohort_id": "00", "plan_sha256": "00", "operator_key": "AA", "approved_at": TIME},
    ),
    "operator change": (OPERATOR_CHANGE, {"version": 1, "site_id": "site-1", "at": TIME, "change": "add"}),
    "plan": (
        PLAN,
        {
            "version": 1,
            "cohort_id": "00",
            "site_id": "site-1",
            "controller": "Bakery",
            "selection": {"jurisdiction": "FR"},
            "counts": {},
            "operators_required": 1,
            "salt": "00",
            "members_sha256": "00",
            "made_at": TIME,
            "good_until": TIME,
        },
    ),
    "dossier": (DOSSIER, {"version": 1, "cohort_id": "00", "manifest_sha256": "00"}),
    "access answer": (ACCESS_ANSWER, {"statement": {"version": 1, "files": {}}, "log": LOG}),
    "retention policy": (RETENTION_POLICY, {"v": 1, "policy_sha256": "00"}),
    "paper": (PAPER, {"version": 1, "paper_sha256": "00"}),
    "backup manifest": (
        MANIFEST,
        {
            "version": 1,
            "site_id": "site-1",
            "made_at": TIME,
            "checkpoint": "note",
            "files": [{"name": "volens.db", "size_bytes": 1, "sha256": "00"}],
        },
    ),
}
kinds = st.sampled_from(sorted(SAMPLES))
# Larger floats are written as integers that JSON cannot hold (RFC 8785, 3.2.2.3).
plain = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(-1e15, 1e15) | st.text(max_size=5)
json_values = st.recursive(
    plain, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)


def signed(kind: SignedDocument[Any], payload: bytes | dict[str, Any], typ: str | None = None) -> str:
    header = json.dumps({"alg": "Ed25519", "typ": typ or kind.typ}).encode()
    return token(payload, header=header, seed=ANN_SEED)


def opened(kind: SignedDocument[Any], data: bytes) -> object:
    return kind.verify(kind.from_file(data)[0], ANN.public_key)


def refusal(act: Callable[[], object]) -> VolensError:
    with pytest.raises(VolensError) as caught:
        act()
    return caught.value


def test_every_kind_of_the_product_is_tested_here() -> None:
    declared = [
        ast.literal_eval(argument.value)
        for tree in modules().values()
        for node in ast.walk(tree)
        if called(node) == "SignedDocument"
        for argument in node.keywords  # type: ignore[attr-defined]  a call
        if argument.arg == "typ"
    ]
    assert sorted(declared) == sorted(kind.typ for kind, _content in SAMPLES.values())
    assert len(declared) == 15


def test_no_module_reads_a_signed_document_past_its_declaration() -> None:
    readers = {"volens.consent.signed_document", "volens.consent.receipt_signature"}  # RECEIPT declares the second
    offenders = {
        name
        for name, tree in modules().items()
        for node in ast.walk(tree)
        if called(node).startswith(("jws.peek", "jws.verify")) and name not in readers
    }
    assert offenders == set()


@pytest.mark.parametrize("name", SAMPLES)
def test_a_document_is_read_again_as_it_was_signed(name: str) -> None:
    kind, content = SAMPLES[name]
    made = kind.sign(ANN, content)
    assert kind.from_file(kind.to_file(made)) == (made, [])
    assert opened(kind, kind.to_file(made)) == kind.peek(made)
    assert kind.peek_json(made) == content


@REPEATABLE
@given(name=kinds, place=st.integers(0, 10**6), bit=st.integers(0, 7))
def test_a_flipped_bit_is_refused(name: str, place: int, bit: int) -> None:
    kind, content = SAMPLES[name]
    data = bytearray(kind.to_file(kind.sign(ANN, content)).strip())
    data[place % len(data)] ^= 1 << bit
    error = refusal(lambda: opened(kind, bytes(data) + b"\n" * (kind.member is not None)))
    assert type(error) in {kind.error, TamperError}


@REPEATABLE
@given(name=kinds, cut=st.integers(0, 10**6))
def test_a_truncated_file_is_refused(name: str, cut: int) -> None:
    kind, content = SAMPLES[name]
    data = kind.to_file(kind.sign(ANN, content)).strip()
    error = refusal(lambda: opened(kind, data[: cut % len(data)]))
    assert type(error) in {kind.error, TamperError}


@REPEATABLE
@given(name=kinds, data=st.binary(max_size=200))
def test_any_other_bytes_are_refused(name: str, data: bytes) -> None:
    kind, _content = SAMPLES[name]
    assert type(refusal(lambda: opened(kind, data))) is kind.error


@pytest.mark.parametrize("name", SAMPLES)
def test_an_oversized_file_and_an_oversized_token_are_refused(name: str) -> None:
    kind, content = SAMPLES[name]
    made = kind.sign(ANN, content)
    assert type(refusal(lambda: kind.from_file(kind.to_file(made) + b" " * kind.max_bytes))) is kind.error
    assert type(refusal(lambda: kind.verify(made + "A" * 64 * 1024, ANN.public_key))) is kind.error


@pytest.mark.parametrize("other", SAMPLES)
@pytest.mark.parametrize("name", SAMPLES)
def test_a_document_of_another_type_is_refused(name: str, other: str) -> None:
    kind, content = SAMPLES[name]
    if other == name:
        return
    made = signed(kind, content, SAMPLES[other][0].typ)
    assert type(refusal(lambda: kind.verify(made, ANN.public_key))) is kind.error
    assert type(refusal(lambda: kind.peek(made))) is kind.error


@REPEATABLE
@given(name=kinds, version=json_values)
def test_another_version_is_refused(name: str, version: Any) -> None:  # noqa: ANN401  any JSON
    kind, content = SAMPLES[name]
    if not kind.versions or (not isinstance(version, bool) and version in kind.versions):
        return
    changed = json.loads(json.dumps(content))
    *path, last = kind.version_member.split(".")
    inside = changed
    for member in path:
        inside = inside[member]
    inside[last] = version
    try:
        made = signed(kind, changed)
    except ValueError:
        return  # no canonical form, so nothing to sign
    assert type(refusal(lambda: kind.verify(made, ANN.public_key))) is kind.version_error
    assert type(refusal(lambda: kind.peek(made))) is kind.error


NOT_CANONICAL: dict[str, Callable[[bytes], bytes]] = {
    "spaces": lambda payload: json.dumps(json.loads(payload)).encode(),
    "another order": lambda payload: json.dumps(dict(reversed(json.loads(payload).items()))).encode(),
    "a duplicate member": lambda payload: payload[:-1] + b"," + payload[1:],
    "a line break at the end": lambda payload: payload + b"\n",
    "an escape": lambda payload: payload.replace(b"i", b"\\u0069", 1),
    "no JSON": lambda payload: payload[:-1],
    "nested too deeply": lambda _payload: b"[" * 20_000,
    "a number": lambda _payload: b"7.0",
    "UTF-16": lambda payload: payload.decode().encode("utf-16"),
}


@pytest.mark.parametrize("form", NOT_CANONICAL)
@pytest.mark.parametrize("name", SAMPLES)
def test_a_payload_in_another_form_than_the_canonical_one_is_refused(name: str, form: str) -> None:
    kind, content = SAMPLES[name]
    made = signed(kind, NOT_CANONICAL[form](rfc8785.dumps(content)))
    assert type(refusal(lambda: kind.verify(made, ANN.public_key))) is kind.signed_error
    assert type(refusal(lambda: kind.peek(made))) is kind.error


@settings(REPEATABLE, max_examples=400)
@given(name=kinds, data=st.data(), value=json_values)
def test_any_json_in_any_place_is_read_or_refused(name: str, data: st.DataObject, value: object) -> None:
    kind, content = SAMPLES[name]
    changed = json.loads(json.dumps(content))
    inside, member = data.draw(st.sampled_from(list(places(changed))))
    if data.draw(st.booleans()):
        inside[member] = value
    else:
        del inside[member]
    try:
        made = signed(kind, changed)
    except ValueError:
        return  # no canonical form, so nothing to sign
    for read, errors in (
        (lambda: kind.verify(made, ANN.public_key), {kind.signed_error, kind.version_error}),
        (lambda: kind.peek(made), {kind.error}),
    ):
        error = refusal_or_none(read)
        assert error is None or type(error) in errors


def refusal_or_none(act: Callable[[], object]) -> VolensError | None:
    try:
        act()
    except VolensError as error:
        return error
    return None


def places(inside: Any) -> Any:  # noqa: ANN401  any JSON
    """Yield each container of a JSON value with each of its members or indexes."""
    for member, value in inside.items() if isinstance(inside, dict) else enumerate(inside):
        yield inside, member
        if isinstance(value, dict | list):
            yield from places(value)


@pytest.mark.parametrize("name", [name for name, (kind, _content) in SAMPLES.items() if kind.member])
def test_a_file_has_no_other_form_than_the_written_one(name: str) -> None:
    kind, content = SAMPLES[name]
    made = kind.sign(ANN, content)
    data = kind.to_file(made)
    others: list[object] = [
        json.loads(data) | {"more": 1},
        json.loads(data) | {kind.member: [made]},
        json.loads(data) | {kind.list_member or "x": "text"},
        json.loads(data) | {kind.list_member or "x": [1]},
        [made],
        made,
    ]
    texts = [json.dumps(one).encode() + b"\n" for one in others]
    for text in (*texts, b" " + data, data + b"\n", data.replace(b": ", b":"), data[:-2] + b"," + data[1:]):
        assert type(refusal(lambda text=text: kind.from_file(text))) is kind.error  # type: ignore[misc]


def test_a_message_repeats_nothing_of_what_the_document_says() -> None:
    kind, content = SAMPLES["backup manifest"]
    named = content | {"files": [{"name": "Zyxwvutsrq", "size_bytes": "Zyxwvutsrq", "sha256": "00"}]}
    assert "Zyxwvutsrq" not in str(refusal(lambda: kind.peek(signed(kind, named))))
