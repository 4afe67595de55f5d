"""`volens zone`: purposes at doors, and what is promised for them."""

from typing import Annotated

import typer

from volens import Zone
from volens.service.cli.options import HomeOption, JsonOption
from volens.service.cli.output import emit, table
from volens.service.cli.session import opened

app = typer.Typer(help="Zones: one purpose at one set of doors, with its promises.", no_args_is_help=True)


@app.command("add")
def add(
    name: Annotated[str, typer.Argument(help="1 to 63 of a-z 0-9 _ -")],
    custody: Annotated[str, typer.Option(help="Who holds what opens a reference: operator, subject_key or badge.")],
    justification: Annotated[
        str | None, typer.Option(help="Why the operator must hold the key and a badge is not enough.")
    ] = None,
    alternative: Annotated[str | None, typer.Option(help="The way in for people who say no.")] = None,
    retention_days: Annotated[int | None, typer.Option(help="After so many days a consent ends by itself.")] = None,
    match_history_days: Annotated[
        int, typer.Option(help="How long a person's own passages are kept for them to ask for; 0 keeps none.")
    ] = 90,
    second_factor: Annotated[
        str, typer.Option(help="What nobody gets in without, whoever the face is: none, badge or pin.")
    ] = "none",
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Declare a zone. Without a justification, an alternative or a retention it is refused."""
    with opened(home) as site:
        zone = site.add_zone(
            name,
            custody=custody,
            justification=justification,
            alternative=alternative,
            retention_days=retention_days,
            match_history_days=match_history_days,
            second_factor=second_factor,
        )
    emit(
        _document(zone), f"added zone {zone.purpose}; publish its notice with 'volens notice publish'", as_json=as_json
    )


@app.command("shorten")
def shorten(
    name: Annotated[str, typer.Argument(help="Which zone.", show_default=False)],
    retention_days: Annotated[int, typer.Option(help="After so many days a consent ends by itself; fewer than now.")],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Shorten a zone's retention, also for those who agreed to a longer one. It is never prolonged."""
    with opened(home) as site:
        zone, shortened = site.clocks.shorten_retention(name, retention_days)
    said = f"zone {zone.purpose} keeps nothing longer than {zone.retention_days} days; {shortened} consents end earlier"
    emit(_document(zone) | {"shortened": shortened}, said, as_json=as_json)


@app.command("list")
def show(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List the zones with their promises."""
    with opened(home) as site:
        zones = [one.zone for one in site.status().zones]
    rows = [
        (z.purpose, z.custody.value, z.second_factor.value, z.retention_days, z.justification, z.alternative)
        for z in zones
    ]
    columns = ("zone", "custody", "besides", "days", "justification", "alternative")
    emit([_document(zone) for zone in zones], table(columns, rows), as_json=as_json)


def _document(zone: Zone) -> dict[str, object]:
    return {
        "zone": zone.purpose,
        "custody": zone.custody.value,
        "justification": zone.justification,
        "alternative": zone.alternative,
        "retention_days": zone.retention_days,
        "match_history_days": zone.match_history_days,
        "second_factor": zone.second_factor.value,
    }
