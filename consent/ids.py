"""Identifier types (`NewType`), so that mypy refuses to mix them."""

import re
from typing import Final, NewType

from volens.consent.errors import InputError
from volens.consent.typed_text import comparison_key

SiteId = NewType("SiteId", str)
"""Identifies one installation; part of every receipt, so that all other sites refuse a receipt for this one."""

Purpose = NewType("Purpose", str)
"""The zone name: one purpose (GDPR 5(1)(b)) at one set of doors."""

DataSubjectId = NewType("DataSubjectId", str)
"""RFC 7638 SHA-256 thumbprint of the data subject's public key, base64url without padding, 43 characters."""

ReceiptId = NewType("ReceiptId", str)
"""16 random bytes in lower-case hexadecimal, 32 characters."""

ReferenceId = NewType("ReferenceId", int)
"""Number of a biometric reference, from 1; never reused."""

ModelId = NewType("ModelId", str)
"""Embedding model and the first 8 hexadecimal digits of its weights' SHA-256: ``sface_2021dec_int8bq@fb143eea``."""

_PURPOSE: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
RECEIPT_ID: Final = re.compile(r"[0-9a-f]{32}")
SUBJECT_ID: Final = re.compile(r"[A-Za-z0-9_-]{43}")


def parse_purpose(text: str) -> Purpose:
    """Return a typed zone name, its capitals as small letters; see `check_purpose`.

    Raises:
        InputError: the text is not a zone name.
    """
    return check_purpose(comparison_key(text))


def check_purpose(text: str) -> Purpose:
    """Return a zone name: 1 to 63 of ``a-z 0-9 _ -``, starting with a letter or digit.

    Raises:
        InputError: the text is not a zone name.
    """
    if not _PURPOSE.fullmatch(text):
        raise InputError(
            f"got zone name {text[:80]!r}; expected 1 to 63 characters of a-z, 0-9, '_' and '-', starting with a "
            "letter or digit; choose another name"
        )
    return Purpose(text)
