"""What a person presents besides the receipt, as a request carries it: their secret as text, or their badge."""

import base64
from collections.abc import Iterator
from contextlib import contextmanager

from volens.consent import Badge, InputError, PersonSecret
from volens.index import PersonalToken


@contextmanager
def presented_token(secret: str | None, badge: bytes | None) -> Iterator[PersonalToken]:
    """Read the secret or the badge that was sent, and wipe it afterwards; None if neither was.

    Raises:
        InputError: both were sent, or what was sent is neither.
    """
    if secret is not None and badge is not None:
        raise InputError("got a secret and a badge; send the one that the zone needs")
    token: PersonalToken = None
    if badge is not None:
        token = Badge.parse(badge)
    elif secret is not None:
        token = PersonSecret.parse(secret)
    try:
        yield token
    finally:
        if token is not None:
            token.wipe()


def badge_bytes(text: str | None) -> bytes | None:
    """Return a badge from the base64 of a JSON body.

    Raises:
        InputError: it is not base64.
    """
    try:
        return None if text is None else base64.b64decode(text, validate=True)
    except ValueError:
        raise InputError("got a badge that is not base64; send it as the site handed it out") from None
