"""`volens fleet`: the nodes and doors of the site, and what is wrong with them."""

from datetime import datetime

from volens import Site
from volens.consent import format_time
from volens.consent.zone import AfterLease
from volens.service.cli.command_types import Commands, Output
from volens.service.cli.output import members, table
from volens.site_fleet import Fleet, FleetDoor
from volens.store.programs.clock_exchange import ClockOffset
from volens.store.programs.processes import RunningProcess

app = Commands()

_NONE = "-"


@app.command("fleet", "--json")
def show(site: Site) -> Output:
    """List the nodes (processes that serve) and the doors: version, generation, clock, certificate, last decision.

    Both say this of themselves. Doors that only send frames, and no heartbeats, have no version and no clock. The clock
    of a node is compared with that of its database server, if there is one.
    """
    fleet = site.fleet()
    alarms = fleet.alarms()
    document = {
        "generation": fleet.generation,
        "nodes": [_node(one, fleet) for one in fleet.nodes],
        "doors": [_door(one) for one in fleet.doors],
        "alarms": [{"kind": one.kind, "about": one.about, "detail": one.sentence()} for one in alarms],
    }
    wrong = {one.about for one in alarms}
    rows = [_node_row(one, one.process_id in wrong) for one in fleet.nodes]
    rows += [_door_row(one, one.name in wrong) for one in fleet.doors]
    columns = ["what", "name", "zone", "version", "heard of", "generation", "clock", "certificate until", "decided"]
    if fleet.leases:
        columns.append("lease until")
        held = [_time(fleet.leases.get(one.process_id), "none") for one in fleet.nodes]
        held += [_time(one.lease_until, "none") + _then(one) for one in fleet.doors]
        rows = [[*row, until] for row, until in zip(rows, held, strict=True)]
    columns.append("state")
    states = [row.pop(0) for row in rows]
    lines = [table(columns, [[*row, state] for row, state in zip(rows, states, strict=True)])]
    lines += ["", *(one.sentence() for one in alarms)] if alarms else []
    if not rows:
        return document, "no node serves the site, and it has no door; see 'volens serve' and 'volens credential add'"
    return document, "\n".join(lines)


def _node_row(one: RunningProcess, is_wrong: bool) -> list[str]:
    generation = f"{one.generation}{', behind' if one.lag else ''}"
    clock, until = _clock(one.offset, "the site's"), _time(one.certificate_until)
    said = [one.version, format_time(one.seen_at), generation, clock, until, _time(one.decided_at)]
    return ["problem" if is_wrong else "ok", "node", one.process_id, _NONE, *said]


def _door_row(one: FleetDoor, is_wrong: bool) -> list[str]:
    state = "problem" if is_wrong else "ok"
    if one.report is None:
        return [state, "door", one.name, one.purpose or _NONE, _NONE, "never", *([_NONE] * 4)]
    said, clock = one.report, _clock(one.report.offset, _NONE)
    version, until = said.version or _NONE, _time(said.certificate_until)
    # A door holds no gallery: its node decides, at the node's generation.
    cells = [version, format_time(said.seen_at), _NONE, clock, until, _time(said.decided_at)]
    return [state, "door", one.name, one.purpose or _NONE, *cells]


def _clock(offset: ClockOffset | None, none: str) -> str:
    return none if offset is None else f"{offset.offset_ms:+d} ms ±{offset.uncertainty_ms}"


def _then(one: FleetDoor) -> str:
    return ", then badges only" if one.after_lease is AfterLease.BADGE else ""


def _time(at: datetime | None, none: str = _NONE) -> str:
    return none if at is None else format_time(at)


def _node(one: RunningProcess, fleet: Fleet) -> dict[str, object]:
    names = (
        "node=process_id version schema_revision=revision started_at seen_at generation certificate_until decided_at"
    )
    until = fleet.leases.get(one.process_id)
    return {
        **members(one, names),
        "behind_s": one.lag.total_seconds(),
        "lease_until": None if until is None else format_time(until),
        **_offset(one.offset),
    }


def _door(one: FleetDoor) -> dict[str, object]:
    said = one.report
    names = "version seen_at certificate_until decided_at"
    return {
        **members(one, "door=door_id label=name zone=purpose lease_until"),
        "after_lease": None if one.after_lease is None else one.after_lease.value,
        **(dict.fromkeys(names.split()) if said is None else members(said, names)),
        **_offset(None if said is None else said.offset),
    }


def _offset(offset: ClockOffset | None) -> dict[str, object]:
    return {
        "clock_offset_ms": None if offset is None else offset.offset_ms,
        "clock_uncertainty_ms": None if offset is None else offset.uncertainty_ms,
    }
