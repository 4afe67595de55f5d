"""Who asks, whatever they have shown: a credential of ours, or a token of an issuer that is believed."""

from dataclasses import dataclass
from typing import Self, final

from volens.consent import Purpose
from volens.store.programs import Credential, Role


@final
@dataclass(frozen=True, slots=True)
class Principal:
    """What decides about a request: nothing else is asked about a caller.

    Attributes:
        caller_id: stands in logs, and for how often somebody asks: a credential's id, or ``oidc:`` and a keyed hash.
        role: what they may do.
        purpose: the only zone they may do it in; None for all.
    """

    caller_id: str
    role: Role
    purpose: Purpose | None

    @classmethod
    def of(cls, credential: Credential) -> Self:
        """Return who shows a credential."""
        return cls(credential.credential_id, credential.role, credential.purpose)
