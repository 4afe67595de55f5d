"""`volens import`: enroll many people who gave consent from a CSV table, with a report about each."""

import csv
import io
import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Final

import typer

from volens import Site
from volens.consent import InputError, UnavailableError, VolensError
from volens.enroll import Applicant, EnrollmentOutcome, EnrollmentReport
from volens.service.cli.command_types import Commands
from volens.service.cli.exit_codes import ExitCode
from volens.service.cli.named_files import must_be_new, read_file, write_private
from volens.service.cli.options import HomeOption, JsonOption, PackOptions
from volens.service.cli.output import counted, emit, progress, shown
from volens.service.cli.session import models, opened

app: Final = Commands()

_COLUMNS: Final = ("receipt", "photos", "external_id")
_REQUIRED: Final = frozenset({"receipt", "photos"})
_REPORT_COLUMNS: Final = ("person", "outcome", "reason", "receipt_id", "photo_count")
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")

ReportOption = Annotated[
    Path | None,
    typer.Option("--report", help="New file for the report about each person: .csv, or JSON.", show_default=False),
]


@app.command("import", "people.csv --report report.csv")
def import_people(
    table: Annotated[
        Path,
        typer.Argument(
            metavar="CSV", help="Columns: receipt, photos (files with ; between, or a folder), external_id."
        ),
    ],
    report: ReportOption = None,
    allow_few: Annotated[bool, typer.Option("--allow-few", help="Accept fewer than 3 photos of a person.")] = False,
    pack: PackOptions = PackOptions(),
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Enroll many people who gave consent, from a table with one row for each.

    Each row names the receipt of a consent in force; no consent is created. A person who is refused does not stop the
    others, and a second run enrolls no one twice. Paths are relative to the table.
    """
    people = _people(read_file(table, "table"), table.absolute().parent)
    must_be_new(report, "report")
    with opened(home, models(pack)) as site:
        enroll_with_report(site, people, report, allow_few=allow_few, as_json=as_json)


def enroll_with_report(
    site: Site, people: Sequence[Applicant], report: Path | None, *, allow_few: bool, as_json: bool
) -> None:
    """Enroll people, print what was done, and write the report, also of a run that was interrupted.

    Raises:
        typer.Exit: a person was refused; exit code 1.
        UnavailableError: the store, or the report, could not be written; it says how many people are done.
    """
    done: list[EnrollmentReport] = []
    try:
        with progress("enrolling people") as advance:
            for one in site.changes.enroll_people(people, allow_few=allow_few):
                done.append(one)
                advance(len(done), len(people))
    except BaseException as problem:
        with suppress(VolensError):  # the first problem is told
            _write_report(report, done)
        if isinstance(problem, UnavailableError):
            raise _unfinished(problem, done, people) from None
        raise
    try:
        _write_report(report, done)
    except UnavailableError as problem:
        raise _unfinished(problem, done, people) from None
    refused = [one for one in done if one.outcome is EnrollmentOutcome.REFUSED]
    counts = {kind.value: sum(one.outcome is kind for one in done) for kind in EnrollmentOutcome}
    lines = [f"{shown(one.label)}: refused: {shown(one.reason)}" for one in refused]
    lines.append(f"{counted(len(done), 'person', 'people')}: " + ", ".join(f"{n} {kind}" for kind, n in counts.items()))
    emit({"counts": counts, "people": [_document(one) for one in done]}, "\n".join(lines), as_json=as_json)
    if refused:
        raise typer.Exit(ExitCode.REFUSED)


def _write_report(report: Path | None, done: Sequence[EnrollmentReport]) -> None:
    if report is not None:
        write_private(report, _report(done, as_csv=report.suffix.lower() == ".csv"))


def _unfinished(
    problem: UnavailableError, done: Sequence[EnrollmentReport], people: Sequence[Applicant]
) -> UnavailableError:
    enrolled = sum(one.outcome is not EnrollmentOutcome.REFUSED for one in done)
    return UnavailableError(
        f"{problem}; {enrolled} of {counted(len(people), 'person', 'people')} are enrolled; repeat the command for the "
        "others and for the report: no one is enrolled twice"
    )


def _people(data: bytes, folder: Path) -> list[Applicant]:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError("got a table that is not UTF-8; save it as 'CSV UTF-8'") from None
    first = text.partition("\n")[0]
    rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=";" if first.count(";") > first.count(",") else ",")
    columns = {name.strip() for name in rows.fieldnames or ()}
    if not _REQUIRED <= columns <= set(_COLUMNS):
        raise InputError(
            f"got a table with the columns {', '.join(sorted(columns)) or '(none)'}; expected receipt, photos and, if "
            "you like, external_id"
        )
    people = []
    try:
        for number, row in enumerate(rows, start=2):
            cells = {str(name).strip(): (value or "").strip() for name, value in row.items() if isinstance(value, str)}
            receipt, photos = cells.get("receipt", ""), [one.strip() for one in cells.get("photos", "").split(";")]
            problem = "" if receipt and any(photos) else "the row has no receipt or no photos"
            label = f"row {number}: {receipt}" if receipt else f"row {number}"
            paths = [folder / one for one in photos if one]
            people.append(Applicant(label, folder / receipt, paths, cells.get("external_id") or None, problem))
    except csv.Error as error:
        raise InputError(f"got a table that is not CSV ({error}); check its quotes") from None
    if not people:
        raise InputError("got a table without a row; expected one for each person")
    return people


def _document(one: EnrollmentReport) -> dict[str, object]:
    count = None if one.enrolled is None else one.enrolled.photo_count
    values = (one.label, one.outcome.value, one.reason, one.receipt_id, count)
    return dict(zip(_REPORT_COLUMNS, values, strict=True))


def _report(done: Sequence[EnrollmentReport], *, as_csv: bool) -> bytes:
    if not as_csv:
        return json.dumps([_document(one) for one in done], indent=2, ensure_ascii=False).encode("utf-8") + b"\n"
    text = io.StringIO(newline="")
    rows = csv.DictWriter(text, _REPORT_COLUMNS)
    rows.writeheader()
    for one in done:
        rows.writerow({name: _cell(value) for name, value in _document(one).items()})
    return text.getvalue().encode("utf-8")


def _cell(value: object) -> object:
    """Return a value of which a spreadsheet makes no formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
