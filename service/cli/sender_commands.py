"""`volens sender`: programs that may send revocations to the site by webhook, such as the staff list."""

from pathlib import Path
from typing import Annotated, Any

import typer

from volens import Site
from volens.service.cli.command_types import Commands, Output
from volens.service.cli.named_files import hand_out, must_be_new
from volens.service.cli.options import OutOption
from volens.service.cli.output import members, table
from volens.service.webhooks.inbound import verification_key
from volens.service.webhooks.signatures import SymmetricKey, VerifyKey
from volens.store.programs import Sender, SenderKey

app = Commands("sender", "Let programs send revocations, such as the staff list.")

_Id = Annotated[str, typer.Argument(help="The id that 'volens sender list' shows.")]
_PublicKey = Annotated[
    str | None,
    typer.Option(help="The sender's public key, 'whpk_...', for signatures v1a. Default: a shared secret, v1."),
]


@app.command("add", '"staff list" --out staff-list.secret')
def add(
    site: Site,
    label: Annotated[str, typer.Argument(help="The program, such as 'staff list'.")],
    zone: Annotated[
        str | None, typer.Option(help="The only zone that it may revoke consents of. Default: all.")
    ] = None,
    public_key: _PublicKey = None,
    out: OutOption = None,
) -> Output:
    """Let a program send revocations. A shared secret is shown once."""
    must_be_new(out, "secret")
    raw = None if public_key is None else VerifyKey.parse(public_key).raw
    key = site.programs.senders.add(label=label, zone=zone, public_key=raw)
    return _key_shown(site, key, out)


@app.command("rotate", "86c42cc34fe8d921 --grace-hours 24 --out staff-list.secret")
def rotate(
    site: Site,
    sender_id: _Id,
    public_key: _PublicKey = None,
    grace_hours: Annotated[int, typer.Option(help="Older keys stay valid this long, 0 to 720.")] = 24,
    out: OutOption = None,
) -> Output:
    """Give a sender a new key; older keys expire soon."""
    must_be_new(out, "secret")
    raw = None if public_key is None else VerifyKey.parse(public_key).raw
    key = site.programs.senders.rotate(sender_id, public_key=raw, grace_hours=grace_hours)
    return _key_shown(site, key, out)


@app.command("end", "86c42cc34fe8d921")
def end(site: Site, sender_id: _Id) -> Output:
    """Refuse a sender's messages from now on. Repeating the command is safe."""
    site.programs.senders.end(sender_id)
    return {"sender": sender_id}, f"ended sender {sender_id}; its messages are refused from now on"


@app.command("list", "--all")
def show(
    site: Site, everything: Annotated[bool, typer.Option("--all", help="Include ended senders.")] = False
) -> Output:
    """List senders."""
    found = site.programs.senders.list(all_of_them=everything)
    rows = [(one.sender_id, one.label, one.zone or "", "ended" if one.ended_at else "") for one in found]
    return {"senders": [_document(one) for one in found]}, table(("sender", "label", "zone", "state"), rows)


def _document(one: Sender) -> dict[str, Any]:
    return members(one, "sender=sender_id label zone added_at ended_at")


def _key_shown(site: Site, key: SenderKey, out: Path | None) -> Output:
    shared = verification_key(site.programs.senders, key)
    document = _document(key.sender) | {"number": key.number}
    text = f"sender {key.sender.sender_id}, key {key.number}"
    if isinstance(shared, SymmetricKey):
        secret = shared.reveal()
        shared.wipe()
        member, line = hand_out("secret", secret, out)
        document |= member
        text += f"\n{line}"
    return document, f"{text}\nit sends to /v1/hooks/revocations of 'volens serve'"
