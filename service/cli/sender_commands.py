"""`volens sender`: which programs may tell the site by webhook that somebody left or took a yes back."""

from pathlib import Path
from typing import Annotated, Any

import typer

from volens import Site
from volens.consent import format_time
from volens.service.cli.named_files import must_be_new, write_private
from volens.service.cli.options import HomeOption, JsonOption
from volens.service.cli.output import emit, table
from volens.service.cli.session import opened
from volens.service.webhooks.inbound import key_of
from volens.service.webhooks.signatures import SymmetricKey, VerifyKey
from volens.store.programs import Sender, SenderKey

app = typer.Typer(help="Programs that may send revocations to 'volens serve'.", no_args_is_help=True)

_Id = Annotated[str, typer.Argument(help="As 'volens sender list' shows it.")]
_Out = Annotated[
    Path | None, typer.Option(help="Write the secret here (0600) instead of showing it.", show_default=False)
]
_PublicKey = Annotated[
    str | None,
    typer.Option(help="The sender's own key, 'whpk_...': it signs v1a. Without it, both share a secret, v1."),
]


@app.command("add")
def add(
    label: Annotated[str, typer.Argument(help="Which program, such as 'staff list'.")],
    zone: Annotated[str | None, typer.Option(help="The only zone it may speak about; without it, all.")] = None,
    public_key: _PublicKey = None,
    out: _Out = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let a program send revocations. Where a secret is shared, it is told once."""
    if out is not None:
        must_be_new(out, "secret")
    raw = None if public_key is None else VerifyKey.parse(public_key).raw
    with opened(home) as site:
        key = site.revocations.senders.add(label=label, zone=zone, public_key=raw)
        _tell(site, key, out, as_json=as_json)


@app.command("rotate")
def rotate(
    sender_id: _Id,
    public_key: _PublicKey = None,
    grace_hours: Annotated[int, typer.Option(help="How long older keys are still good for, 0 to 720.")] = 24,
    out: _Out = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give a sender another key; the older ones run out soon."""
    if out is not None:
        must_be_new(out, "secret")
    raw = None if public_key is None else VerifyKey.parse(public_key).raw
    with opened(home) as site:
        key = site.revocations.senders.rotate(sender_id, public_key=raw, grace_hours=grace_hours)
        _tell(site, key, out, as_json=as_json)


@app.command("end")
def end(sender_id: _Id, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Believe a sender nothing more. Doing it twice does no harm."""
    with opened(home) as site:
        site.revocations.senders.end(sender_id)
    emit({"sender": sender_id}, f"ended sender {sender_id}; its messages are refused", as_json=as_json)


@app.command("list")
def show(
    everything: Annotated[bool, typer.Option("--all", help="Also those that were ended.")] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """List senders."""
    with opened(home) as site:
        found = site.revocations.senders.list(all_of_them=everything)
    rows = [(one.sender_id, one.label, one.zone or "", "ended" if one.ended_at else "") for one in found]
    emit({"senders": [_document(one) for one in found]}, table(("sender", "label", "zone", ""), rows), as_json=as_json)


def _document(one: Sender) -> dict[str, Any]:
    return {
        "sender": one.sender_id,
        "label": one.label,
        "zone": one.zone,
        "added_at": format_time(one.added_at),
        "ended_at": None if one.ended_at is None else format_time(one.ended_at),
    }


def _tell(site: Site, key: SenderKey, out: Path | None, *, as_json: bool) -> None:
    shared = key_of(site.revocations.senders, key)
    document = _document(key.sender) | {"number": key.number}
    said = f"sender {key.sender.sender_id}, key {key.number}"
    if isinstance(shared, SymmetricKey):
        secret = shared.reveal()
        shared.wipe()
        if out is not None:
            write_private(out, secret.encode("ascii") + b"\n")
        document |= {"secret": secret} if out is None else {"secret_file": str(out)}
        said += f"\nits secret, told this once: {secret}" if out is None else f"\nits secret: {out}"
    emit(document, f"{said}\nit sends to /v1/hooks/revocations of 'volens serve'", as_json=as_json)
