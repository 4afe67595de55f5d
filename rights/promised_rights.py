"""Rights of people in words: those that the profile of their law names, and the authority to complain to."""

from collections.abc import Iterable
from typing import Final

from volens.consent.law import Right
from volens.consent.processing_record import ProcessingRecord
from volens.erase.pages import PageLanguage

EVERYWHERE: Final = (Right.ACCESS, Right.ERASURE, Right.WITHDRAWAL)
"""Rights that Volens carries out for everyone, whatever the law: for a person whose law has no profile here."""


def rights_of(records: Iterable[ProcessingRecord], language: PageLanguage) -> list[tuple[str, dict[str, str]]]:
    """Return the rights of the profiles of some records, each once, and each authority.

    Each is a key of `volens.erase.pages.PageWords`, with the values for its words.
    """
    profiles = list({one.profile.code: one.profile for one in records}.values())
    named = {right for one in profiles for right in one.rights} if profiles else {*EVERYWHERE}
    found: list[tuple[str, dict[str, str]]] = [
        (f"right {right}", {}) for right in Right if right in named and right is not Right.COMPLAINT
    ]
    authorities = [{"authority": one.authority.name[language], "url": one.authority.url} for one in profiles]
    complaints = [("right complaint", its) for its in authorities]
    return [*found, *complaints] if profiles else [*found, ("right complaint_anywhere", {})]
