"""`volens credential`: which programs may ask over the network, and what."""

from pathlib import Path
from typing import Annotated, Any

import typer

from volens.consent import format_time
from volens.service.cli.named_files import must_be_new, write_private
from volens.service.cli.options import HomeOption, JsonOption
from volens.service.cli.output import emit, table
from volens.service.cli.session import opened
from volens.store.programs import Credential, Role
from volens.store.programs.credentials import CredentialToken

app = typer.Typer(help="Credentials of the programs that ask 'volens serve'.", no_args_is_help=True)

_Days = Annotated[int, typer.Option("--days", help="For how many days, 1 to 825.")]
_Out = Annotated[
    Path | None, typer.Option(help="Write the token here (0600) instead of showing it.", show_default=False)
]


@app.command("add")
def add(
    label: Annotated[str, typer.Argument(help="Which program, such as 'lobby, left door'.")],
    role: Annotated[Role, typer.Option(help="What it may do.")],
    zone: Annotated[str | None, typer.Option(help="Where; a door needs one, a desk may have one.")] = None,
    days: _Days = 365,
    out: _Out = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Issue a credential. Its token is told once, and not kept."""
    if out is not None:
        must_be_new(out, "token")
    with opened(home) as site:
        issued = site.credentials.issue(label=label, role=role, zone=zone, valid_days=days)
    _tell(*issued, out, as_json=as_json)


@app.command("rotate")
def rotate(
    credential_id: Annotated[str, typer.Argument(help="As 'volens credential list' shows it.")],
    grace_hours: Annotated[int, typer.Option(help="How long the old one is still good for, 0 to 720.")] = 24,
    days: _Days = 365,
    out: _Out = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Issue another credential for the same program; the old one runs out soon."""
    if out is not None:
        must_be_new(out, "token")
    with opened(home) as site:
        issued = site.credentials.rotate(credential_id, grace_hours=grace_hours, valid_days=days)
    _tell(*issued, out, as_json=as_json)


@app.command("end")
def end(
    credential_id: Annotated[str, typer.Argument(help="As 'volens credential list' shows it.")],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """End a credential now. Doing it twice does no harm."""
    with opened(home) as site:
        site.credentials.end(credential_id)
    emit({"credential": credential_id}, f"ended credential {credential_id}; nobody gets in with it", as_json=as_json)


@app.command("list")
def show(
    everything: Annotated[bool, typer.Option("--all", help="Also those that ran out or were ended.")] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """List credentials; the tokens are not kept."""
    with opened(home) as site:
        found = site.credentials.list(all_of_them=everything)
    rows = [(one.credential_id, one.label, one.role, one.purpose or "", format_time(one.expires_at)) for one in found]
    said = table(("credential", "label", "role", "zone", "until"), rows)
    emit({"credentials": [_document(one) for one in found]}, said, as_json=as_json)


def _document(one: Credential) -> dict[str, Any]:
    return {
        "credential": one.credential_id,
        "label": one.label,
        "role": one.role.value,
        "zone": one.purpose,
        "expires_at": format_time(one.expires_at),
        "ended_at": None if one.ended_at is None else format_time(one.ended_at),
    }


def _tell(credential: Credential, token: CredentialToken, out: Path | None, *, as_json: bool) -> None:
    shown = token.reveal()
    if out is not None:
        write_private(out, shown.encode("ascii") + b"\n")
    document = _document(credential) | ({"token": shown} if out is None else {"token_file": str(out)})
    where = f"its token, told this once: {shown}" if out is None else f"its token: {out}"
    until = format_time(credential.expires_at)
    said = f"issued credential {credential.credential_id} ({credential.role}), until {until}\n{where}"
    emit(document, f"{said}\nit is shown to 'volens serve' as 'Authorization: Bearer TOKEN'", as_json=as_json)
