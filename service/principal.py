"""The authenticated caller of an HTTP request: by one of our credentials, or by a token of a trusted issuer."""

from dataclasses import dataclass
from typing import Self, final

from volens.consent import Purpose
from volens.store.programs import Credential, Role


@final
@dataclass(frozen=True, slots=True)
class Principal:
    """What authorisation depends on; nothing else about a caller matters.

    Attributes:
        caller_id: for logs and rate limits: a credential's id, or ``oidc:`` and a keyed hash.
        role: what the caller may do.
        purpose: the only zone that the caller may use; None for all.
    """

    caller_id: str
    role: Role
    purpose: Purpose | None

    @classmethod
    def of(cls, credential: Credential) -> Self:
        """Return the caller that presents a credential."""
        return cls(credential.credential_id, credential.role, credential.purpose)
