"""The table of people to invite: CSV in UTF-8, with a heading, and commas or semicolons between its columns."""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, final

from volens.consent import InputError
from volens.consent.reason import Reason

DEFAULT_DAYS: Final = 14
MAX_ROWS: Final = 10_000
_COLUMNS: Final = ("name", "zone", "external_id", "language", "jurisdiction", "valid_days")


@final
@dataclass(frozen=True, slots=True)
class Invitee:
    """A person to invite; see `volens.enroll.Invitations.invite` for the fields."""

    zone: str
    name: str = field(repr=False)
    jurisdiction: str
    language: str | None = None
    external_id: str | None = field(default=None, repr=False)
    valid_days: int | None = None
    days: int = DEFAULT_DAYS
    valid_until: datetime | None = None


def read_invitees(data: bytes, *, zone: str, jurisdiction: str, days: int) -> list[tuple[int, Invitee]]:
    """Return the people of a table, each with the number of its row; the heading is row 1.

    Columns: ``name``, and if you like ``zone``, ``external_id``, ``language``, ``jurisdiction``, ``valid_days``. An
    empty cell is `zone`, `jurisdiction`, or none.

    Raises:
        InputError: the bytes are not such a table, or it has more than `MAX_ROWS` rows. No cell is repeated.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(
            "got a table that is not UTF-8; save it as 'CSV UTF-8'", reason=Reason.TABLE_ENCODING
        ) from None
    first = text.partition("\n")[0]
    between = ";" if first.count(";") > first.count(",") else ","
    rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=between, strict=True)
    people = []
    try:
        columns = {name.strip() for name in rows.fieldnames or ()}
        if "name" not in columns or not columns <= set(_COLUMNS):
            raise InputError(
                f"got a table with {len(columns)} columns; expected 'name' and, if you like, {', '.join(_COLUMNS[1:])}",
                reason=Reason.TABLE_COLUMNS,
            )
        for number, row in enumerate(rows, start=2):
            cells = {str(name).strip(): value.strip() for name, value in row.items() if isinstance(value, str)}
            person = Invitee(
                zone=cells.get("zone") or zone,
                name=cells["name"],
                jurisdiction=cells.get("jurisdiction") or jurisdiction,
                language=cells.get("language") or None,
                external_id=cells.get("external_id") or None,
                valid_days=_number(cells, number),
                days=days,
            )
            people.append((number, person))
    except csv.Error as error:
        raise InputError(f"got a table that is not CSV ({error}); check its quotes", reason=Reason.TABLE_FORM) from None
    if not 1 <= len(people) <= MAX_ROWS:
        raise InputError(
            f"got a table of {len(people)} rows; expected one for each person, at most {MAX_ROWS}",
            reason=Reason.TABLE_SIZE,
        )
    return people


def _number(cells: Mapping[str, str], row: int) -> int | None:
    text = cells.get("valid_days", "")
    if text and not (text.isascii() and text.isdecimal() and len(text) <= 4):  # noqa: PLR2004  more than any term
        error = InputError(
            f"row {row} has a number of days that is no number; correct it, no one was invited",
            reason=Reason.TABLE_DAYS,
        )
        error.number = row
        raise error
    return int(text) if text else None
