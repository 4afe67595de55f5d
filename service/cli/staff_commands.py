"""`volens staff`: the members of staff who sign in to the pages with a passkey."""

from pathlib import Path
from typing import Annotated

import typer

from volens import Site
from volens.consent import format_time
from volens.consent.relying_party import RelyingParty
from volens.service.cli.command_types import Commands, Output
from volens.service.cli.named_files import hand_out, must_be_new, write_private
from volens.service.cli.options import OutOption
from volens.service.cli.output import members, shown, table
from volens.service.qr_codes import qr_png
from volens.service.staff_link import staff_link
from volens.store.programs import Role
from volens.store.programs.credentials import Credential, CredentialToken
from volens.store.programs.staff import DEFAULT_LINK_HOURS

app = Commands("staff", "Let members of staff sign in to the pages of 'volens serve' with a passkey.")

_Id = Annotated[str, typer.Argument(help="The id that 'volens staff list' shows.")]
_Days = Annotated[int, typer.Option("--days", help="Valid for this many days, 1 to 825.")]
_Hours = Annotated[int, typer.Option("--link-hours", help="The link works once, within this many hours, 1 to 336.")]
_Qr = Annotated[Path | None, typer.Option(help="PNG for the link's QR code, for a phone to scan.")]


@app.command("add", '"reception, early shift" --role desk --zone lobby --out reception.link')
def add(
    site: Site,
    label: Annotated[str, typer.Argument(help="The member, such as 'reception, early shift'.")],
    role: Annotated[Role, typer.Option(help="desk, privacy_officer, operator or auditor.")],
    zone: Annotated[str | None, typer.Option(help="The only zone of a desk; without it all.")] = None,
    days: _Days = 365,
    link_hours: _Hours = DEFAULT_LINK_HOURS,
    qr: _Qr = None,
    out: OutOption = None,
) -> Output:
    """Add a member, and print the link with which they make their passkey. It is shown once, and not stored."""
    public = _place(site, qr, out)
    made = site.programs.staff.add(label=label, role=role, zone=zone, valid_days=days, link_hours=link_hours)
    return _link_shown(public, *made, qr, out)


@app.command("recover", "86c42cc34fe8d921 --out reception.link")
def recover(
    site: Site,
    credential_id: _Id,
    days: _Days = 365,
    link_hours: _Hours = DEFAULT_LINK_HOURS,
    qr: _Qr = None,
    out: OutOption = None,
) -> Output:
    """Give a member who lost the passkey a new link. The old passkey ends now."""
    public = _place(site, qr, out)
    made = site.programs.staff.recover(credential_id, valid_days=days, link_hours=link_hours)
    return _link_shown(public, *made, qr, out)


@app.command("end", "86c42cc34fe8d921")
def end(site: Site, credential_id: _Id) -> Output:
    """End a member's sign-in now, in all browsers. Repeating the command is safe."""
    site.programs.credentials.end(credential_id)
    return {"credential": credential_id}, f"ended {credential_id}; its passkey opens nothing from now on"


@app.command("list", "--all")
def show(
    site: Site,
    everything: Annotated[bool, typer.Option("--all", help="Include members who have ended or expired.")] = False,
) -> Output:
    """List the members of staff, and whether they have made their passkey."""
    found = site.programs.staff.list(all_of_them=everything)
    rows = [
        (
            one.credential.credential_id,
            one.credential.label,
            one.credential.role,
            one.credential.purpose or "",
            format_time(one.credential.expires_at),
            "" if one.passkey_added_at is None else format_time(one.passkey_added_at),
        )
        for one in found
    ]
    text = table(("credential", "label", "role", "zone", "until", "passkey since"), rows)
    document = [
        _document(one.credential)
        | {"passkey_added_at": None if one.passkey_added_at is None else format_time(one.passkey_added_at)}
        for one in found
    ]
    return {"staff": document}, text


def _place(site: Site, qr: Path | None, out: Path | None) -> RelyingParty:
    """Return the address for the link, before anything is issued."""
    must_be_new(qr, "QR")
    must_be_new(out, "link")
    return site.defaults.address_for_links()


def _document(one: Credential) -> dict[str, object]:
    return members(one, "credential=credential_id label role zone=purpose expires_at link_until ended_at")


def _link_shown(
    public: RelyingParty, credential: Credential, token: CredentialToken, qr: Path | None, out: Path | None
) -> Output:
    if credential.link_until is None:  # that of a member of staff has one; without it this is a bug
        raise AssertionError
    address = staff_link(public, token)
    if qr is not None:
        write_private(qr, qr_png(address))
    member, line = hand_out("link", address, out)
    text = (
        f"added {credential.credential_id} ({credential.role}), valid until {format_time(credential.expires_at)}\n"
        f"{line}\n"
        + ("" if qr is None else f"QR: {shown(qr)}\n")
        + f"the member opens the link once until {format_time(credential.link_until)}, on the device they work with"
    )
    return _document(credential) | member | ({} if qr is None else {"qr": str(qr)}), text
