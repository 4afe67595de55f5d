"""The list of people as a CSV file (RFC 4180, UTF-8), for the command line and the desk's page."""

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Final

from volens.consent import format_time
from volens.rights import PersonEntry

_COLUMNS: Final = (
    *("name", "zone", "receipt_id", "subject_id", "state", "custody", "given_at", "ends_at", "end_reason"),
    *("references", "second_factor", "has_badge", "is_linked", "restricted_at"),
)
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What a spreadsheet may take for the beginning of a formula; the last four are full-width forms (OWASP)."""


def people_csv(entries: Sequence[PersonEntry]) -> bytes:
    """Return people as CSV; no cell is one that a spreadsheet takes for a formula."""
    out = io.StringIO()
    writer = csv.DictWriter(out, _COLUMNS, extrasaction="ignore")
    writer.writeheader()
    for one in entries:
        row = {"name": one.name, "zone": one.consent.purpose} | asdict(one.consent)
        writer.writerow({name: _cell(value) for name, value in row.items()})
    return out.getvalue().encode("utf-8")


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = "" if value is None else format_time(value) if isinstance(value, datetime) else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text
