"""`volens leaver`: somebody's contract ends, and with it what they agreed to."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated

import typer

from volens.consent import InputError, format_time, parse_time
from volens.service.cli.options import HomeOption, JsonOption
from volens.service.cli.output import emit, progress
from volens.service.cli.person_argument import receipts_meant
from volens.service.cli.session import opened
from volens.service.cli.sweep_commands import erased_document


def leaver(
    who: Annotated[str, typer.Argument(help="A receipt's file, an id, or a name.", show_default=False)],
    on: Annotated[
        str | None,
        typer.Option("--on", help="Last day (2026-12-31, until its end in UTC) or moment (2026-12-31T16:00:00Z)."),
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """End all consents of a person who leaves: now, or on a date. A date can be moved earlier, never later."""
    at = None if on is None else _moment(on)
    with opened(home) as site:
        with progress("erasing") as advance:
            erased = site.clocks.leave(receipts_meant(site, who), at, advance)
        if site.unfinished is not None:
            raise site.unfinished
    if erased or at is None:
        said = "\n".join(f"left: zone {one.zone} knows this person no more; {one.certificate_path}" for one in erased)
    else:
        said = f"noted: from {format_time(at)} on nobody is matched by this person's consent; 'volens sweep' erases it"
    document = {
        "ends_at": None if at is None else format_time(at),
        "erased": [erased_document(one) for one in erased],
    }
    emit(document, said, as_json=as_json)


def _moment(text: str) -> datetime:
    try:
        return datetime.combine(date.fromisoformat(text) + timedelta(days=1), time(), UTC)
    except (ValueError, OverflowError):
        pass
    try:
        return parse_time(text)
    except InputError:
        raise InputError("got another form of date; expected 2026-12-31 or 2026-12-31T16:00:00Z") from None
