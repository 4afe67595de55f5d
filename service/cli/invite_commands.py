"""`volens invite`: invite people by a link; list, cancel and renew invitations; verify a refusal receipt."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from typer._click import Context

from volens import Site
from volens.consent.invitation import InvitationState
from volens.consent.refusal import verify_refusal
from volens.enroll import Invitation, InvitedRow
from volens.service.cli.command_types import Commands, Group, Output
from volens.service.cli.exit_codes import ExitCode
from volens.service.cli.invitation_files import write_letter
from volens.service.cli.named_files import must_be_new, read_file, read_site_key, write_private
from volens.service.cli.options import HomeOption, JsonOption, TrustOption, ZoneOption
from volens.service.cli.output import counted, emit, facts, members, shown, table, tracked
from volens.service.cli.session import opened
from volens.service.invitation_letter import InvitationLetter, public_origin
from volens.service.local_times import local_text, parse_until
from volens.store.files import draft_folder

_ONE: Final = "person"
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
_LISTED: Final = "invitation_id zone name state language jurisdiction is_linked invited_by invited_at expires_at"
_COUNTED: Final = "zone=purpose day event count"


class _Invite(Group):
    """``volens invite ZONE`` is ``volens invite person ZONE``."""

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:
        """Parse arguments; a first one that is no command is a zone."""
        is_zone = bool(args) and not args[0].startswith("-") and args[0] not in self.commands
        return super().parse_args(ctx, [_ONE, *args] if is_zone else args)


app = Commands("invite", "Invite people by a link, on which each says yes or no.", cls=_Invite)
refusal_app = Commands("refusal", "Count a no that a person said at the desk, or check a refusal receipt.")

_Id = Annotated[str, typer.Argument(metavar="ID", help="The id that 'volens invite list' shows.", show_default=False)]
_Days = Annotated[int, typer.Option("--days", help="The link is open for this many days, 1 to 90.")]
_Language = Annotated[str | None, typer.Option(help="Language of the notice, and of the letter if it is fr or de.")]
_Law = Annotated[
    str | None, typer.Option(help="The law that protects the person: ISO 3166, such as FR. Default: the site's.")
]
_Out = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER", help="Folder for the sheet to print, the e-mail and the text message.", show_default=False
    ),
]


@app.command(_ONE, 'lobby --name "Ada Example" --external-id employee-4711 --jurisdiction FR --out invitations')
def person(
    site: Site,
    zone: Annotated[str, typer.Argument(help="The zone to which the person is invited.", show_default=False)],
    name: Annotated[str, typer.Option(help="The person's name; stored encrypted until the invitation ends.")],
    external_id: Annotated[
        str | None, typer.Option(help="The person's id in the staff list; only a keyed hash is stored.")
    ] = None,
    language: _Language = None,
    jurisdiction: _Law = None,
    valid_days: Annotated[
        int | None, typer.Option(help="How long the consent would last. Default: the zone's retention.")
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Or until when it would last: 18:00 (today), 2026-12-24 (that day's end)."),
    ] = None,
    days: _Days = 14,
    out: _Out = None,
) -> Output:
    """Invite one person: make a link that works once. Nothing is sent; you hand it over."""
    public_origin(site)
    made = site.invitations.invite(
        zone,
        name=name,
        jurisdiction=site.defaults.jurisdiction(jurisdiction),
        language=language,
        external_id=external_id,
        valid_days=valid_days,
        valid_until=None if until is None else parse_until(until, site.now(), site.defaults.time_zone()),
        days=days,
    )
    return _handed_out(site, made, out)


@app.command("list", "--zone lobby --state open")
def list_(
    site: Site,
    zone: Annotated[str | None, typer.Option(help="Only this zone.")] = None,
    state: Annotated[InvitationState | None, typer.Option(help="Only invitations of this state.")] = None,
    counts: Annotated[
        bool, typer.Option("--counts", help="Count by zone and day instead, with those who said no.")
    ] = False,
) -> Output:
    """List invitations. Names are shown while they are open; who said no is listed nowhere, only counted."""
    if counts:
        numbers = site.invitations.counts(zone)
        rows = [(one.purpose, one.day, one.event, one.count) for one in numbers]
        return [members(one, _COUNTED) for one in numbers], table(("zone", "day", "what", "people"), rows)
    found = site.invitations.list(zone, state)
    local = site.defaults.time_zone()
    text = table(
        ("id", "zone", "name", "state", "until"),
        [(one.invitation_id, one.zone, one.name or "", one.state, local_text(one.expires_at, local)) for one in found],
    )
    return [members(one, _LISTED) for one in found], text if found else "no invitation"


@app.command("cancel", "0f6a2c9d4e1b48f7a3d5c6b7e8f90a1b")
def cancel(site: Site, invitation_id: _Id) -> Output:
    """Cancel an open invitation. Its link opens nothing any more."""
    site.invitations.cancel(invitation_id)
    return {"invitation_id": invitation_id}, "cancelled; the name is erased, and the link opens nothing any more"


@app.command("resend", "0f6a2c9d4e1b48f7a3d5c6b7e8f90a1b --out invitations-2")
def resend(site: Site, invitation_id: _Id, days: _Days = 14, out: _Out = None) -> Output:
    """Make a new link for an open invitation. The older link opens nothing any more."""
    public_origin(site)
    return _handed_out(site, site.invitations.resend(invitation_id, days=days), out, is_new=False)


@app.command("import", "people.csv --zone lobby --jurisdiction FR --out invitations --report report.csv")
def import_people(
    people: Annotated[
        Path,
        typer.Argument(
            metavar="CSV",
            help="Columns: name, and if you like zone, external_id, language, jurisdiction, valid_days.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="New folder for the files of each person.")],
    zone: ZoneOption = None,
    jurisdiction: _Law = None,
    days: _Days = 14,
    report: Annotated[
        Path | None, typer.Option(help="New file for the report on each row: .csv, or JSON.", show_default=False)
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Invite many people from a table, with a report on each row.

    All are invited in one transaction. A row that is refused does not stop the others, and a second run invites no one
    twice.
    """
    data = read_file(people, "table")
    must_be_new(out, "the folder")
    must_be_new(report, "report")
    with opened(home) as site:
        public_origin(site)
        done = site.invitations.import_csv(
            data,
            zone=site.defaults.zone(zone),
            jurisdiction=site.defaults.jurisdiction(jurisdiction),
            days=days,
        )
        documents = _written(site, done, out)
    if report is not None:
        write_private(report, _report(documents, as_csv=report.suffix.lower() == ".csv"))
    refused = [one for one in done if one.invitation is None]
    lines = [f"row {one.number}: {shown(one.reason)}" for one in refused]
    lines.append(
        f"{counted(len(done) - len(refused), 'person', 'people')} invited, {counted(len(refused), 'row')} refused; "
        f"the files are in {shown(out)}: hand them over, then delete them"
    )
    emit(documents, "\n".join(lines), as_json=as_json)
    if refused:
        raise typer.Exit(ExitCode.REFUSED)


@refusal_app.command("record", "--zone lobby --out refusal.json")
def record(
    site: Site,
    zone: ZoneOption = None,
    out: Annotated[
        Path | None, typer.Option(help="File for a signed receipt, if the person wants one.", show_default=False)
    ] = None,
) -> Output:
    """Count that a person said no at the desk. Who it was is not recorded; a receipt names no one."""
    must_be_new(out, "refusal receipt")
    name = site.defaults.zone(zone)
    receipt = site.offers.refuse(name, receipt_wanted=out is not None)
    document = {"zone": name, "receipt": None if out is None else str(out)}
    if out is None or receipt is None:
        return document, "counted; nothing else was recorded"
    write_private(out, receipt)
    return document, f"counted; give {shown(out)} to the person, then delete it"


@refusal_app.command("verify", "refusal.json --trust site.pub")
def verify(
    receipt: Annotated[Path, typer.Argument(help="The file that the person saved.", show_default=False)],
    trust: TrustOption,
) -> Output:
    """Check a refusal receipt offline: the site signed that a person was asked, and said no. No site is needed."""
    key = read_site_key(trust)
    said = verify_refusal(read_file(receipt, "refusal receipt"), *key.public_keys)
    text = (
        f"valid: signed by {key.name}\non {said.refused_on}, a person was asked about zone {shown(said.zone)} by "
        f"{shown(said.controller)}, and said no\nit names no one: it is about the person who kept the file"
    )
    document = members(said, "refusal_id site_id controller contact zone") | {"refused_on": f"{said.refused_on}"}
    return {"valid": True, "signed_by": key.name} | document, text


def _handed_out(site: Site, made: Invitation, out: Path | None, *, is_new: bool = True) -> Output:
    letter = InvitationLetter.of(site, made)
    document = members(made, "invitation_id zone language expires_at") | {"link": letter.link}
    lines = [
        f"the link, for {shown(made.name)} alone: {letter.link}",
        f"open until {local_text(made.expires_at, site.defaults.time_zone())}, for one use; nothing was sent",
    ]
    if out is not None:
        try:
            files = write_letter(letter, out, made.invitation_id)
        except BaseException:  # Ctrl-C too
            if is_new:
                site.invitations.cancel(made.invitation_id)  # so that a second try is not refused
            raise
        document["files"] = {kind: str(path) for kind, path in files.items()}
        lines += [facts([(kind, path) for kind, path in files.items()]), "hand them over, then delete them"]
    return document, "\n".join(lines)


def _written(site: Site, done: Sequence[InvitedRow], out: Path) -> list[dict[str, Any]]:
    """Write the files of all people into a new folder, complete or not at all; then their invitations are cancelled."""
    documents = []
    try:
        with draft_folder(out) as draft:
            for one in tracked(done, "writing invitations"):
                document: dict[str, Any] = {"row": one.number, "name": one.person.name, "reason": one.reason}
                if one.invitation is not None:
                    letter = InvitationLetter.of(site, one.invitation)
                    files = write_letter(letter, draft, one.invitation.invitation_id)
                    document |= {"invitation_id": one.invitation.invitation_id, "link": letter.link}
                    document["files"] = {kind: str(out / path.name) for kind, path in files.items()}
                documents.append(document)
    except BaseException:  # Ctrl-C too
        for one in done:
            if one.invitation is not None:
                site.invitations.cancel(one.invitation.invitation_id)
        raise
    return documents


def _report(documents: list[dict[str, Any]], *, as_csv: bool) -> bytes:
    if not as_csv:
        return json.dumps(documents, indent=2, ensure_ascii=False).encode("utf-8") + b"\n"
    text = io.StringIO(newline="")
    rows = csv.DictWriter(text, ("row", "name", "reason", "invitation_id", "link"), extrasaction="ignore")
    rows.writeheader()
    for one in documents:
        rows.writerow({name: f"'{value}" if str(value).startswith(_FORMULA) else value for name, value in one.items()})
    return text.getvalue().encode("utf-8")
