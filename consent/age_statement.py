"""What a person says about their age when they consent, and the guardian who signs beside them.

A person is asked one thing, "are you at least N years old", and only the answer is kept: no age, no date of birth. The
answer is in the receipt that the person signs. Of a person who says no, the receipt also has the guardian's public key,
and the guardian signs the same bytes (`GUARDIAN_TYPE`); so neither of the two can sign another text than the other.
"""

from dataclasses import dataclass
from typing import Any, Final, Self, final

import rfc8785

from volens.consent.canonical import loads_canonical
from volens.consent.errors import InputError, RefusedError, TamperError
from volens.consent.reason import Reason
from volens.consent.receipt_signature import verify_payload
from volens.consent.subject_key import SubjectKey, SubjectPublicKey

GUARDIAN_TYPE: Final = "volens-guardian+jws"
MEMBER: Final = "age_statement"
"""The member of the receipt; it has none if the person was not asked."""
_OTHER_FORM: Final = "expected an age statement with consent_age, of_age, and the guardian's key of a person under age"
_OLDEST: Final = 120


@final
@dataclass(frozen=True, slots=True)
class AgeAnswer:
    """What the person answered, and of a person under age the guardian's key.

    Attributes:
        desk_key: the guardian's private key, if they sign at the desk (`at_desk`).
    """

    of_age: bool
    guardian: SubjectPublicKey | None = None
    desk_key: SubjectKey | None = None

    @classmethod
    def at_desk(cls, *, of_age: bool, guardian: SubjectKey | None = None) -> Self:
        """Return an answer whose guardian signs at the desk."""
        return cls(of_age, None if guardian is None else guardian.public, guardian)


@final
@dataclass(frozen=True, slots=True)
class AgeStatement:
    """The answer.

    Attributes:
        consent_age: the age that was asked for, of the profile.
        of_age: whether the person is at least so old, as they say.
        guardian: the Ed25519 key of the guardian; exactly if the person is not.
    """

    consent_age: int
    of_age: bool
    guardian: SubjectPublicKey | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the member of the receipt."""
        said: dict[str, Any] = {"consent_age": self.consent_age, "of_age": self.of_age}
        return said if self.guardian is None else said | {"guardian_key": self.guardian.to_jwk()}

    @classmethod
    def from_json(cls, said: object) -> Self:
        """Read the member of a receipt.

        Raises:
            InputError: it is not what `to_json` writes.
        """
        if not isinstance(said, dict):
            raise InputError(_OTHER_FORM)
        age, of_age, jwk = said.get("consent_age"), said.get("of_age"), said.get("guardian_key")
        if type(age) is not int or not 1 <= age <= _OLDEST or not isinstance(of_age, bool):
            raise InputError(_OTHER_FORM)
        guardian = SubjectPublicKey.from_receipt(jwk) if isinstance(jwk, dict) else None
        found = cls(age, of_age, guardian)
        if found.to_json() != said or (guardian is None) is not of_age:
            raise InputError(_OTHER_FORM)
        if guardian is not None and guardian.ed25519 is None:
            raise InputError("got a guardian's key that is not Ed25519; a guardian signs with an Ed25519 key")
        return found

    def added_to(self, document: bytes) -> bytes:
        """Return a composed receipt with this statement, as canonical JSON."""
        return rfc8785.dumps({**loads_canonical(document), MEMBER: self.to_json()})

    def check_guardian(self, document: bytes, token: str | None) -> None:
        """Check that the guardian signed the same receipt as the person; that no one signed where none is needed.

        Raises:
            InputError: the token is malformed, or there is one and the receipt names no guardian.
            RefusedError: the guardian's signature is missing, or is not by this guardian over this receipt.
        """
        if self.guardian is None:
            if token is not None:
                raise InputError("got a guardian's signature, but the receipt names no guardian; leave it out")
            return
        try:
            is_theirs = token is not None and _signed_by(self.guardian, token) == document
        except TamperError:
            is_theirs = False
        if not is_theirs:
            raise RefusedError(
                "the guardian that the receipt names has not signed it; let the guardian sign what was offered, with "
                "the key that was named",
                reason=Reason.GUARDIAN_NEEDED,
            )


def _signed_by(guardian: SubjectPublicKey, token: str) -> bytes:
    return verify_payload(token, GUARDIAN_TYPE, guardian, passkeys=False)


def sign_as_guardian(document: bytes, key: SubjectKey) -> str:
    """Return the guardian's signature over an offered receipt: a compact JWS."""
    return key.sign(document, GUARDIAN_TYPE)
