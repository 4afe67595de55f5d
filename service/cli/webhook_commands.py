"""`volens webhook`: endpoints of recipients, and the outbox of signed messages that wait for delivery."""

from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import typer

from volens import Site
from volens.consent import InputError, format_time
from volens.service.cli.command_types import Commands, Output
from volens.service.cli.named_files import hand_out, must_be_new
from volens.service.cli.options import OutOption
from volens.service.cli.output import counted, members, table
from volens.service.webhooks.address_guard import parse_target
from volens.service.webhooks.delivery import WebhookSender, shared_secrets
from volens.store.programs import Endpoint, Message, MessageKind
from volens.store.programs.endpoints import USUAL_KINDS

app = Commands("webhook", "Notify recipients of consents and erasures, by signed webhooks.")

_Id = Annotated[str, typer.Argument(metavar="ENDPOINT", help="The id that 'volens webhook list' shows.")]


@app.command("add", '"Door panels" --zone lobby --url https://panels.example/volens --out panels.secret')
def add(
    site: Site,
    recipient: Annotated[str, typer.Argument(help="The recipient's name, as in 'volens recipient list'.")],
    zone: Annotated[str, typer.Option(help="The zone.")],
    url: Annotated[str, typer.Option(help="The recipient's URL: https://HOST/PATH.")],
    event: Annotated[
        list[MessageKind] | None,
        typer.Option(metavar="<event>", help=f"{', '.join(MessageKind)}; repeat it. Default: all but door.decision."),
    ] = None,
    allow_private: Annotated[
        bool, typer.Option("--allow-private", help="Allow this machine and private networks, and http.")
    ] = False,
    out: OutOption = None,
) -> Output:
    """Send messages to a recipient from now on. The secret that signs them is shown once."""
    must_be_new(out, "secret")
    parse_target(url, allow_private=allow_private)
    added = site.programs.endpoints.add(
        zone, recipient, url=url, kinds=event or USUAL_KINDS, allow_private=allow_private
    )
    return _secret_shown(site, added, out)


@app.command("rotate", "86c42cc34fe8d921 --out panels.secret")
def rotate(
    site: Site,
    endpoint_id: _Id,
    grace_hours: Annotated[int, typer.Option(help="The old secret also signs this long, 0 to 720.")] = 24,
    out: OutOption = None,
) -> Output:
    """Sign with a new secret; for some hours the old secret signs, too."""
    must_be_new(out, "secret")
    return _secret_shown(site, site.programs.endpoints.rotate(endpoint_id, grace_hours=grace_hours), out)


@app.command("disable", "86c42cc34fe8d921")
def disable(site: Site, endpoint_id: _Id) -> Output:
    """Stop sending to an endpoint; its messages stay in the outbox."""
    found = site.programs.endpoints.disable(endpoint_id)
    return _document(found), f"disabled endpoint {endpoint_id}"


@app.command("enable", "86c42cc34fe8d921")
def enable(site: Site, endpoint_id: _Id) -> Output:
    """Send to an endpoint again, waiting messages first."""
    found = site.programs.endpoints.enable(endpoint_id)
    return _document(found), f"enabled endpoint {endpoint_id}"


@app.command("list", "--zone lobby")
def show(site: Site, zone: Annotated[str | None, typer.Option(help="Only of this zone.")] = None) -> Output:
    """List endpoints, with the recipient and the events of each."""
    found = site.programs.endpoints.list(zone)
    rows = [
        (one.endpoint_id, one.zone, one.recipient, one.url, " ".join(sorted(one.kinds)), one.disabled_why or "")
        for one in found
    ]
    text = table(("endpoint", "zone", "recipient", "url", "events", "disabled"), rows)
    return {"endpoints": [_document(one) for one in found]}, text


@app.command("outbox", "--dead")
def outbox(
    site: Site, dead: Annotated[bool, typer.Option("--dead", help="Only messages that were given up.")] = False
) -> Output:
    """List messages that wait for delivery, and messages given up after three days."""
    found = site.programs.outbox.list(dead=True if dead else None)
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
    text = table(("message", "kind", "recipient", "due", "failed", "last problem"), rows)
    return {"messages": [_message(one) for one in found]}, text


@app.command("redeliver", "--all")
def redeliver(
    site: Site,
    message_id: Annotated[str | None, typer.Argument(help="The id that 'volens webhook outbox' shows.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All messages that were given up.")] = False,
) -> Output:
    """Retry messages that were given up, with the full retry schedule."""
    if (message_id is None) != everything:
        raise InputError("pass either a message id or --all")
    count = site.programs.outbox.redeliver(message_id)
    return {"redelivered": count}, f"{counted(count, 'message')} will be retried"


@app.command("deliver")
def deliver(site: Site) -> Output:
    """Deliver messages that are due now, then end. 'volens serve' delivers continuously."""
    with closing(WebhookSender(site)) as sender:
        tried = sender.deliver_due()
    state = site.programs.outbox.state()
    document = {"tried": tried, "waiting": state.waiting, "given_up": state.dead}
    return document, f"{tried} tried, {state.waiting} waiting, {state.dead} given up"


def _document(one: Endpoint) -> dict[str, Any]:
    return members(one, "endpoint=endpoint_id zone recipient url events=kinds allow_private disabled=disabled_why")


def _message(one: Message) -> dict[str, Any]:
    retries = members(one, "due_at failed=attempts last_problem given_up_at=dead_at")
    return members(one, "message=message_id kind") | {"endpoint": one.endpoint.endpoint_id} | retries


def _secret_shown(site: Site, endpoint: Endpoint, out: Path | None) -> Output:
    secrets = shared_secrets(site.programs.endpoints, endpoint)
    secret = secrets[0].reveal()
    for one in secrets:
        one.wipe()
    member, line = hand_out("secret", secret, out)
    text = (
        f"messages for {endpoint.recipient} go to {endpoint.url}\n{line}\nit signs the messages (Standard Webhooks, v1)"
    )
    return _document(endpoint) | member, text
