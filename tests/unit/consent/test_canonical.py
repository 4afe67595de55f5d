"""Canonical JSON: the fast and the slow path of the reader accept exactly the form of RFC 8785."""

import json

import pytest
import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jws as oracle
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from volens.consent import SubjectKey, TamperError, jws
from volens.consent.canonical import loads_canonical

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(-1e15, 1e15) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
@settings(max_examples=300, deadline=None, derandomize=True)
def test_the_form_of_rfc_8785_is_read_and_any_other_form_refused(value: object) -> None:
    try:
        payload = rfc8785.dumps(value)  # type: ignore[arg-type]
    except rfc8785.CanonicalizationError:
        return  # a lone surrogate: invalid in JSON
    assert rfc8785.dumps(loads_canonical(payload)) == payload
    for other in (payload + b" ", b" " + payload, json.dumps(value, indent=1).encode()):
        if other != payload:
            with pytest.raises(ValueError):  # noqa: PT011  which of several is not promised
                loads_canonical(other)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{}{}",
        b'{"b":1,"a":2}',
        b'{"a":1,"a":1}',
        b'{"a":1.0}',
        b'{"a":1e2}',
        b'{"a":-0}',
        b'{"a":01}',
        b'{"a":9007199254740993}',
        b'{"a":NaN}',
        b'"\\u0041"',
        b'"\\/"',
        b'"\\ud800"',
        b"\xef\xbb\xbf{}",
        '{"\U00010000":1,"\uffff":2}'.encode()[::1].replace(b"1,", b"1 ,"),
        b'{"a":"\xff"}',
    ],
)
def test_other_forms_are_refused(payload: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  as above
        loads_canonical(payload)


def test_keys_beyond_the_first_plane_are_sorted_by_code_units() -> None:
    payload = rfc8785.dumps({"\U00010000": 1, "\uffff": 2})
    assert loads_canonical(payload) == {"\U00010000": 1, "\uffff": 2}
    assert payload.index("\U00010000".encode()) < payload.index("\uffff".encode())


@given(st.binary(max_size=200), st.integers(0, 10_000), st.integers(1, 255))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_a_signature_is_judged_as_another_implementation_judges_it(payload: bytes, at: int, change: int) -> None:
    key = SubjectKey.from_seed(bytes(range(32)))
    token = key.sign(payload, "test+jws")
    own = Ed25519PublicKey.from_public_bytes(key.public_key)
    public = OKPKey.import_key(own)
    assert jws.verify(token, "test+jws", own) == payload
    assert oracle.deserialize_compact(token, public, algorithms=["Ed25519"]).payload == payload

    signature = bytearray(jws.from_b64url(token.rpartition(".")[2]))
    signature[at % len(signature)] ^= change
    broken = f"{token.rpartition('.')[0]}.{jws.b64url(bytes(signature))}"
    with pytest.raises(TamperError):
        jws.verify(broken, "test+jws", own)
    with pytest.raises(JoseError):
        oracle.deserialize_compact(broken, public, algorithms=["Ed25519"])
