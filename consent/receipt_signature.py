"""How a receipt is signed: the form that it states, and the token that carries it.

| form | key | token |
|---|---|---|
| ``passkey`` | Ed25519, P-256 or RSA, in the person's authenticator | three segments like a JWS; see `passkey_token` |
| ``person_key`` | Ed25519, in the person's browser or tool | compact JWS |
| ``desk`` | Ed25519, made at the desk for the person | compact JWS |

The form is part of what is signed, so it cannot change afterwards. Not checked, and not checkable: that a key of the
forms ``person_key`` and ``desk`` was where the form says; the site's program writes the form when it offers a receipt.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Self, final

import rfc8785

from volens.consent import jws
from volens.consent.canonical import loads_canonical
from volens.consent.errors import InputError, RefusedError, TamperError
from volens.consent.passkey_assertion import PasskeyAssertion
from volens.consent.relying_party import RelyingParty
from volens.consent.subject_key import SubjectPublicKey

PASSKEY_TYPE: Final = "volens-receipt+webauthn"
_PERSON_TERMS: Final = {"form": "person_key"}
_DESK_TERMS: Final = {"form": "desk", "statement": "signed at the desk, with the key made there or brought there"}
_OTHER_TERMS: Final = "expected a known form of signature"


class SignatureForm(StrEnum):
    """Who held the private key when the receipt was signed."""

    PASSKEY = "passkey"
    PERSON_KEY = "person_key"
    DESK = "desk"


@final
@dataclass(frozen=True, slots=True)
class SignatureTerms:
    """What a receipt says about its own signature; `relying_party` only if the form is ``passkey``."""

    form: SignatureForm
    relying_party: RelyingParty | None = None

    @classmethod
    def of(cls, form: SignatureForm, relying_party: RelyingParty | None) -> Self:
        """Return the terms of a form at a site.

        Raises:
            RefusedError: a passkey is to sign, and the site has no public address.
        """
        if form is not SignatureForm.PASSKEY:
            return cls(form)
        if relying_party is None:
            raise RefusedError(
                "this site has no public address for which a passkey could sign; set one with 'volens defaults set "
                "--public-url https://door.example'"
            )
        return cls(form, relying_party)

    def to_json(self) -> dict[str, Any]:
        """Return the receipt's member ``signature``."""
        if self.relying_party is None:
            return dict(_DESK_TERMS if self.form is SignatureForm.DESK else _PERSON_TERMS)
        origin, rp_id = self.relying_party.origin, self.relying_party.rp_id
        return {"form": SignatureForm.PASSKEY.value, "origin": origin, "relying_party_id": rp_id}

    @classmethod
    def from_json(cls, said: Mapping[str, object]) -> Self:
        """Read the member ``signature``.

        Raises:
            InputError: it is not what `to_json` writes.
        """
        if said == _DESK_TERMS:
            return cls(SignatureForm.DESK)
        if said == _PERSON_TERMS:
            return cls(SignatureForm.PERSON_KEY)
        if said.get("form") != SignatureForm.PASSKEY:
            raise InputError(_OTHER_TERMS)
        terms = cls(SignatureForm.PASSKEY, RelyingParty.parse(str(said.get("origin"))))
        if said != terms.to_json():
            raise InputError(_OTHER_TERMS)
        return terms


def check_key_of_form(form: SignatureForm, key: SubjectPublicKey) -> None:
    """Check that a key can sign in a form.

    Raises:
        InputError: the form is not ``passkey``, and the key is not Ed25519.
    """
    if form is not SignatureForm.PASSKEY and key.ed25519 is None:
        raise InputError(f"got a key that cannot sign in the form {form.value!r}; expected Ed25519, or form 'passkey'")


def signing_input(document: bytes, typ: str) -> bytes:
    """Return the bytes over which an Ed25519 key signs a receipt (RFC 7515 section 5.1)."""
    return f"{_segment(jws.ALGORITHM, typ)}.{jws.b64url(document)}".encode("ascii")


def passkey_token(document: bytes, key: SubjectPublicKey, assertion: PasskeyAssertion) -> str:
    """Return the token of a receipt that a passkey signed.

    Three segments in base64url, with dots between: the header ``{"alg":ALG,"typ":"volens-receipt+webauthn"}``, the
    receipt, and ``{"authenticator_data":...,"client_data_json":...,"signature":...}`` as canonical JSON.
    """
    header = _PASSKEY_HEADERS[key.passkey_algorithm]
    return f"{header}.{jws.b64url(document)}.{jws.b64url(rfc8785.dumps(assertion.to_json()))}"


def peek_payload(token: str, typ: str) -> bytes:
    """Return the receipt in a token of either kind WITHOUT checking its signature.

    Raises:
        InputError: the token is malformed.
    """
    if _is_by_passkey(token):
        _header, payload, _assertion = _split(token)
        return payload
    return jws.peek(token, typ)


def verify_payload(token: str, typ: str, key: SubjectPublicKey, *, passkeys: bool = True) -> bytes:
    """Return the receipt in a token, once the signature of `key` over it holds. `check_terms` is the second half.

    Without `passkeys` only a JWS counts: no one checks then which web site a passkey signed for.

    Raises:
        InputError: the token is malformed.
        TamperError: the signature is not by this key over this receipt.
    """
    if not passkeys or not _is_by_passkey(token):
        if key.ed25519 is None:
            raise TamperError("integrity: the key cannot have signed this token, because it is not Ed25519")
        return jws.verify(token, typ, key.ed25519)
    header, payload, assertion = _split(token)
    if header != _PASSKEY_HEADERS[key.passkey_algorithm]:
        raise TamperError("integrity: the token names another algorithm than that of the key")
    assertion.check_signature(key, payload)
    return payload


def check_terms(token: str, terms: SignatureTerms) -> None:
    """Check that a token whose signature holds was signed as its receipt says: the form, and a passkey's web site.

    Raises:
        TamperError: it was not.
    """
    if (terms.relying_party is not None) != _is_by_passkey(token):
        raise TamperError("integrity: the receipt was signed in another form than it states")
    if terms.relying_party is not None:
        _header, _payload, assertion = _split(token)
        assertion.check_relying_party(terms.relying_party.origin, terms.relying_party.rp_id)


def _is_by_passkey(token: str) -> bool:
    return token.startswith(_PASSKEY_STARTS)


def _split(token: str) -> tuple[str, bytes, PasskeyAssertion]:
    if len(token) > jws.MAX_TOKEN_BYTES:
        raise InputError(f"got a token of {len(token)} characters; expected at most {jws.MAX_TOKEN_BYTES}")
    header, *segments = token.split(".")
    if len(segments) != _FURTHER_SEGMENTS:
        raise InputError(f"got {1 + len(segments)} dot-separated segments; expected {1 + _FURTHER_SEGMENTS}")
    payload, signed = map(jws.from_b64url, segments)
    try:
        assertion = loads_canonical(signed)
    except (ValueError, RecursionError):
        raise InputError("got a passkey's signature that is not canonical JSON (RFC 8785)") from None
    return header, payload, PasskeyAssertion.from_json(assertion)


def _segment(alg: str, typ: str) -> str:
    return jws.b64url(rfc8785.dumps({"alg": alg, "typ": typ}))


_FURTHER_SEGMENTS: Final = 2
_PASSKEY_HEADERS: Final = {alg: _segment(alg, PASSKEY_TYPE) for alg in ("EdDSA", "ES256", "RS256")}
# Exactly these bytes: a passkey does not sign the header, so another spelling would be another token of one signature.
_PASSKEY_STARTS: Final = tuple(f"{header}." for header in _PASSKEY_HEADERS.values())
