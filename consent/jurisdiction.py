"""Jurisdiction: the country, or part of one, whose law protects a person (ISO 3166 code)."""

import re
from typing import Final

from volens.consent.errors import InputError
from volens.consent.reason import Reason
from volens.consent.typed_text import parse_code

JURISDICTION: Final = re.compile(r"[A-Z]{2}(-[A-Z0-9]{1,3})?")


def parse_jurisdiction(text: str) -> str:
    """Return a typed ISO 3166 code such as ``FR`` or ``US-IL``, in capitals.

    Raises:
        InputError: the text is not such a code.

    Not checked: whether the country exists.
    """
    code = parse_code(text, " ").upper()
    if not JURISDICTION.fullmatch(code):
        raise InputError(
            f"got jurisdiction {text[:20]!r}; expected an ISO 3166 code such as FR or US-IL",
            reason=Reason.JURISDICTION_FORM,
        )
    return code


def covers(order: str, person: str) -> bool:
    """Return whether an order for one jurisdiction applies to a person; a country covers its parts."""
    return person == order or person.startswith(f"{order}-")
