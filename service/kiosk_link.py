"""The link that pairs a kiosk: a door's token is in its fragment, which browsers send to no server."""

from volens.consent import Purpose
from volens.consent.relying_party import RelyingParty
from volens.store.programs.credentials import CredentialToken


def kiosk_link(public_url: RelyingParty, zone: Purpose, token: CredentialToken) -> str:
    """Return the link for the browser of one tablet. It is a secret until the browser has opened it, and after."""
    return f"{public_url.origin}/kiosk/{zone}#{token.reveal()}"
