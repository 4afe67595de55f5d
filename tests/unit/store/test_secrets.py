"""Secret types: they are never printed, pickled or mixed up, and derived keys are those of RFC 5869."""

import copy
import hashlib
import hmac
import pickle
import random

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from volens.store.keys import GrantSecret, ProfileKey, ReferenceKey, RootKey, Secret
from volens.store.keys.secrets import AuthenticationKey, BucketKey, DerivedKey, ProjectionKey, StoreKey

VALUE = bytes(range(32))
KINDS = [
    RootKey,
    StoreKey,
    BucketKey,
    AuthenticationKey,
    ProjectionKey,
    DerivedKey,
    ReferenceKey,
    ProfileKey,
    GrantSecret,
]
SHA = hashlib.sha256(b"a receipt").digest()
OTHER_SHA = hashlib.sha256(b"another receipt").digest()


@pytest.mark.parametrize("kind", KINDS)
def test_a_secret_shows_nothing_of_its_bytes(kind: type[Secret]) -> None:
    assert repr(kind(VALUE)) == str(kind(VALUE)) == f"{kind.__name__}(...)"
    assert f"{kind(VALUE)}" == f"{kind.__name__}(...)"


@pytest.mark.parametrize("kind", KINDS)
def test_a_secret_is_neither_pickled_nor_copied_nor_hashed(kind: type[Secret]) -> None:
    for attempt in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match=f"a {kind.__name__} is not pickled"):
            attempt(kind(VALUE))
    with pytest.raises(TypeError, match="unhashable"):
        hash(kind(VALUE))


@pytest.mark.parametrize("kind", KINDS)
def test_a_secret_has_no_other_attributes(kind: type[Secret]) -> None:
    with pytest.raises(AttributeError):
        kind(VALUE).note = "x"  # type: ignore[attr-defined]


@pytest.mark.parametrize("length", [0, 16, 31, 33, 64])
def test_a_secret_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match=f"got a secret of {length} bytes; expected 32"):
        RootKey(bytes(length))


def test_secrets_are_equal_within_their_kind_only() -> None:
    for one in KINDS:
        for other in KINDS:
            assert (one(VALUE) == other(VALUE)) is (one is other)
        assert one(VALUE) != one(bytes(32))
        assert one(VALUE) != VALUE


def test_secrets_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[bytes, bytes]] = []
    monkeypatch.setattr(hmac, "compare_digest", lambda a, b: compared.append((bytes(a), bytes(b))) is None)

    assert RootKey(VALUE) == RootKey(bytes(32))
    assert compared == [(VALUE, bytes(32))]


def test_a_secret_is_a_copy_that_is_wiped_on_request_and_after_use() -> None:
    mine = bytearray(VALUE)
    with RootKey(mine) as secret:
        mine[:] = bytes(32)
        assert secret.buffer == VALUE
        buffer = secret.buffer
    assert buffer == bytes(32)

    again = RootKey(VALUE)
    again.wipe()
    assert again.buffer == bytes(32)


def test_a_secret_is_wiped_when_its_use_fails() -> None:
    secret = RootKey(VALUE)
    with pytest.raises(RuntimeError), secret:
        raise RuntimeError
    assert secret.buffer == bytes(32)


def test_a_new_secret_is_exactly_the_random_bytes() -> None:
    assert GrantSecret.generate(random.Random(1).randbytes).buffer == random.Random(1).randbytes(32)


def hkdf(salt: bytes | None, info: bytes) -> bytes:
    return HKDF(SHA256(), 32, salt=salt, info=info).derive(VALUE)


def by_hand(salt: bytes, info: bytes) -> bytes:
    """HKDF as RFC 5869 writes it, for 32 bytes: one round."""
    extracted = hmac.new(salt, VALUE, "sha256").digest()
    return hmac.new(extracted, info + b"\x01", "sha256").digest()


def test_derived_keys_are_those_of_rfc_5869() -> None:
    secret = GrantSecret(VALUE)
    reference = b"volens reference key v1|m@1"
    profile = b"volens profile key v1"
    projection = b"volens gallery projection v1|m@1"

    assert secret.reference_key(SHA, "m@1").buffer == hkdf(SHA, reference) == by_hand(SHA, reference)
    assert secret.profile_key(SHA).buffer == hkdf(SHA, profile) == by_hand(SHA, profile)
    assert ProjectionKey(VALUE).projection_seed("m@1") == hkdf(None, projection) == by_hand(bytes(32), projection)
    use = b"volens derived key v1|senders"
    assert AuthenticationKey(VALUE).derived_key("senders").buffer == hkdf(None, use) == by_hand(bytes(32), use)


def test_another_receipt_model_secret_or_use_gives_another_key() -> None:
    keys = [
        GrantSecret(VALUE).reference_key(SHA, "m@1"),
        GrantSecret(VALUE).reference_key(SHA, "m@2"),
        GrantSecret(VALUE).reference_key(OTHER_SHA, "m@1"),
        GrantSecret(bytes(32)).reference_key(SHA, "m@1"),
        GrantSecret(VALUE).profile_key(SHA),
        GrantSecret(VALUE).profile_key(OTHER_SHA),
    ]

    assert len({bytes(key.buffer) for key in keys}) == len(keys)
    assert [type(key) for key in keys] == [ReferenceKey] * 4 + [ProfileKey] * 2


def test_another_model_or_projection_key_gives_another_projection() -> None:
    seeds = {ProjectionKey(value).projection_seed(model) for value in (VALUE, bytes(32)) for model in ("m@1", "m@2")}

    assert len(seeds) == 4
