"""Bounds of what an operator says about programs and people who may do something: how they are called, for how long."""

from typing import Final

from volens.consent import InputError

MAX_LABEL_LENGTH: Final = 100
MAX_GRACE_HOURS: Final = 720
DEFAULT_GRACE_HOURS: Final = 24


def plain_label(label: str) -> str:
    """Return a label without blanks around it.

    Raises:
        InputError: it is none of 1 to `MAX_LABEL_LENGTH` characters that print.
    """
    plain = label.strip()
    if not 1 <= len(plain) <= MAX_LABEL_LENGTH or not label.isprintable():
        raise InputError(f"got a label of {len(plain)} characters; expected 1 to {MAX_LABEL_LENGTH} to print")
    return plain


def check_within(got: int, least: int, most: int, what: str = "hours") -> None:
    """Refuse a number out of its range.

    Raises:
        InputError: it is.
    """
    if not least <= got <= most:
        raise InputError(f"got {got} {what}; expected {least} to {most}")
