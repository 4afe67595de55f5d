"""The link with which a member of staff makes a passkey: the token is in its fragment, which no server sees."""

from volens.consent.relying_party import RelyingParty
from volens.store.programs.credentials import CredentialToken


def staff_link(public_url: RelyingParty, token: CredentialToken) -> str:
    """Return the link for one member. It is a secret until it was used, once."""
    return f"{public_url.origin}/staff#{token.reveal()}"
