"""Signatures of webhooks, compared with the published implementation of the specification."""

import base64
import pickle
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook
from webhook_signer import Ed25519Signer

from volens.consent import InputError
from volens.service.webhooks import REPLAY_WINDOW, SignatureError, StaleError, SymmetricKey, VerifyKey, sign, verify

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEY = SymmetricKey(bytes(range(32)))
OTHER = SymmetricKey(b"\xff" * 32)
SIGNER = Ed25519Signer(bytes(range(32)))
BODY = b'{"type":"consent.revoked"}'


def now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


@given(secret=st.binary(min_size=24, max_size=64), body=st.text())
def test_the_published_receiver_accepts_our_signatures(secret: bytes, body: str) -> None:
    key = SymmetricKey(secret)
    data = ('{"x":' + repr(len(body)) + "}").encode()
    assert Webhook(key.reveal()).verify(data, sign("msg_1", now(), data, [OTHER, key])) == {"x": len(body)}


@given(secret=st.binary(min_size=24, max_size=64), body=st.binary().map(lambda raw: base64.b64encode(raw).decode()))
def test_we_accept_signatures_of_the_published_sender(secret: bytes, body: str) -> None:
    key, at = SymmetricKey(secret), now()
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(key.reveal()).sign("msg_1", at, body),
    }
    found = verify(headers, body.encode(), [OTHER, key], at)
    assert (found.message_id, found.at, found.body, found.key) == ("msg_1", at, body.encode(), 1)


def test_the_example_of_the_specification_has_its_signature() -> None:
    key = SymmetricKey(base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))
    at = datetime.fromtimestamp(1614265330, UTC)
    headers = sign("msg_p5jXN8AQM9LWM0D4loKWxJek", at, b'{"test": 2432232314}', [key])
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("keys", [[KEY, SIGNER], [SIGNER, KEY], [SIGNER]])
def test_asymmetric_signatures_are_verified_among_others(keys: list[SymmetricKey | Ed25519Signer]) -> None:
    headers = sign("msg_1", NOW, BODY, keys)
    assert verify(headers, BODY, [VerifyKey.parse(SIGNER.public_text)], NOW).body == BODY
    with pytest.raises(SignatureError):
        verify(headers, BODY, [Ed25519Signer(bytes(32)).public, OTHER], NOW)


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_missing_or_changed_header_is_refused(name: str) -> None:
    headers = sign("msg_1", NOW, BODY, [KEY])
    for changed in ("", headers[name] + "1", headers[name][1:], " ", "\u00fc", "v1,"):
        with pytest.raises(SignatureError):
            verify({**headers, name: changed}, BODY, [KEY], NOW)
    with pytest.raises(SignatureError):
        verify({one: value for one, value in headers.items() if one != name}, BODY, [KEY], NOW)


@given(place=st.integers(0, len(BODY) - 1), bit=st.integers(0, 7))
def test_a_changed_bit_of_the_body_is_refused(place: int, bit: int) -> None:
    headers = sign("msg_1", NOW, BODY, [KEY, SIGNER])
    changed = bytearray(BODY)
    changed[place] ^= 1 << bit
    with pytest.raises(SignatureError):
        verify(headers, bytes(changed), [KEY, SIGNER.public], NOW)


@given(junk=st.text(max_size=200))
def test_malformed_signatures_are_refused_and_do_not_hide_a_valid_one(junk: str) -> None:
    headers = sign("msg_1", NOW, BODY, [KEY])
    good = headers["webhook-signature"]
    assume_one = " ".join(junk.split(" ")[:10])
    assert verify({**headers, "webhook-signature": f"{assume_one} {good}"}, BODY, [KEY], NOW).key == 0
    with pytest.raises(SignatureError):
        verify({**headers, "webhook-signature": assume_one}, BODY, [KEY, SIGNER.public], NOW)


def test_a_message_with_too_many_signatures_is_refused() -> None:
    headers = sign("msg_1", NOW, BODY, [OTHER] * 16 + [KEY])
    with pytest.raises(SignatureError):
        verify(headers, BODY, [KEY], NOW)


@pytest.mark.parametrize("seconds", [-301, 301, -86_400, 86_400])
def test_a_message_outside_the_replay_window_is_refused(seconds: int) -> None:
    headers = sign("msg_1", NOW + timedelta(seconds=seconds), BODY, [KEY])
    with pytest.raises(StaleError, match="correct the clocks"):
        verify(headers, BODY, [KEY], NOW)


@pytest.mark.parametrize("seconds", [-300, 0, 300])
def test_clocks_may_differ_by_five_minutes(seconds: int) -> None:
    at = NOW + timedelta(seconds=seconds)
    assert verify(sign("msg_1", at, BODY, [KEY]), BODY, [KEY], NOW).at == at
    assert timedelta(minutes=5) == REPLAY_WINDOW


def test_without_the_secret_an_old_message_gives_no_hint_about_the_clock() -> None:
    with pytest.raises(SignatureError):
        verify(sign("msg_1", NOW - timedelta(days=1), BODY, [OTHER]), BODY, [KEY], NOW)


@pytest.mark.parametrize("message_id", ["", "a.b", "a b", "x" * 201, "\u00fc", "a\n"])
def test_an_ambiguous_message_id_is_not_signed(message_id: str) -> None:
    with pytest.raises(ValueError, match="cannot be signed"):
        sign(message_id, NOW, BODY, [KEY])


def test_a_time_beyond_all_dates_is_refused() -> None:
    headers = sign("msg_1", NOW, BODY, [KEY]) | {"webhook-timestamp": "9" * 12}
    with pytest.raises(SignatureError):
        verify(headers, BODY, [KEY], NOW)
    signed = b"msg_1." + b"9" * 12 + b"." + BODY
    with pytest.raises(StaleError):
        verify(headers | {"webhook-signature": KEY.signature(signed)}, BODY, [KEY], NOW)


@pytest.mark.parametrize("text", ["", "whpk_", "whpk_AAAA", "whsec_" + "A" * 44])
def test_an_invalid_public_key_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="not a webhook public key"):
        VerifyKey.parse(text)


def test_secrets_are_not_in_repr_and_not_pickled() -> None:
    assert repr(KEY) == "SymmetricKey(...)"
    with pytest.raises(TypeError):
        pickle.dumps(KEY)
    key = SymmetricKey(bytes(range(24)))
    key.wipe()
    assert key.buffer == bytes(24)
    with pytest.raises(ValueError, match="expected 24 to 64"):
        SymmetricKey(b"short")
