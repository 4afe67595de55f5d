"""`volens zone` defines zones, with their rules."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Final

import typer

from volens import Site, Zone
from volens.consent import Custody, InputError, RefusedError
from volens.consent.declarations import SiteFact
from volens.consent.law.gates import ClosedGate
from volens.consent.notice import PASSING_SENTENCES
from volens.consent.notice_change import notice_need
from volens.consent.zone import (
    AfterLease,
    DeskSignature,
    FpirTarget,
    LivenessLevel,
    Trigger,
    ZoneState,
    parse_after_lease,
    parse_liveness,
    parse_trigger,
)
from volens.service.cli.command_types import Commands, Output
from volens.service.cli.lease_commands import lease_lines
from volens.service.cli.notice_needs import YES_HELP, ask_before, next_notice
from volens.service.cli.output import counted, members, progress, table
from volens.service.zone_sizes import BEYOND, size_sentence

app = Commands("zone", "Define zones: one purpose at one set of doors, with its rules.")

_Fpir: Final = typer.Option(help="Share of strangers who may be accepted in one look (FPIR): 0.1% or 0.01%.")
_Trigger: Final = typer.Option(
    help="What lets its doors compare a face: near (the person stops there, the default), request (a button, badge, "
    "PIN or QR; the default if people show something anyway), or passing (everyone who passes; the notice must say so)."
)
_Liveness: Final = typer.Option(
    help="Against photos: none, challenge (turn the head), or pack (a model; docs/liveness.md)."
)
_AfterLease: Final = typer.Option(
    help="What a door without a connection does when its lease has ended: closed, or badge (it compares no face, and "
    "passes badges on to the panel of the house)."
)
_Lease: Final = typer.Option(
    help="Seconds for which a door without a connection may still decide (docs/leases.md): 0 (none), or 5 to 900."
)
_Name = Annotated[str, typer.Argument(help="The zone.", show_default=False)]


_TRIGGERS: Final = {
    Trigger.NEAR: "a face is compared once a person has stopped near the camera, or on request",
    Trigger.REQUEST: "a face is compared on request only: a button, a badge, a PIN or a QR code",
    Trigger.PASSING: "the face of everyone who passes is compared, and the notice says so",
}


@app.command("add", 'lobby --custody subject_key --alternative "a badge at the same doors" --retention-days 90')
def add(
    site: Site,
    name: Annotated[str, typer.Argument(help="1 to 63 characters of a-z 0-9 _ -")],
    custody: Annotated[str, typer.Option(help="Who holds the key to a reference: operator, subject_key or badge.")],
    justification: Annotated[
        str | None, typer.Option(help="Why the operator must hold the key, and a badge is not enough.")
    ] = None,
    alternative: Annotated[str | None, typer.Option(help="The way in for people who do not consent.")] = None,
    retention_days: Annotated[int | None, typer.Option(help="A consent ends by itself after this many days.")] = None,
    match_history_days: Annotated[
        int, typer.Option(help="How long a person's visits are stored for their own access; 0 stores none.")
    ] = 90,
    second_factor: Annotated[
        str, typer.Option(help="Second factor required with the face: none, badge or pin.")
    ] = "none",
    desk_signature: Annotated[
        bool,
        typer.Option(
            "--desk-signature/--no-desk-signature",
            help="Whether the desk may make a key for a person and sign with it; else each person signs alone.",
        ),
    ] = True,
    title: Annotated[str | None, typer.Option(help="What people call it, such as 'Lobby East'; can change.")] = None,
    fpir: Annotated[str, _Fpir] = FpirTarget.ORDINARY.value,
    trigger: Annotated[str | None, _Trigger] = None,
    liveness: Annotated[str, _Liveness] = LivenessLevel.NONE.value,
    lease_seconds: Annotated[int, _Lease] = 0,
    after_lease: Annotated[str, _AfterLease] = AfterLease.CLOSED.value,
) -> Output:
    """Define a zone. It needs a justification, an alternative and a retention."""
    zone = site.add_zone(
        name,
        custody=custody,
        justification=justification,
        alternative=alternative,
        retention_days=retention_days,
        match_history_days=match_history_days,
        second_factor=second_factor,
        desk_signature=(DeskSignature.ALLOWED if desk_signature else DeskSignature.REFUSED).value,
        title=title,
        fpir=fpir,
        trigger=trigger,
        liveness=liveness,
        lease_seconds=lease_seconds,
        after_lease=after_lease,
    )
    text = f"added zone {zone.label}; next, its notice:\n{_next_steps(site, zone)}"
    if zone.trigger is Trigger.PASSING:
        text += "\nits doors identify everyone who passes: each notice must have the sentence of its language:"
        text += "".join(f"\n  {language}: {sentence}" for language, sentence in PASSING_SENTENCES.items())
    if zone.custody is Custody.OPERATOR:
        text += f"\n{size_sentence()}\n{BEYOND}"
    return _document(zone), text


@app.command("shorten", "lobby --retention-days 60")
def shorten(
    site: Site,
    name: Annotated[str, typer.Argument(help="The zone.", show_default=False)],
    retention_days: Annotated[int, typer.Option(help="A consent ends by itself after this many days; fewer than now.")],
) -> Output:
    """Shorten a zone's retention, also for people who agreed to a longer one. It is never extended."""
    before = site.zones.get(name)
    zone, shortened = site.clocks.shorten_retention(name, retention_days)
    text = (
        f"zone {zone.purpose} stores nothing longer than {counted(zone.retention_days, 'day')}; "
        f"{counted(shortened, 'consent')} shortened{next_notice(name, notice_need(before, zone))}"
    )
    return _document(zone) | {"shortened": shortened}, text


@app.command("rename", 'lobby --title "Lobby East"')
def rename(
    site: Site,
    name: _Name,
    title: Annotated[str, typer.Option(help="The new title, at most 80 characters; '' takes it away.")],
) -> Output:
    """Change the title of a zone. Its name stays, because receipts and certificates have it."""
    before = site.zones.get(name)
    zone = site.zones.rename(name, title)
    then = next_notice(name, notice_need(before, zone))
    return _document(zone), f"zone {zone.purpose} is now called {zone.title or 'by its name'}{then}"


@app.command("change", "lobby --fpir 0.01%")
def change(
    site: Site,
    name: _Name,
    fpir: Annotated[str | None, _Fpir] = None,
    trigger: Annotated[str | None, _Trigger] = None,
    liveness: Annotated[str | None, _Liveness] = None,
    lease_seconds: Annotated[int | None, _Lease] = None,
    after_lease: Annotated[str | None, _AfterLease] = None,
    *,
    yes: Annotated[bool, typer.Option("--yes", help=YES_HELP)] = False,
) -> Output:
    """Change the rate of strangers accepted that a zone aims at (FPIR), its trigger, liveness or leases.

    Its doors follow at once. A stricter zone misses more of its own people: see docs/accuracy.md. Triggers: see
    docs/doors.md. With --liveness challenge, only kiosks and 'volens verify --camera' decide: see docs/liveness.md.
    Trigger, liveness and lease are in the notice: a change that compares more faces, computes more of them, or lets a
    door know people for longer after a withdrawal, asks first.
    """
    given = (fpir, trigger, liveness, lease_seconds, after_lease)
    if sum(one is not None for one in given) != 1:
        names = "--fpir, --trigger, --liveness, --lease-seconds and --after-lease"
        raise InputError(f"got none of {names}, or several of them; give the one to change")
    before = site.zones.get(name)
    if trigger is not None:
        need = notice_need(before, replace(before, trigger=parse_trigger(trigger)))
        ask_before(site, name, need, yes=yes)
        zone = site.zones.set_trigger(name, trigger)
        return _document(zone), f"zone {zone.label}: {_TRIGGERS[zone.trigger]}{next_notice(name, need)}"
    if liveness is not None:
        need = notice_need(before, replace(before, liveness=parse_liveness(liveness)))
        ask_before(site, name, need, yes=yes)
        zone = site.zones.set_liveness(name, liveness)
        return _document(zone), f"zone {zone.label} has liveness {zone.liveness}{next_notice(name, need)}"
    if lease_seconds is not None:
        before.check_lease(lease_seconds)
        need = notice_need(before, replace(before, lease_seconds=lease_seconds))
        ask_before(site, name, need, yes=yes)
        zone = site.zones.set_lease(name, lease_seconds)
        return _document(zone), f"zone {zone.label}: {_lease_sentence(zone)}{next_notice(name, need)}"
    if after_lease is not None:
        need = notice_need(before, replace(before, after_lease=parse_after_lease(after_lease)))
        zone = site.zones.set_after_lease(name, after_lease)
        return _document(zone), f"zone {zone.label}: {_AFTER[zone.after_lease]}{next_notice(name, need)}"
    zone = site.zones.set_fpir(name, fpir or "")
    return _document(zone), f"zone {zone.label} aims at {zone.fpir} of strangers accepted in one look"


@app.command("pause", "lobby")
def pause(site: Site, name: _Name) -> Output:
    """Stop matching and enrolling in a zone, until 'volens zone resume'. Its doors act as if the service were down."""
    zone = site.zones.pause(name)
    stop = site.zones.paused(name, wait=True)
    lines = [f"zone {zone.label} is paused: nothing is matched or enrolled; consents go on, and people can withdraw"]
    if stop is not None:
        lines += lease_lines(stop, "people of the zone")
    return _document(zone) | ({} if stop is None else stop.to_json()), "\n".join(lines)


@app.command("resume", "lobby")
def resume(site: Site, name: _Name) -> Output:
    """End the pause of a zone."""
    zone = site.zones.resume(name)
    return _document(zone), f"zone {zone.label} is in use"


@app.command("remove", "attic")
def remove(
    site: Site,
    name: _Name,
    erase_everyone: Annotated[
        bool, typer.Option("--erase-everyone", help="End all consents in the zone first, and erase their data.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="For scripts: do not ask.")] = False,
) -> Output:
    """Remove a zone for ever. Its name stays taken, and the log keeps it.

    A zone in which people have a consent in force is removed with --erase-everyone only, after a question.
    """
    people = next((one.live_consents for one in site.status().zones if one.zone.purpose == name), 0)
    if erase_everyone and people and not yes:
        _ask_to_erase(name, people)
    with progress("erasing") as advance:
        zone, erased = site.zones.remove(name, erase_everyone=erase_everyone, progress=advance)
    text = f"removed zone {zone.label}; {counted(len(erased), 'consent')} ended and erased, each with a certificate"
    return _document(zone) | {"erased": [one.certificate_id for one in erased]}, text


@app.command("list")
def show(
    site: Site, removed: Annotated[bool, typer.Option("--all", help="Include zones that were removed.")] = False
) -> Output:
    """List the zones with their rules, and what keeps one closed to people of a jurisdiction."""
    zones = site.zones.all(removed=removed)
    closed = {
        zone.purpose: site.zones.closed_gates(zone.purpose) for zone in zones if zone.state is not ZoneState.REMOVED
    }
    rows = [
        (
            *(
                z.purpose,
                z.title,
                z.state.value.replace("_", " "),
                z.custody.value,
                z.second_factor.value,
                z.desk_signature.value,
                z.fpir.value,
                z.trigger.value,
                z.liveness.value,
                z.lease_seconds,
            ),
            *(z.retention_days, z.justification, z.alternative),
        )
        for z in zones
    ]
    columns = (
        "zone",
        "title",
        "state",
        "custody",
        "second factor",
        "desk signature",
        "fpir",
        "trigger",
        "liveness",
        "lease",
        "days",
        "justification",
        "alternative",
    )
    document = [_document(zone) | {"closed_gates": _gates(closed.get(zone.purpose, ()))} for zone in zones]
    gates = [
        f"{one.zone} is not open to people of {one.jurisdiction}: {one.sentence()}"
        for of in closed.values()
        for one in of
    ]
    return document, "\n".join((table(columns, rows), *gates))


def _gates(closed: Sequence[ClosedGate]) -> list[dict[str, str | None]]:
    return [
        {
            "jurisdiction": one.jurisdiction,
            "gate": one.gate.kind.value,
            "article": one.gate.article,
            "question": one.gate.question["en"],
            "opens_on": None if one.opens_on is None else one.opens_on.isoformat(),
            "command": one.command,
        }
        for one in closed
    ]


def _next_steps(site: Site, zone: Zone) -> str:
    """Return the commands that lead to a published notice; a fact that is declared already is not asked for again."""
    steps = [] if SiteFact.TRANSFERS in site.declarations.of_site() else ["volens declare site transfers none"]
    steps += [
        f'volens declare zone {zone.purpose} human-way "who opens when the door does not"',
        f"volens notice draft --zone {zone.purpose} --language en --out notice.md",
        f"volens notice publish notice.md --zone {zone.purpose} --language en",
    ]
    return "\n".join(f"  {step}" for step in steps)


def _lease_sentence(zone: Zone) -> str:
    if zone.lease_seconds == 0:
        return "its doors decide online only; leases that were given end by themselves"
    return f"a door without a connection may still decide for {zone.lease_seconds} s, about people who agreed to that"


_AFTER: Final = {
    AfterLease.CLOSED: "a door without a connection stays closed when its lease has ended",
    AfterLease.BADGE: "a door without a connection passes badges on to the panel of the house when its lease has ended",
}


def _document(zone: Zone) -> dict[str, object]:
    names = (
        "zone=purpose title state custody justification alternative retention_days match_history_days second_factor "
    )
    names += "desk_signature fpir trigger liveness lease_seconds after_lease"
    return members(zone, names)


def _ask_to_erase(name: str, people: int) -> None:
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise InputError("there is no terminal to ask on; pass --yes to erase everyone in the zone without a question")
    question = f"This ends {counted(people, 'consent')} and erases the face data. Type the name of the zone to go on"
    if typer.prompt(question, err=True, default="").strip() != name:
        raise RefusedError("the name was not typed; nothing was changed")
