"""`volens lease`: the leases with which doors decide without a connection. See docs/leases.md."""

from typing import Annotated

import typer

from volens import Site
from volens.consent import InputError, format_time
from volens.consent.lease import LeaseHolding, LeaseStop
from volens.service.cli.command_types import Commands, Output
from volens.service.cli.output import table
from volens.store.programs import Role

app = Commands("lease", "See and end the leases of doors that decide without a connection.")

_Door = Annotated[str, typer.Argument(help="The id of the door's credential, or its label.", show_default=False)]


@app.command("list")
def show(site: Site) -> Output:
    """List the doors that may hold a lease now, and until when each ends by itself."""
    found = site.programs.leases.list()
    rows = [(one.door_id, one.door, format_time(one.ends_at), _state(one)) for one in found]
    return {"leases": [one.to_json() for one in found]}, table(("door", "label", "ends at", "state"), rows)


@app.command("revoke", '"lobby, left door" --stolen')
def revoke(
    site: Site,
    door: _Door,
    stolen: Annotated[
        bool, typer.Option("--stolen", help="End the door's credential too, and replace the keys of the site.")
    ] = False,
) -> Output:
    """End the leases of a door now, and give it no new ones until 'volens lease allow'. Repeating it is safe.

    A door with a connection drops its lease at once. One without decides until its lease ends by itself, which is said.
    """
    door_id = _door_id(site, door)
    stop = site.programs.leases.revoke(door_id)
    document = {"door": door_id, **stop.to_json()}
    until = format_time(stop.stopped_everywhere_at)
    text = f"door {door_id} gets no lease any more; it decides nothing without a connection from {until} on"
    if stolen:
        site.programs.credentials.end(door_id)
        rotated = site.keys.rotate()
        document["store_key_epoch"] = str(rotated.epoch)
        text += f"\nits credential has ended, and the site has new keys (epoch {rotated.epoch})"
    return document, text


@app.command("allow", '"lobby, left door"')
def allow(site: Site, door: _Door) -> Output:
    """Let a door get leases again after 'volens lease revoke'."""
    door_id = _door_id(site, door)
    site.programs.leases.allow(door_id)
    return {"door": door_id}, f"door {door_id} gets leases again, if its zone has them"


def lease_lines(stop: LeaseStop, whom: str) -> list[str]:
    """Return a line for each door that held a lease at a stop, and when all have stopped; none without such doors."""
    if not stop.holders:
        return []
    lines = [_holder_line(one, whom) for one in stop.holders]
    return [*lines, f"stopped everywhere: {format_time(stop.stopped_everywhere_at)}"]


def _holder_line(one: LeaseHolding, whom: str) -> str:
    if one.acknowledged_at is not None:
        return f"door {one.door}: gave up its lease at {format_time(one.acknowledged_at)}"
    until = format_time(one.ends_at)
    return f"door {one.door}: has not answered; without a connection it may know {whom} until {until}"


def _door_id(site: Site, text: str) -> str:
    doors = [one for one in site.programs.credentials.list(all_of_them=True) if one.role is Role.DOOR]
    found = [one.credential_id for one in doors if one.credential_id == text]
    found = found or [one.credential_id for one in doors if one.label == text and one.ended_at is None]
    if len(found) != 1:
        got = "no door" if not found else f"{len(found)} doors"
        raise InputError(f"got {got} of the name {text!r}; give the id that 'volens credential list' shows")
    return found[0]


def _state(one: LeaseHolding) -> str:
    return "held, as far as is known" if one.acknowledged_at is None else "given up"
