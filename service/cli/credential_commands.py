"""`volens credential`: bearer tokens of the programs that call `volens serve`, each with a role and a zone."""

from pathlib import Path
from typing import Annotated, Any

import typer

from volens import Site
from volens.consent import format_time
from volens.service.cli.command_types import Commands, Output
from volens.service.cli.named_files import hand_out, must_be_new
from volens.service.cli.options import OutOption
from volens.service.cli.output import members, table
from volens.store.programs import Credential, Role
from volens.store.programs.credentials import CredentialToken

app = Commands("credential", "Issue credentials to programs that call 'volens serve'.")

_Id = Annotated[str, typer.Argument(help="The id that 'volens credential list' shows.")]
_Days = Annotated[int, typer.Option("--days", help="Valid for this many days, 1 to 825.")]


@app.command("add", '"lobby, left door" --role door --zone lobby --out door.token')
def add(
    site: Site,
    label: Annotated[str, typer.Argument(help="The program, such as 'lobby, left door'.")],
    role: Annotated[Role, typer.Option(help="What the program may do.")],
    zone: Annotated[str | None, typer.Option(help="The only zone; required for a door, optional for a desk.")] = None,
    days: _Days = 365,
    out: OutOption = None,
) -> Output:
    """Issue a credential. Its token is shown once, and not stored."""
    must_be_new(out, "token")
    issued = site.programs.credentials.issue(label=label, role=role, zone=zone, valid_days=days)
    return _token_shown(*issued, out)


@app.command("rotate", "86c42cc34fe8d921 --out door.token")
def rotate(
    site: Site,
    credential_id: _Id,
    grace_hours: Annotated[int, typer.Option(help="The old credential stays valid this long, 0 to 720.")] = 24,
    days: _Days = 365,
    out: OutOption = None,
) -> Output:
    """Issue a new credential for the same program; the old one expires soon."""
    must_be_new(out, "token")
    issued = site.programs.credentials.rotate(credential_id, grace_hours=grace_hours, valid_days=days)
    return _token_shown(*issued, out)


@app.command("end", "86c42cc34fe8d921")
def end(site: Site, credential_id: _Id) -> Output:
    """End a credential now. Repeating the command is safe."""
    site.programs.credentials.end(credential_id)
    return {"credential": credential_id}, f"ended credential {credential_id}; it is refused from now on"


@app.command("list", "--all")
def show(
    site: Site,
    everything: Annotated[bool, typer.Option("--all", help="Include expired and ended credentials.")] = False,
) -> Output:
    """List credentials. Tokens are not stored, so they cannot be shown."""
    found = site.programs.credentials.list(all_of_them=everything)
    rows = [(one.credential_id, one.label, one.role, one.purpose or "", format_time(one.expires_at)) for one in found]
    text = table(("credential", "label", "role", "zone", "until"), rows)
    return {"credentials": [_document(one) for one in found]}, text


def _document(one: Credential) -> dict[str, Any]:
    return members(one, "credential=credential_id label role zone=purpose expires_at ended_at")


def _token_shown(credential: Credential, token: CredentialToken, out: Path | None) -> Output:
    member, line = hand_out("token", token.reveal(), out)
    text = (
        f"issued credential {credential.credential_id} ({credential.role}), "
        f"valid until {format_time(credential.expires_at)}\n"
        f"{line}\nthe program sends it to 'volens serve' as 'Authorization: Bearer TOKEN'"
    )
    return _document(credential) | member, text
