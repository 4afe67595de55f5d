"""Trust in an issuer: its URL, the audience, the claims and the limits of its tokens. Pure."""

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
    """A trusted issuer, and the requirements on its tokens.

    Attributes:
        issuer: must be equal to a token's ``iss`` and to the issuer in its own configuration.
        audience: must be among a token's ``aud``.
        role_claim: name of the claim with one of our roles.
        zone_claim: name of the claim with the caller's only zone.
        allow_private: the issuer may be in a private network, and may then use plain ``http``.
        max_lifetime: longest time from ``iat`` to ``exp``, because a token cannot be revoked.
        leeway: tolerated error of the issuer's clock.

    Raises:
        InputError: the issuer is not an ``https`` URL without query, or the audience or a claim's name is empty.
    """

    issuer: str
    audience: str
    role_claim: str = ROLE_CLAIM
    zone_claim: str = ZONE_CLAIM
    allow_private: bool = False
    max_lifetime: timedelta = MAX_LIFETIME
    leeway: timedelta = LEEWAY

    def __post_init__(self) -> None:
        """Check the values."""
        try:
            parse_target(self.configuration_url, allow_private=self.allow_private)
            is_plain = "?" not in self.issuer
        except InputError:
            is_plain = False
        if not is_plain:
            raise InputError(
                "got an issuer that is not a plain https URL; expected https://host or https://host/path, as in "
                "its tokens (http only in a private network that is allowed)"
            )
        if not (self.audience and self.role_claim and self.zone_claim):
            raise InputError(
                "got an empty audience or claim name; expected the values that the issuer writes into tokens"
            )

    @property
    def configuration_url(self) -> str:
        """URL of the issuer's configuration (OpenID Connect Discovery 1.0, section 4)."""
        return self.issuer.removesuffix("/") + _CONFIGURATION
