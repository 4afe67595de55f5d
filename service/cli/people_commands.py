"""`volens people`: lists who consented and who is enrolled, finds people by name, shows one person."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo

import typer

from volens import Site
from volens.consent import InputError, Purpose, RefusedError, parse_purpose
from volens.consent.invitation import InvitationState
from volens.rights import PersonEntry, PersonRecord
from volens.service.cli.command_types import Commands, Output
from volens.service.cli.named_files import must_be_new, write_private
from volens.service.cli.output import counted, facts, members, progress, shown, table, warn
from volens.service.cli.person_argument import receipts_meant
from volens.service.local_times import local_text
from volens.service.people_csv import people_csv
from volens.store.people.people_list import WantedState, filter_of

app = Commands("people", "List, find and show the people with a consent in force.")

_Zone = Annotated[str | None, typer.Option(help="Only this zone.")]
_CONSENT: Final = (
    "zone=purpose receipt_id subject_id state custody given_at ends_at end_reason references second_factor has_badge "
    "is_linked restricted_at"
)
_INVITED: Final = "name zone invitation_id invited_at expires_at"
_COLUMNS: Final = ("name", "zone", "state", "ends", "references", "second factor", "staff list", "subject id")
_UNOPENED: Final = "(the name does not open)"


@app.command("list", "--zone lobby --ends-within 30")
def list_(
    site: Site,
    zone: _Zone = None,
    state: Annotated[
        WantedState | None,
        typer.Option(
            help="Only people who were invited and have not answered, who have no photos yet (consented), who have a "
            "reference (enrolled), or who have paused (restricted)."
        ),
    ] = None,
    ends_within: Annotated[
        int | None, typer.Option(metavar="DAYS", help="Only consents that end within so many days.")
    ] = None,
    csv_file: Annotated[
        Path | None, typer.Option("--csv", help="Write the list to this file (0600) instead.", show_default=False)
    ] = None,
) -> Output:
    """List the people with a consent in force, by zone and name. The log records that you looked, and at how many."""
    must_be_new(csv_file, "list")
    purpose = None if zone is None else parse_purpose(zone)
    if state is WantedState.INVITED:
        if ends_within is not None or csv_file is not None:
            raise InputError("people who are invited have no consent yet; leave --ends-within and --csv out")
        return _invited(site, purpose)
    wanted = filter_of(state, purpose)
    if ends_within is not None:
        wanted = site.people.ends_within(ends_within, wanted)
    with progress("opening names") as advance:
        entries = site.people.everyone(wanted, progress=advance)
    document: Any = [_document(one) for one in entries]
    if csv_file is None:
        return document, _table(entries, site.defaults.time_zone())
    write_private(csv_file, people_csv(entries))
    wrote = f"wrote {counted(len(entries), 'consent')} to {shown(csv_file)}"
    text = f"{wrote}; it holds names: delete it when it has served"
    return {"csv": str(csv_file), "consents": len(entries)}, text


@app.command("find", "exampl --zone lobby")
def find(
    site: Site,
    part: Annotated[str, typer.Argument(metavar="TEXT", help="A part of the name.", show_default=False)],
    zone: _Zone = None,
) -> Output:
    """Find people by a part of their name. The text that you search for is recorded nowhere."""
    with progress("opening names") as advance:
        found = site.people.find(part, zone=None if zone is None else parse_purpose(zone), progress=advance)
    if found.has_more:
        warn(f"only the first {len(found.entries)} are shown; search for a longer part of the name")
    if found.unopened:
        warn(f"{counted(found.unopened, 'name')} could not be opened and compared; run 'volens doctor'")
    if not found.entries:
        raise RefusedError("no person with a consent in force has this in their name; check the spelling")
    return [_document(one) for one in found.entries], _table(found.entries, site.defaults.time_zone())


@app.command("show", "ada.receipt.json")
def show(
    site: Site,
    who: Annotated[str, typer.Argument(metavar="PERSON", help="A receipt file, an id, or a name.", show_default=False)],
) -> Output:
    """Show the consents of one person, in force and ended, and what is set up for them. No face data is shown."""
    record = site.people.show(receipts_meant(site, who)[0])
    document = {
        "subject_id": record.subject_id,
        "in_force": [_document(one) for one in record.in_force],
        "ended": [members(one, "zone=purpose receipt_id reason ended_at certificate_id") for one in record.ended],
    }
    return document, _page(record, site.defaults.time_zone())


def _invited(site: Site, zone: Purpose | None) -> Output:
    found, local = site.invitations.list(zone, InvitationState.OPEN), site.defaults.time_zone()
    rows = [
        (shown(one.name or _UNOPENED), one.zone, "invited", local_text(one.expires_at, local), one.invitation_id)
        for one in found
    ]
    text = table(("name", "zone", "state", "answer until", "invitation id"), rows) if found else "no person"
    return [members(one, _INVITED) | {"state": "invited"} for one in found], text


def _document(entry: PersonEntry) -> dict[str, Any]:
    return {"name": entry.name} | members(entry.consent, _CONSENT)


def _table(entries: Sequence[PersonEntry], zone: ZoneInfo) -> str:
    if not entries:
        return "no person"
    rows = [
        (
            shown(one.name or _UNOPENED),
            one.consent.purpose,
            one.consent.state,
            local_text(one.consent.ends_at, zone),
            one.consent.references,
            one.consent.second_factor or "no",
            _yes(one.consent.is_linked),
            one.consent.subject_id,
        )
        for one in entries
    ]
    return table(_COLUMNS, rows)


def _page(record: PersonRecord, zone: ZoneInfo) -> str:
    blocks = [facts([("subject id", record.subject_id)])]
    for entry in record.in_force:
        one = entry.consent
        rows = [
            ("zone", one.purpose),
            ("name", shown(entry.name or _UNOPENED)),
            ("state", one.state),
            ("receipt id", one.receipt_id),
            ("given", "" if one.given_at is None else local_text(one.given_at, zone)),
            ("ends", f"{local_text(one.ends_at, zone)}, by the clock {one.end_reason!r}"),
            ("custody", one.custody),
            ("references", one.references),
            ("second factor", one.second_factor or "no"),
            ("badge", _yes(one.has_badge)),
            ("linked to the staff list", _yes(one.is_linked)),
            ("paused by the person", "no" if one.restricted_at is None else local_text(one.restricted_at, zone)),
        ]
        blocks.append(facts(rows))
    for gone in record.ended:
        rows = [
            ("zone", gone.purpose),
            ("state", f"ended {local_text(gone.ended_at, zone)}: {gone.reason}"),
            ("receipt id", gone.receipt_id),
            ("certificate", gone.certificate_id or "the erasure is not finished: volens sweep"),
        ]
        blocks.append(facts(rows))
    return "\n\n".join(blocks)


def _yes(value: bool) -> str:
    return "yes" if value else "no"
