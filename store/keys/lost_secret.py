"""The error about a grant secret that is gone although its consent is in force."""

from volens.consent.errors import DamagedDataError


def lost_secret() -> DamagedDataError:
    """Return the error about a consent in force whose secret the keyring does not have."""
    return DamagedDataError("the keyring has no secret for a consent in force", "secret")
