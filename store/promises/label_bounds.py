"""Bounds of labels and validity periods that an operator sets for credentials, senders and other operators."""

from typing import Final

from volens.consent import InputError

MAX_LABEL_LENGTH: Final = 100
MAX_GRACE_HOURS: Final = 720
DEFAULT_GRACE_HOURS: Final = 24


def plain_label(label: str) -> str:
    """Return a label without surrounding blanks.

    Raises:
        InputError: it does not have 1 to `MAX_LABEL_LENGTH` printable characters.
    """
    plain = label.strip()
    if not 1 <= len(plain) <= MAX_LABEL_LENGTH or not label.isprintable():
        raise InputError(f"got a label of {len(plain)} characters; expected 1 to {MAX_LABEL_LENGTH} printable ones")
    return plain


def check_within(got: int, least: int, most: int, what: str = "hours") -> None:
    """Check that a number is in its range.

    Raises:
        InputError: it is not.
    """
    if not least <= got <= most:
        raise InputError(f"got {got} {what}; expected {least} to {most}")
