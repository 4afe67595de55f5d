"""The error about a grant secret that is gone although its consent is in force."""

from volens.consent import TamperError


def lost_secret() -> TamperError:
    """Return the error about a consent in force whose secret the keyring does not have, with what cures it."""
    return TamperError(
        "integrity: the keyring has no secret for a consent in force; put the newest keyring.db back, or run 'volens "
        "restore --in-place', which ends the consents that no key opens"
    )
