"""Signatures of webhooks, held against the published implementation of the specification."""

import base64
import pickle
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from volens.consent import InputError
from volens.service.webhooks.signatures import (
    REPLAY_WINDOW,
    SignatureError,
    SigningKey,
    StaleError,
    SymmetricKey,
    VerifyKey,
    sign,
    verify,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEY = SymmetricKey(bytes(range(32)))
OTHER = SymmetricKey(b"\xff" * 32)
SIGNER = SigningKey.from_seed(bytes(range(32)))
BODY = b'{"type":"consent.revoked"}'


def now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


@given(secret=st.binary(min_size=24, max_size=64), body=st.text())
def test_the_published_receiver_takes_what_we_sign(secret: bytes, body: str) -> None:
    key = SymmetricKey(secret)
    data = ('{"x":' + repr(len(body)) + "}").encode()
    assert Webhook(key.reveal()).verify(data, sign("msg_1", now(), data, [OTHER, key])) == {"x": len(body)}


@given(secret=st.binary(min_size=24, max_size=64), body=st.binary().map(lambda raw: base64.b64encode(raw).decode()))
def test_we_take_what_the_published_sender_signs(secret: bytes, body: str) -> None:
    key, at = SymmetricKey(secret), now()
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(key.reveal()).sign("msg_1", at, body),
    }
    found = verify(headers, body.encode(), [OTHER, key], at)
    assert (found.message_id, found.at, found.body, found.key) == ("msg_1", at, body.encode(), 1)


def test_the_example_of_the_specification() -> None:
    key = SymmetricKey.parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    at = datetime.fromtimestamp(1614265330, UTC)
    headers = sign("msg_p5jXN8AQM9LWM0D4loKWxJek", at, b'{"test": 2432232314}', [key])
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("keys", [[KEY, SIGNER], [SIGNER, KEY], [SIGNER]])
def test_asymmetric_signatures(keys: list[SymmetricKey | SigningKey]) -> None:
    headers = sign("msg_1", NOW, BODY, keys)
    assert verify(headers, BODY, [VerifyKey.parse(SIGNER.public.text())], NOW).body == BODY
    with pytest.raises(SignatureError):
        verify(headers, BODY, [SigningKey.from_seed(bytes(32)).public, OTHER], NOW)


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_no_header_may_be_missing_or_changed(name: str) -> None:
    headers = sign("msg_1", NOW, BODY, [KEY])
    for changed in ("", headers[name] + "1", headers[name][1:], " ", "\u00fc", "v1,"):
        with pytest.raises(SignatureError):
            verify({**headers, name: changed}, BODY, [KEY], NOW)
    with pytest.raises(SignatureError):
        verify({one: value for one, value in headers.items() if one != name}, BODY, [KEY], NOW)


@given(place=st.integers(0, len(BODY) - 1), bit=st.integers(0, 7))
def test_no_bit_of_the_body_may_be_changed(place: int, bit: int) -> None:
    headers = sign("msg_1", NOW, BODY, [KEY, SIGNER])
    changed = bytearray(BODY)
    changed[place] ^= 1 << bit
    with pytest.raises(SignatureError):
        verify(headers, bytes(changed), [KEY, SIGNER.public], NOW)


@given(junk=st.text(max_size=200))
def test_malformed_signatures_are_refused_and_hide_no_good_one(junk: str) -> None:
    headers = sign("msg_1", NOW, BODY, [KEY])
    good = headers["webhook-signature"]
    assume_one = " ".join(junk.split(" ")[:10])
    assert verify({**headers, "webhook-signature": f"{assume_one} {good}"}, BODY, [KEY], NOW).key == 0
    with pytest.raises(SignatureError):
        verify({**headers, "webhook-signature": assume_one}, BODY, [KEY, SIGNER.public], NOW)


def test_many_signatures_are_not_tried() -> None:
    headers = sign("msg_1", NOW, BODY, [OTHER] * 16 + [KEY])
    with pytest.raises(SignatureError):
        verify(headers, BODY, [KEY], NOW)


@pytest.mark.parametrize("seconds", [-301, 301, -86_400, 86_400])
def test_a_message_of_another_time_is_refused(seconds: int) -> None:
    headers = sign("msg_1", NOW + timedelta(seconds=seconds), BODY, [KEY])
    with pytest.raises(StaleError, match="set the clocks"):
        verify(headers, BODY, [KEY], NOW)


@pytest.mark.parametrize("seconds", [-300, 0, 300])
def test_clocks_may_differ_a_little(seconds: int) -> None:
    at = NOW + timedelta(seconds=seconds)
    assert verify(sign("msg_1", at, BODY, [KEY]), BODY, [KEY], NOW).at == at
    assert timedelta(minutes=5) == REPLAY_WINDOW


def test_who_does_not_know_the_secret_learns_nothing_of_the_clock() -> None:
    with pytest.raises(SignatureError):
        verify(sign("msg_1", NOW - timedelta(days=1), BODY, [OTHER]), BODY, [KEY], NOW)


@pytest.mark.parametrize("message_id", ["", "a.b", "a b", "x" * 201, "\u00fc", "a\n"])
def test_an_id_that_could_be_cut_elsewhere_is_not_signed(message_id: str) -> None:
    with pytest.raises(ValueError, match="cannot be signed"):
        sign(message_id, NOW, BODY, [KEY])


def test_a_time_that_no_clock_shows_is_refused_by_its_signature_or_its_time() -> None:
    headers = sign("msg_1", NOW, BODY, [KEY]) | {"webhook-timestamp": "9" * 12}
    with pytest.raises(SignatureError):
        verify(headers, BODY, [KEY], NOW)
    signed = b"msg_1." + b"9" * 12 + b"." + BODY
    with pytest.raises(StaleError):
        verify(headers | {"webhook-signature": KEY.signature(signed)}, BODY, [KEY], NOW)


@pytest.mark.parametrize(
    "text", ["", "whsec_", "whsec_!!", "whsec_" + "A" * 20, "whsec_" + "A" * 100, "whpk_" + "A" * 44]
)
def test_what_is_no_secret_is_not_repeated(text: str) -> None:
    with pytest.raises(InputError, match="no webhook secret") as refused:
        SymmetricKey.parse(text)
    assert len(text) < 7 or text not in str(refused.value)


@pytest.mark.parametrize("text", ["", "whpk_", "whpk_AAAA", "whsec_" + "A" * 44])
def test_what_is_no_public_key(text: str) -> None:
    with pytest.raises(InputError, match="no public key"):
        VerifyKey.parse(text)


def test_secrets_say_nothing_of_themselves() -> None:
    assert (repr(KEY), repr(SIGNER)) == ("SymmetricKey(...)", "SigningKey(...)")
    for one in (KEY, SIGNER):
        with pytest.raises(TypeError):
            pickle.dumps(one)
    key = SymmetricKey(bytes(range(24)))
    key.wipe()
    assert key.buffer == bytes(24)
    with pytest.raises(ValueError, match="expected 24 to 64"):
        SymmetricKey(b"short")
