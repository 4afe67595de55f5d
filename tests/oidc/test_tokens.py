"""Bad tokens and bad keys, each named for its flaw; RFC 8725 explains the attacks."""

import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from issuer import AUDIENCE, Signer, signer
from joserfc.jwk import ECKey, OKPKey

from volens.consent import InputError, from_b64url
from volens.consent.jws import b64url
from volens.service.oidc import (
    ALGORITHMS,
    MAX_KEYS,
    MAX_TOKEN_BYTES,
    ForeignRoleError,
    SigningKey,
    TokenError,
    Trust,
    UnknownKeyError,
    VerifiedToken,
    parse_keys,
    verify_token,
)
from volens.store.programs import Role

ISSUER = "https://id.example.org/realm"
NOW = datetime(2026, 11, 27, 12, 0, 0, tzinfo=UTC)
AT = NOW.timestamp()
TRUST = Trust(ISSUER, AUDIENCE)
GOOD: dict[str, Any] = {
    "iss": ISSUER,
    "aud": AUDIENCE,
    "sub": "a caller",
    "iat": AT - 10,
    "exp": AT + 600,
    "volens_role": "door",
    "volens_zone": "lobby",
}
DOOR = VerifiedToken(ISSUER, "a caller", Role.DOOR, "lobby")  # type: ignore[arg-type]  # a zone's name is text


def published(*signers: Signer, **changed: object) -> tuple[SigningKey, ...]:
    return parse_keys(json.dumps({"keys": [one.jwk | changed for one in signers]}).encode())


def verified(token: str, keys: tuple[SigningKey, ...] | None = None, now: datetime = NOW) -> VerifiedToken:
    return verify_token(token, published(signer()) if keys is None else keys, TRUST, now)


def claims(**changed: object) -> dict[str, Any]:
    return {name: value for name, value in (GOOD | changed).items() if value is not None}


@pytest.mark.parametrize("alg", sorted(ALGORITHMS))
def test_each_supported_algorithm_is_accepted(alg: str) -> None:
    assert verified(signer(alg).token(claims()), published(signer(alg))) == DOOR


@pytest.mark.parametrize(
    ("changed", "header"),
    [
        ({"aud": ["other", AUDIENCE]}, {}),
        ({"exp": AT - 59}, {}),
        ({"iat": AT + 60, "exp": AT + 660, "nbf": AT + 60}, {}),
        ({"exp": AT + 0.5}, {}),
        ({"exp": AT - 10 + 7200}, {}),
        ({}, {"typ": None}),
        ({}, {"typ": "JWT"}),
        ({}, {"typ": "application/at+JWT"}),
        ({}, {"kid": None}),
        ({}, {"nonce": "an unknown member", "x5t": "abc"}),
    ],
)
def test_valid_variants_of_a_token_are_accepted(changed: dict[str, object], header: dict[str, object]) -> None:
    assert verified(signer().token(claims(**changed), **header)) == DOOR


@pytest.mark.parametrize(("role", "zone"), [(Role.DESK, "lab"), (Role.DESK, None), (Role.AUDITOR, None)])
def test_roles_and_zones_are_the_same_as_those_of_our_credentials(role: Role, zone: str | None) -> None:
    found = verified(signer().token(claims(volens_role=role.value, volens_zone=zone)))
    assert (found.role, found.purpose) == (role, zone)


def unsigned(payload: dict[str, object], alg: str) -> str:
    return f"{b64url(json.dumps({'alg': alg, 'kid': 'first'}).encode())}.{b64url(json.dumps(payload).encode())}."


def hmac_with_the_public_key() -> str:
    token = signer("HS256").token(claims()).rpartition(".")[0]
    public = signer().pair.as_pem(private=False)
    return f"{token}.{b64url(hmac.digest(public, token.encode(), 'sha256'))}"


def with_payload_of_another(changed: dict[str, object]) -> str:
    header, _, signature = signer().token(claims()).split(".")
    return f"{header}.{b64url(json.dumps(claims(**changed)).encode())}.{signature}"


def a_signature_in_der() -> str:
    signed, _, signature = signer().token(claims()).rpartition(".")
    raw = from_b64url(signature)
    der = encode_dss_signature(int.from_bytes(raw[:32]), int.from_bytes(raw[32:]))
    return f"{signed}.{b64url(der)}"


def changed(**changes: object) -> Callable[[], str]:
    return lambda: signer().token(claims(**changes))


def header(**changes: object) -> Callable[[], str]:
    return lambda: signer().token(claims(), **changes)


BAD: dict[str, tuple[Callable[[], str], str]] = {
    # 2.1, 3.1: algorithms
    "alg none": (lambda: unsigned(claims(), "none"), "unsupported algorithm"),
    "alg None, in other letters": (lambda: unsigned(claims(), "nOnE"), "unsupported algorithm"),
    "no signature under a good header": (lambda: unsigned(claims(), "ES256"), "not signed"),
    "HMAC keyed with the public key": (hmac_with_the_public_key, "unsupported algorithm"),
    "an algorithm that is not supported": (lambda: signer("ES384").token(claims()), "unsupported algorithm"),
    "alg that is not text": (header(alg=["ES256"]), "unsupported algorithm"),
    "no alg": (header(alg=None), "unsupported algorithm"),
    "alg of another kind of key": (header(alg="RS256"), "unknown key"),
    # 2.3, 3.2: the signature
    "another payload": (lambda: with_payload_of_another({"volens_role": "operator"}), "not signed"),
    "a stranger's key of the same name": (
        lambda: Signer("first", "ES256", signer(kid="a stranger's").pair).token(claims()),
        "not signed",
    ),
    "a signature in DER": (a_signature_in_der, "not signed"),
    "a signature of nothing but zeros": (
        lambda: signer().token(claims()).rpartition(".")[0] + "." + b64url(bytes(64)),
        "not signed",
    ),
    # 3.10: keys and addresses in the header
    "a key in the header": (
        lambda: signer().token(claims(), jwk=signer(kid="a stranger's").jwk),
        "the header contains a key",
    ),
    "an address of keys": (header(jku="http://127.0.0.1/keys"), "the header contains a key"),
    "an address of a certificate": (header(x5u="http://169.254.169.254/"), "the header contains a key"),
    "a certificate in the header": (header(x5c=["MIIB"]), "the header contains a key"),
    "crit": (header(crit=["exp"]), "a critical extension"),
    "an empty crit": (header(crit=[]), "a critical extension"),
    "an unencoded payload": (header(b64=False), "a critical extension"),
    "kid that is not text": (header(kid=1), "a key id"),
    "kid that is a path": (header(kid="../../first"), "unknown key"),
    "kid that is a query": (header(kid="' OR 1=1 --"), "unknown key"),
    # 3.11: another type
    "a logout token": (header(typ="logout+jwt"), "unsupported type"),
    "typ that is no text": (header(typ=1), "unsupported type"),
    # 3.8, 3.9: issuer, subject, audience
    "another issuer": (changed(iss="https://id.example.org/other"), "wrong issuer"),
    "an issuer that only begins alike": (changed(iss=ISSUER + "/"), "wrong issuer"),
    "an issuer in other letters": (changed(iss=ISSUER.upper()), "wrong issuer"),
    "issuers in a list": (changed(iss=[ISSUER]), "wrong issuer"),
    "no issuer": (changed(iss=None), "wrong issuer"),
    "another audience": (changed(aud="other"), "wrong audience"),
    "audience as a part of a text": (changed(aud=f"{AUDIENCE} other"), "wrong audience"),
    "no audience": (changed(aud=None), "wrong audience"),
    "audiences in an object": (changed(aud={AUDIENCE: 1}), "wrong audience"),
    "an audience that is no text": (changed(aud=[AUDIENCE, 1]), "wrong audience"),
    "no subject": (changed(sub=None), "no subject"),
    "an empty subject": (changed(sub=""), "no subject"),
    "a subject that is no text": (changed(sub=1), "no subject"),
    "an endless subject": (changed(sub="s" * 256), "no subject"),
    # times
    "expired": (changed(exp=AT - 60), "expired"),
    "no end": (changed(exp=None), "invalid exp"),
    "an end in words": (changed(exp="2099-01-01"), "invalid exp"),
    "an end that is true": (changed(exp=True), "invalid exp"),
    "an end at infinity": (changed(exp=float("inf")), "payload is not JSON"),
    "an end that is no number": (changed(exp=float("nan")), "payload is not JSON"),
    "an end past all floats": (changed(exp=10**400), "invalid exp"),
    "an end far away": (changed(exp=AT + 7191), "lifetime too long"),
    "no beginning": (changed(iat=None), "invalid iat"),
    "issued tomorrow": (changed(iat=AT + 86_400, exp=AT + 86_500), "issued in the future"),
    "not yet": (changed(nbf=AT + 61), "not valid yet"),
    "not before no time": (changed(nbf="now"), "invalid nbf"),
    # 2.4, 3.5: how it is written
    "two segments": (lambda: signer().token(claims()).rpartition(".")[0], "three segments"),
    "encrypted": (lambda: "a.b.c.d.e", "three segments"),
    "not ASCII": (lambda: signer().token(claims()).replace(".", ".\u00e9", 1), "three segments"),
    "too large": (changed(more="x" * MAX_TOKEN_BYTES), "too large"),
    "base64 that is not canonical": (lambda: signer().token(claims()) + "=", "not base64url"),
    "a header that is no JSON": (lambda: signer().sign("{", "{}"), "header is not JSON"),
    "a header that is a list": (lambda: signer().sign("[]", "{}"), "header is not an object"),
    "a header nested deep": (lambda: signer().sign("[" * 5000, "{}"), "header is not JSON"),
    "alg twice": (lambda: signer().sign('{"alg":"none","alg":"ES256","kid":"first"}', "{}"), "header is not JSON"),
    "a payload that is no JSON": (lambda: signer().sign('{"alg":"ES256","kid":"first"}', "{"), "payload is not JSON"),
    "a payload that is a text": (
        lambda: signer().sign('{"alg":"ES256","kid":"first"}', '"x"'),
        "payload is not an obj",
    ),
    "exp twice": (
        lambda: signer().sign('{"alg":"ES256","kid":"first"}', json.dumps(claims())[:-1] + ',"exp":1}'),
        "payload is not JSON",
    ),
}


@pytest.mark.parametrize("flaw", BAD)
def test_a_bad_token_is_refused_for_its_flaw(flaw: str) -> None:
    make, problem = BAD[flaw]
    with pytest.raises(TokenError, match=problem):
        verified(make())


def test_the_unchanged_token_of_the_table_is_valid() -> None:
    """Otherwise a token could be refused for a flaw other than the one it is named for."""
    assert verified(changed()()) == DOOR


@pytest.mark.parametrize(
    "reach",
    [
        {"volens_role": None},
        {"volens_role": ""},
        {"volens_role": "admin"},
        {"volens_role": "Door"},
        {"volens_role": ["door"]},
        {"volens_role": {"door": 1}},
        {"volens_role": 1},
        {"volens_zone": None},
        {"volens_zone": ["lobby"]},
        {"volens_zone": "../lab"},
        {"volens_zone": 1},
        {"volens_role": "auditor"},
        {"volens_role": "operator", "volens_zone": ""},
    ],
)
def test_an_unknown_role_or_a_zone_that_it_cannot_have_is_refused(
    reach: dict[str, object],
) -> None:
    with pytest.raises(ForeignRoleError):
        verified(signer().token(claims(**reach)))


def test_an_unknown_key_id_has_its_own_error() -> None:
    with pytest.raises(UnknownKeyError):
        verified(signer(kid="second").token(claims()))


def test_a_token_without_a_key_id_needs_exactly_one_usable_key() -> None:
    nameless = signer().token(claims(), kid=None)
    assert verified(nameless, published(signer(), signer("RS256"))) == DOOR
    with pytest.raises(TokenError, match="several"):
        verified(nameless, published(signer(), signer(kid="second")))


def rsa_jwk(**changed: object) -> dict[str, object]:
    return signer("RS256").jwk | changed


UNFIT: dict[str, Callable[[], dict[str, object] | object]] = {
    "RSA of 1024 bits": lambda: rsa_jwk(n=b64url(b"\xff" * 128)),
    "a shared secret": lambda: {"kty": "oct", "k": b64url(bytes(32)), "kid": "first"},
    "for encryption": lambda: rsa_jwk(use="enc"),
    "for signing, which is not for us": lambda: rsa_jwk(key_ops=["sign"]),
    "operations that are no list": lambda: rsa_jwk(key_ops="verify"),
    "another algorithm": lambda: rsa_jwk(alg="RS512"),
    "an algorithm of another kind of key": lambda: rsa_jwk(alg="ES256"),
    "an algorithm that is no text": lambda: rsa_jwk(alg=["RS256"]),
    "a curve of another": lambda: ECKey.generate_key("P-384").as_dict(private=False),
    "a curve that signs nothing": lambda: OKPKey.generate_key("X25519").as_dict(private=False),
    "the private key too": lambda: signer().pair.as_dict(private=True),
    "RSA of 16384 bits": lambda: rsa_jwk(n=b64url(b"\xff" * 2048)),
    "no modulus": lambda: {"kty": "RSA", "e": "AQAB"},
    "a modulus that is no text": lambda: rsa_jwk(n=5),
    "a point that is not on the curve": lambda: signer().jwk | {"x": b64url(bytes(32))},
    "a name that is no text": lambda: rsa_jwk(kid=1),
    "no kind": lambda: rsa_jwk(kty=None),
    "no object": lambda: "key",
}


@pytest.mark.parametrize("flaw", UNFIT)
def test_a_key_that_is_not_for_signing_tokens_is_skipped(flaw: str) -> None:
    unfit = UNFIT[flaw]()
    with pytest.raises(InputError, match="without a key"):
        parse_keys(json.dumps({"keys": [unfit]}).encode())
    (kept,) = parse_keys(json.dumps({"keys": [unfit, signer("EdDSA", "good").jwk]}).encode())
    assert kept.kid == "good"


@pytest.mark.parametrize("alg", ["RS256", "PS256", "ES256", "EdDSA"])
def test_a_key_without_an_algorithm_is_used_only_with_those_of_its_kind(alg: str) -> None:
    jwk = {name: value for name, value in signer(alg).jwk.items() if name not in {"alg", "use"}}
    (key,) = parse_keys(json.dumps({"keys": [jwk]}).encode())
    expected = {"R": {"RS256", "PS256"}, "P": {"RS256", "PS256"}, "ES": {"ES256"}, "Ed": {"EdDSA", "Ed25519"}}
    assert key.algorithms == next(fits for begin, fits in expected.items() if alg.startswith(begin))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"[]",
        b"{}",
        b'{"keys":{}}',
        b'{"keys":[]}',
        b"[" * 50_000,
        json.dumps({"keys": [{}] * (MAX_KEYS + 1)}).encode(),
    ],
)
def test_an_invalid_key_set_is_refused(data: bytes) -> None:
    with pytest.raises(InputError, match="got"):
        parse_keys(data)


@pytest.mark.parametrize(
    ("issuer", "private"),
    [
        ("http://id.example.org", False),
        ("id.example.org", False),
        ("https://id.example.org/?x=1", False),
        ("https://id.example.org/#x", False),
        ("https://a:b@id.example.org", False),
        ("ftp://id.example.org", True),
        ("", True),
    ],
)
def test_an_issuer_must_be_an_https_url_without_query(issuer: str, *, private: bool) -> None:
    with pytest.raises(InputError):
        Trust(issuer, AUDIENCE, allow_private=private)


def test_the_configuration_is_below_the_url_of_the_issuer() -> None:
    expected = "https://id.example.org/realm/.well-known/openid-configuration"
    assert {Trust(one, AUDIENCE).configuration_url for one in (ISSUER, ISSUER + "/")} == {expected}
    with pytest.raises(InputError, match="empty audience"):
        Trust(ISSUER, "")


def test_the_configured_lifetime_and_leeway_are_applied() -> None:
    short = Trust(ISSUER, AUDIENCE, max_lifetime=timedelta(minutes=5), leeway=timedelta())
    with pytest.raises(TokenError, match="lifetime too long"):
        verify_token(signer().token(claims()), published(signer()), short, NOW)
    with pytest.raises(TokenError, match="expired"):
        verify_token(signer().token(claims(exp=AT)), published(signer()), short, NOW)
