"""Names for identifiers, so that mypy refuses to mix them."""

import re
from typing import Final, NewType

from volens.consent.errors import InputError

SiteId = NewType("SiteId", str)
"""Names one installation; part of every receipt, so that a receipt for one site is foreign to all others."""

Purpose = NewType("Purpose", str)
"""The zone name: one purpose (GDPR 5(1)(b)) at one set of doors."""

DataSubjectId = NewType("DataSubjectId", str)
"""RFC 7638 SHA-256 thumbprint of the data subject's public key, base64url without padding, 43 characters."""

ReceiptId = NewType("ReceiptId", str)
"""16 random bytes in lower-case hexadecimal, 32 characters."""

ReferenceId = NewType("ReferenceId", int)
"""Number of a biometric reference, 1 upwards; never given out twice."""

ModelId = NewType("ModelId", str)
"""Embedding model and the first 8 hexadecimal digits of its weights' SHA-256: ``sface_2021dec_int8bq@fb143eea``."""

_PURPOSE: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_RECEIPT_ID: Final = re.compile(r"[0-9a-f]{32}")
_SUBJECT_ID: Final = re.compile(r"[A-Za-z0-9_-]{43}")


def parse_purpose(text: str) -> Purpose:
    """Return a zone name: 1 to 63 of ``a-z 0-9 _ -``, starting with a letter or digit.

    Raises:
        InputError: the text is no zone name.
    """
    if not _PURPOSE.fullmatch(text):
        raise InputError(
            f"got zone name {text[:80]!r}; expected 1 to 63 characters of a-z, 0-9, '_' and '-', starting with a "
            "letter or digit; choose another name"
        )
    return Purpose(text)


def is_receipt_id(text: object) -> bool:
    """Tell whether a parsed value has the form of a receipt id."""
    return isinstance(text, str) and _RECEIPT_ID.fullmatch(text) is not None


def is_subject_id(text: object) -> bool:
    """Tell whether a parsed value has the form of a data subject id."""
    return isinstance(text, str) and _SUBJECT_ID.fullmatch(text) is not None
