"""Passkey registration: what ``navigator.credentials.create`` is asked for, and what it returned, by py_webauthn.

A registration only brings the public key of a new passkey to the site. It proves nothing about the person, and no
attestation of the authenticator is asked for: which device a person uses is their own business. What counts is the
signature over the receipt, which `volens.consent.passkey_assertion` verifies.
"""

from dataclasses import dataclass
from typing import Any, Final, final

from webauthn import generate_registration_options, options_to_json, verify_registration_response
from webauthn.helpers import base64url_to_bytes, decode_credential_public_key, parse_attestation_object
from webauthn.helpers.cose import COSEAlgorithmIdentifier
from webauthn.helpers.decoded_public_key_to_cryptography import decoded_public_key_to_cryptography
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AttestationFormat,
    AuthenticatorSelectionCriteria,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from volens.consent import InputError
from volens.consent.json_reader import read_json
from volens.consent.relying_party import RelyingParty
from volens.consent.subject_key import SubjectPublicKey
from volens.store.keys import Random

ALGORITHMS: Final = (
    COSEAlgorithmIdentifier.ECDSA_SHA_256,
    COSEAlgorithmIdentifier.EDDSA,
    COSEAlgorithmIdentifier.RSASSA_PKCS1_v1_5_SHA_256,
)
"""COSE -7, -8 and -257, to be named in ``pubKeyCredParams``."""
MAX_CREDENTIAL_ID_BYTES: Final = 1023
CHALLENGE_BYTES: Final = 32
_MAX_PART_CHARACTERS: Final = 16 * 1024


@final
@dataclass(frozen=True, slots=True)
class PasskeyRegistration:
    """A new passkey.

    Attributes:
        public_key: to be named in a receipt that it signs.
        credential_id: 1 to 1023 bytes; the browser finds the passkey again by it. The site need not keep it.
    """

    public_key: SubjectPublicKey
    credential_id: bytes


def creation_options(
    relying_party: RelyingParty, name: str, challenge: bytes, random: Random, *, is_sign_in: bool = False
) -> dict[str, Any]:
    """Return ``PublicKeyCredentialCreationOptions`` as JSON; `name` is what the device shows beside the passkey.

    With `is_sign_in` the device must be able to find the passkey by itself, because no one has said who signs in.

    The user handle is random: the device does not learn who the person is at the site, and the site keeps nothing. The
    caller keeps the challenge until the browser answers.
    """
    options = generate_registration_options(
        rp_id=relying_party.rp_id,
        rp_name=relying_party.rp_id,
        user_id=random(CHALLENGE_BYTES),
        user_name=name,
        user_display_name=name,
        challenge=challenge,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED if is_sign_in else ResidentKeyRequirement.PREFERRED,
            user_verification=UserVerificationRequirement.REQUIRED,
        ),
        supported_pub_key_algs=list(ALGORITHMS),
    )
    found: dict[str, Any] = read_json(options_to_json(options))
    return found


def read_registration(
    credential: dict[str, Any], *, challenge: bytes, relying_party: RelyingParty
) -> PasskeyRegistration:
    """Return the passkey that a browser made: the answer of ``PublicKeyCredential.toJSON``.

    Raises:
        InputError: it is not for this challenge or this web site, the person was not verified, the algorithm is not one
            of `ALGORITHMS`, it has an attestation, or it is malformed.

    Not checked: which authenticator it is.
    """
    try:
        _check_attestation(credential)
        found = verify_registration_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=relying_party.rp_id,
            expected_origin=relying_party.origin,
            require_user_verification=True,
            supported_pub_key_algs=list(ALGORITHMS),
        )
        key = decoded_public_key_to_cryptography(decode_credential_public_key(found.credential_public_key))
    except (WebAuthnException, ValueError, TypeError, LookupError, AttributeError, RecursionError, OverflowError):
        raise InputError("got a passkey that this site cannot use; make it again on this site's page") from None
    if not 0 < len(found.credential_id) <= MAX_CREDENTIAL_ID_BYTES:
        raise InputError("got a passkey whose id has no or too many bytes; make it again")
    return PasskeyRegistration(SubjectPublicKey.of(key), found.credential_id)


def _check_attestation(credential: dict[str, Any]) -> None:
    """Refuse certificates of a maker, before anything reads them: formats ``none`` and self-attestation have none."""
    parts = (credential["id"], *credential["response"].values())
    if any(isinstance(part, str) and len(part) > _MAX_PART_CHARACTERS for part in parts):
        raise ValueError
    found = parse_attestation_object(base64url_to_bytes(credential["response"]["attestationObject"]))
    is_self_attested = found.fmt == AttestationFormat.PACKED and not found.att_stmt.x5c
    if found.fmt != AttestationFormat.NONE and not is_self_attested:
        raise InputError("got a passkey with an attestation of its maker; ask the browser for attestation 'none'")
