"""The list of people as a CSV file, for the command line and the desk's page."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Final

from volens.rights import PersonEntry
from volens.service.csv_table import csv_table

_COLUMNS: Final = (
    *("name", "zone", "receipt_id", "subject_id", "state", "custody", "given_at", "ends_at", "end_reason"),
    *("references", "second_factor", "has_badge", "is_linked", "restricted_at"),
)


def people_csv(entries: Sequence[PersonEntry]) -> bytes:
    """Return people as CSV."""
    return csv_table(
        _COLUMNS, ({"name": one.name, "zone": one.consent.purpose} | asdict(one.consent) for one in entries)
    )
