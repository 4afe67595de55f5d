"""`volens kiosk`: pair a tablet beside a door with a link."""

from pathlib import Path
from typing import Annotated

import typer

from volens import Site
from volens.consent import format_time, parse_purpose
from volens.service.cli.command_types import Commands, Output
from volens.service.cli.named_files import hand_out, must_be_new, write_private
from volens.service.cli.options import OutOption
from volens.service.cli.output import members, shown
from volens.service.kiosk_link import kiosk_link
from volens.service.qr_codes import qr_png
from volens.store.programs import Role

app = Commands("kiosk", "Let a tablet beside a door ask the door: /kiosk/ZONE in its browser.")


@app.command("link", 'lobby --label "lobby tablet" --qr kiosk.png')
def link(
    site: Site,
    zone: Annotated[str, typer.Argument(help="The zone of the door.")],
    label: Annotated[str | None, typer.Option(help="The tablet, such as 'lobby, left'. Default: its zone.")] = None,
    days: Annotated[int, typer.Option("--days", help="Valid for this many days, 1 to 825.")] = 365,
    qr: Annotated[Path | None, typer.Option(help="PNG for the link's QR code, for the tablet to scan.")] = None,
    out: OutOption = None,
) -> Output:
    """Issue a credential for one tablet, and print the link that pairs it. The link is shown once, and not stored."""
    must_be_new(qr, "QR")
    must_be_new(out, "link")
    public = site.defaults.address_for_links()
    purpose = parse_purpose(zone)
    credential, token = site.programs.credentials.issue(
        label=label or f"kiosk {purpose}", role=Role.DOOR, zone=purpose, valid_days=days
    )
    address = kiosk_link(public, purpose, token)
    if qr is not None:
        write_private(qr, qr_png(address))
    member, line = hand_out("link", address, out)
    text = (
        f"issued credential {credential.credential_id}, valid until {format_time(credential.expires_at)}\n{line}\n"
        + ("" if qr is None else f"QR: {shown(qr)}\n")
        + f"open it once in the tablet's browser; 'volens credential end {credential.credential_id}' ends the kiosk"
    )
    document = members(credential, "credential=credential_id label zone=purpose expires_at") | member
    return document | ({} if qr is None else {"qr": str(qr)}), text
