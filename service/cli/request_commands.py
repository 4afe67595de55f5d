"""`volens request`: what people ask about their data, and the month in which they must have an answer (GDPR 12(3))."""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from volens.consent import InputError, format_time
from volens.rights import PersonsRequest
from volens.service.cli.named_files import must_be_new
from volens.service.cli.options import HomeOption, JsonOption
from volens.service.cli.output import emit, table
from volens.service.cli.person_argument import receipts_meant
from volens.service.cli.session import opened
from volens.service.cli.sweep_commands import erased_document

app = typer.Typer(help="Requests of people about their data, and their clocks.", no_args_is_help=True)

_Number = Annotated[str, typer.Argument(help="The request's number.", show_default=False)]


@app.command("open")
def open_(
    kind: Annotated[str, typer.Option(help="access, portability, erasure, rectification or objection.")],
    who: Annotated[
        str | None, typer.Argument(help="Whose: a receipt's file, an id, or a name.", show_default=False)
    ] = None,
    unknown: Annotated[
        bool, typer.Option("--unknown", help="Nobody is found by what was shown; keep a number and nothing else.")
    ] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take a request; its month begins now. Where nobody is found, no name is kept, only a number."""
    if (who is None) != unknown:
        raise InputError("got both or neither of a person and --unknown; give one of the two")
    with opened(home) as site:
        meant = [] if who is None else receipts_meant(site, who)
        request, now = site.rights.open(kind, meant), site.rights.now()
    found = "" if meant else "\nnobody is found by this: keep the number with the letter; the answer is a proof of it"
    said = f"request {request.request_id}: {request.kind.value}, to be answered by {format_time(request.due_at)}{found}"
    emit(_document(request, now), said, as_json=as_json)


@app.command("list")
def list_(
    closed: Annotated[bool, typer.Option("--all", help="Also those that are closed.")] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the requests, those due first in front."""
    with opened(home) as site:
        requests, now = site.rights.requests(closed=closed), site.rights.now()
    rows = [
        (
            one.request_id,
            one.kind.value,
            one.received_at.date(),
            one.due_at.date(),
            "OVERDUE" if one.overdue(now) else "open" if one.outcome is None else one.outcome.value,
        )
        for one in requests
    ]
    human = table(("number", "kind", "received", "due", ""), rows) if rows else "no request is open"
    emit([_document(one, now) for one in requests], human, as_json=as_json)


@app.command("extend")
def extend(
    number: _Number,
    because: Annotated[str, typer.Option(help="complex, or many: there are many requests.")],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take two months more, once, within the first month. Tell the person why, within that month too."""
    with opened(home) as site:
        request, now = site.rights.extend(number, because), site.rights.now()
    said = (
        f"request {number} is due by {format_time(request.due_at)} now\n"
        "tell the person before the first month is over, and say why"
    )
    emit(_document(request, now), said, as_json=as_json)


@app.command("answer")
def answer(
    number: _Number,
    to: Annotated[Path | None, typer.Option(help="The zip to write; the request's number unless told.")] = None,
    without_embedding: Annotated[
        bool, typer.Option("--without-embedding", help="Leave the embedding's numbers out.")
    ] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write what is held about the person, or that nothing is, and close the request."""
    path = to or Path(f"request-{number}.zip")
    must_be_new(path, "the answer")
    with opened(home) as site:
        answered = site.rights.answer(number, path, with_embedding=not without_embedding)
    said = f"wrote {path}; request {number} is closed\nit is for this person alone; hand it over, then delete it here"
    emit({"request_id": number, "file": str(path), "held": answered.held}, said, as_json=as_json)


@app.command("erase")
def erase(number: _Number, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Carry out a request for erasure, or an objection: erase what the person allowed, and close the request."""
    with opened(home) as site:
        erased = site.rights.carry_out(number)
    said = "\n".join(
        [
            f"request {number} is carried out; {len(erased)} consents have a certificate",
            *(f"  zone {one.zone}: {one.certificate_path}" for one in erased),
        ]
    )
    emit({"request_id": number, "erased": [erased_document(one) for one in erased]}, said, as_json=as_json)


@app.command("close")
def close(
    number: _Number,
    outcome: Annotated[str, typer.Option(help="'carried out', 'refused' or 'taken back'.")],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Note how a request ended that asked for no file. Whoever is refused must be told why, and where to complain."""
    with opened(home) as site:
        request, now = site.rights.close(number, outcome), site.rights.now()
    emit(_document(request, now), f"request {number} is closed: {outcome}", as_json=as_json)


def _document(request: PersonsRequest, now: datetime) -> dict[str, Any]:
    return {
        "request_id": request.request_id,
        "kind": request.kind.value,
        "known": request.receipt_id is not None,
        "received_at": format_time(request.received_at),
        "due_at": format_time(request.due_at),
        "extended_for": None if request.extended_for is None else request.extended_for.value,
        "closed_at": None if request.closed_at is None else format_time(request.closed_at),
        "outcome": None if request.outcome is None else request.outcome.value,
        "overdue": request.overdue(now),
    }
