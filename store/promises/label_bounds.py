"""Bounds of labels and validity periods that an operator sets for credentials, senders and other operators."""

from typing import Final

from volens.consent import InputError
from volens.consent.typed_text import parse_text

MAX_LABEL_LENGTH: Final = 100
MAX_GRACE_HOURS: Final = 720
DEFAULT_GRACE_HOURS: Final = 24


def plain_label(label: str) -> str:
    """Return a label in its stored form: 1 to `MAX_LABEL_LENGTH` characters.

    Raises:
        InputError: see `volens.consent.typed_text.parse_text`.
    """
    return parse_text(label, "a label", MAX_LABEL_LENGTH)


def check_within(got: int, least: int, most: int, what: str = "hours") -> None:
    """Check that a number is in its range.

    Raises:
        InputError: it is not.
    """
    if not least <= got <= most:
        raise InputError(f"got {got} {what}; expected {least} to {most}")
