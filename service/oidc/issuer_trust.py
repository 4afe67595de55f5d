"""Which issuer is believed, and how far. Pure."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final, final

from volens.consent import InputError
from volens.service.webhooks.address_guard import parse_target

ROLE_CLAIM: Final = "volens_role"
ZONE_CLAIM: Final = "volens_zone"
MAX_LIFETIME: Final = timedelta(hours=2)
LEEWAY: Final = timedelta(seconds=60)

_CONFIGURATION: Final = "/.well-known/openid-configuration"


@final
@dataclass(frozen=True, slots=True)
class Trust:
    """One issuer, and what its tokens must say.

    Attributes:
        issuer: compared with a token's ``iss`` and with the issuer's own description, letter by letter.
        audience: must be among a token's ``aud``.
        role_claim: names the claim that holds one of our roles.
        zone_claim: names the claim that holds the caller's only zone.
        allow_private: the issuer may be in a private network, and may then speak plain ``http``.
        max_lifetime: longest time from ``iat`` to ``exp``: nobody can take a token back.
        leeway: by how much the issuer's clock may be wrong.

    Raises:
        InputError: the issuer is no ``https`` URL without query, or the audience or a claim's name is empty.
    """

    issuer: str
    audience: str
    role_claim: str = ROLE_CLAIM
    zone_claim: str = ZONE_CLAIM
    allow_private: bool = False
    max_lifetime: timedelta = MAX_LIFETIME
    leeway: timedelta = LEEWAY

    def __post_init__(self) -> None:
        """Check that."""
        if "?" in self.issuer or not _is_plain(self.configuration_url, allow_private=self.allow_private):
            raise InputError(
                "got an issuer that is no plain https URL; expected https://host or https://host/path, as it stands in "
                "its tokens (http only in a private network that is allowed)"
            )
        if not (self.audience and self.role_claim and self.zone_claim):
            raise InputError("got an empty audience or name of a claim; expected what the issuer writes into tokens")

    @property
    def configuration_url(self) -> str:
        """Return where the issuer describes itself (OpenID Connect Discovery 1.0, section 4)."""
        return self.issuer.removesuffix("/") + _CONFIGURATION


def _is_plain(url: str, *, allow_private: bool) -> bool:
    try:
        parse_target(url, allow_private=allow_private)
    except InputError:
        return False
    return True
