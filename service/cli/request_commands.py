"""`volens request`: requests of people about their data, and the month to answer them (GDPR 12(3))."""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from volens import Site
from volens.consent import InputError
from volens.consent.typed_text import parse_code
from volens.rights import PersonsRequest
from volens.service.cli.command_types import Commands, Output
from volens.service.cli.named_files import must_be_new
from volens.service.cli.output import counted, members, shown, table
from volens.service.cli.person_argument import receipts_meant
from volens.service.cli.sweep_commands import erased_document
from volens.service.local_times import local_text

app = Commands("request", "Handle requests of people about their data, with due dates.")

_SHORT: Final = 8
_Number = Annotated[str, typer.Argument(help="The request's number, or its first 8 digits.", show_default=False)]


@app.command("open", "ada.receipt.json --kind access")
def open_(
    site: Site,
    kind: Annotated[str, typer.Option(help="access, portability, erasure, rectification or objection.")],
    who: Annotated[
        str | None, typer.Argument(metavar="PERSON", help="A receipt file, an id, or a name.", show_default=False)
    ] = None,
    unknown: Annotated[
        bool, typer.Option("--unknown", help="The person is not found; store only a request number.")
    ] = False,
) -> Output:
    """Record a request; the month to answer starts now. If the person is not found, --unknown stores only a number."""
    if (who is None) != unknown:
        raise InputError("pass either a person or --unknown")
    meant = [] if who is None else receipts_meant(site, who)
    request, now = site.rights.open(kind, meant), site.now()
    found = (
        ""
        if meant
        else "\nkeep the number with the letter; the answer will state what was searched for: 'volens request answer "
        f"{request.request_id} --searched-for NAME'"
    )
    due = local_text(request.due_at, site.defaults.time_zone())
    text = f"request {request.request_id}: {request.kind.value}, answer by {due}{found}"
    return _document(request, now), text


@app.command("list")
def list_(
    site: Site, closed: Annotated[bool, typer.Option("--all", help="Include closed requests.")] = False
) -> Output:
    """List requests, the most urgent first, with the beginning of the receipt's id; 'volens people show' says whose."""
    requests, now = site.rights.requests(closed=closed), site.now()
    rows = [
        (
            one.request_id,
            one.kind.value,
            one.receipt_id[:_SHORT] if one.receipt_id is not None else "not found",
            one.received_at.date(),
            one.due_at.date(),
            "OVERDUE" if one.overdue(now) else "open" if one.outcome is None else one.outcome.value,
        )
        for one in requests
    ]
    human = table(("number", "kind", "receipt", "received", "due", "state"), rows) if rows else "no request is open"
    return [_document(one, now) for one in requests], human


@app.command("extend", "3f9c0e6d5a1b4c7d8e9f0a1b2c3d4e5f --because complex")
def extend(
    site: Site,
    number: _Number,
    because: Annotated[str, typer.Option(help="'complex', or 'many' if there are many requests.")],
) -> Output:
    """Extend the time limit by two months, once, within the first month. Tell the person why within that month."""
    request, now = site.rights.extend(_whole(site, number), because), site.now()
    text = (
        f"request {number} is now due by {local_text(request.due_at, site.defaults.time_zone())}\n"
        "tell the person before the first month ends, and give the reason"
    )
    return _document(request, now), text


@app.command("answer", "3f9c0e6d5a1b4c7d8e9f0a1b2c3d4e5f --to ada-answer.zip")
def answer(
    site: Site,
    number: _Number,
    to: Annotated[Path | None, typer.Option(help="The zip file to write. Default: request-NUMBER.zip.")] = None,
    without_embedding: Annotated[
        bool, typer.Option("--without-embedding", help="Leave out the embedding's numbers.")
    ] = False,
    searched_for: Annotated[
        str | None,
        typer.Option(
            help="For a request opened with --unknown: the name or number from the letter.", show_default=False
        ),
    ] = None,
) -> Output:
    """Answer a request for access: write what is stored about the person, or that nothing is, and close it."""
    number = _whole(site, number)
    path = to or Path(f"request-{number}.zip")
    must_be_new(path, "the answer")
    answered = site.rights.answer(number, path, with_embedding=not without_embedding, searched_for=searched_for)
    text = f"wrote {shown(path)}; request {number} is closed\ngive the file to this person only, then delete it here"
    return {"request_id": number, "file": str(path), "held": answered.held}, text


@app.command("erase", "3f9c0e6d5a1b4c7d8e9f0a1b2c3d4e5f")
def erase(site: Site, number: _Number) -> Output:
    """Carry out a request for erasure, or an objection: erase the person's data, and close the request."""
    number = _whole(site, number)
    erased = site.rights.carry_out(number)
    text = "\n".join(
        [
            f"request {number} is carried out; {counted(len(erased), 'erasure certificate')}",
            *(f"  zone {one.zone}: {one.certificate_path}" for one in erased),
        ]
    )
    return {"request_id": number, "erased": [erased_document(one) for one in erased]}, text


@app.command("close", '3f9c0e6d5a1b4c7d8e9f0a1b2c3d4e5f --outcome "carried out"')
def close(
    site: Site, number: _Number, outcome: Annotated[str, typer.Option(help="'carried out', 'refused' or 'taken back'.")]
) -> Output:
    """Close a request that needed no file. If it is refused, tell the person why, and where to complain."""
    request, now = site.rights.close(_whole(site, number), outcome), site.now()
    return _document(request, now), f"request {number} is closed: {outcome}"


def _whole(site: Site, number: str) -> str:
    """Return the whole number of the only request that begins with some digits; else what was typed.

    Raises:
        InputError: several requests begin so.
    """
    beginning = parse_code(number).lower()
    if len(beginning) < _SHORT:
        return number
    found = [one.request_id for one in site.rights.requests(closed=True) if one.request_id.startswith(beginning)]
    if len(found) > 1:
        raise InputError("several requests begin with these digits; type more of them")
    return found[0] if found else number


def _document(request: PersonsRequest, now: datetime) -> dict[str, Any]:
    return (
        members(request, "request_id kind")
        | {"known": request.receipt_id is not None, "receipt_id": request.receipt_id}
        | members(request, "received_at due_at extended_for closed_at outcome")
        | {"overdue": request.overdue(now)}
    )
