"""`volens webhook`: where recipients are told that somebody agreed or was erased, and what they were not told yet."""

from pathlib import Path
from typing import Annotated, Any

import typer

from volens import Site
from volens.consent import InputError, format_time
from volens.service.cli.named_files import must_be_new, write_private
from volens.service.cli.options import HomeOption, JsonOption
from volens.service.cli.output import emit, table
from volens.service.cli.session import opened
from volens.service.webhooks.address_guard import parse_target
from volens.service.webhooks.delivery import WebhookSender, shared_secrets
from volens.store.programs import Endpoint, Message, MessageKind
from volens.store.programs.endpoints import USUAL_KINDS

app = typer.Typer(help="Telling recipients, signed, what happened to people in their zone.", no_args_is_help=True)

_Id = Annotated[str, typer.Argument(metavar="ENDPOINT", help="As 'volens webhook list' shows it.")]
_Out = Annotated[
    Path | None, typer.Option(help="Write the secret here (0600) instead of showing it.", show_default=False)
]


@app.command("add")
def add(
    recipient: Annotated[str, typer.Argument(help="The recipient's name; see 'volens recipient list'.")],
    zone: Annotated[str, typer.Option(help="Of which zone.")],
    url: Annotated[str, typer.Option(help="Where it listens: https://host/path.")],
    event: Annotated[
        list[MessageKind] | None,
        typer.Option(help="What it is told; again for more. Without it, all but door.decision.", show_default=False),
    ] = None,
    allow_private: Annotated[
        bool, typer.Option("--allow-private", help="It may be on this machine or in a private network; http too.")
    ] = False,
    out: _Out = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell a recipient from now on. The secret that signs the messages is told once."""
    if out is not None:
        must_be_new(out, "secret")
    parse_target(url, allow_private=allow_private)
    with opened(home) as site:
        added = site.rights.endpoints.add(
            zone, recipient, url=url, kinds=event or USUAL_KINDS, allow_private=allow_private
        )
        _tell(site, added, out, as_json=as_json)


@app.command("rotate")
def rotate(
    endpoint_id: _Id,
    grace_hours: Annotated[int, typer.Option(help="How long the old secret signs too, 0 to 720.")] = 24,
    out: _Out = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Sign with another secret; for a while the old one signs too."""
    if out is not None:
        must_be_new(out, "secret")
    with opened(home) as site:
        _tell(site, site.rights.endpoints.rotate(endpoint_id, grace_hours=grace_hours), out, as_json=as_json)


@app.command("disable")
def disable(endpoint_id: _Id, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Send nothing there; what waits goes on waiting."""
    with opened(home) as site:
        found = site.rights.endpoints.disable(endpoint_id)
    emit(_document(found), f"nothing is sent to {endpoint_id} any more", as_json=as_json)


@app.command("enable")
def enable(endpoint_id: _Id, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Send there again, what waits first."""
    with opened(home) as site:
        found = site.rights.endpoints.enable(endpoint_id)
    emit(_document(found), f"{endpoint_id} is told again", as_json=as_json)


@app.command("list")
def show(
    zone: Annotated[str | None, typer.Option(help="Only of this zone.")] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """List who is told what, and where."""
    with opened(home) as site:
        found = site.rights.endpoints.list(zone)
    rows = [
        (one.endpoint_id, one.zone, one.recipient, one.url, " ".join(sorted(one.kinds)), one.disabled_why or "")
        for one in found
    ]
    said = table(("endpoint", "zone", "recipient", "url", "told", ""), rows)
    emit({"endpoints": [_document(one) for one in found]}, said, as_json=as_json)


@app.command("outbox")
def outbox(
    dead: Annotated[bool, typer.Option("--dead", help="Only what was given up.")] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """List what was not delivered yet, and what was given up after three days."""
    with opened(home) as site:
        found = site.rights.outbox.list(dead=True if dead else None)
    rows = [
        (
            one.message_id,
            one.kind,
            one.endpoint.recipient,
            "given up" if one.dead_at else format_time(one.due_at),
            str(one.attempts),
            one.last_problem or "",
        )
        for one in found
    ]
    said = table(("message", "kind", "recipient", "due", "failed", "last problem"), rows)
    emit({"messages": [_message(one) for one in found]}, said, as_json=as_json)


@app.command("redeliver")
def redeliver(
    message_id: Annotated[str | None, typer.Argument(help="As 'volens webhook outbox' shows it.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that were given up.")] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Try what was given up again, from the beginning."""
    if (message_id is None) != everything:
        raise InputError("got both or neither of a message and --all; give one of the two")
    with opened(home) as site:
        count = site.rights.outbox.redeliver(message_id)
    emit({"redelivered": count}, f"{count} messages are tried again", as_json=as_json)


@app.command("deliver")
def deliver(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Deliver what is due now, and end. 'volens serve' does it all the time."""
    with opened(home) as site:
        courier = WebhookSender(site.rights)
        try:
            tried = courier.deliver_due()
        finally:
            courier.close()
        state = site.rights.outbox.state()
    document = {"tried": tried, "waiting": state.waiting, "given_up": state.dead}
    emit(document, f"tried {tried}; {state.waiting} wait, {state.dead} were given up", as_json=as_json)


def _document(one: Endpoint) -> dict[str, Any]:
    return {
        "endpoint": one.endpoint_id,
        "zone": one.zone,
        "recipient": one.recipient,
        "url": one.url,
        "events": sorted(one.kinds),
        "allow_private": one.allow_private,
        "disabled": one.disabled_why,
    }


def _message(one: Message) -> dict[str, Any]:
    return {
        "message": one.message_id,
        "kind": one.kind.value,
        "endpoint": one.endpoint.endpoint_id,
        "due_at": format_time(one.due_at),
        "failed": one.attempts,
        "last_problem": one.last_problem,
        "given_up_at": None if one.dead_at is None else format_time(one.dead_at),
    }


def _tell(site: Site, endpoint: Endpoint, out: Path | None, *, as_json: bool) -> None:
    secrets = shared_secrets(site.rights, endpoint)
    secret = secrets[0].reveal()
    for one in secrets:
        one.wipe()
    if out is not None:
        write_private(out, secret.encode("ascii") + b"\n")
    document = _document(endpoint) | ({"secret": secret} if out is None else {"secret_file": str(out)})
    where = f"its secret, told this once: {secret}" if out is None else f"its secret: {out}"
    said = (
        f"{endpoint.recipient} is told at {endpoint.url}\n{where}\nmessages are signed with it (Standard Webhooks, v1)"
    )
    emit(document, said, as_json=as_json)
