"""`volens zone` defines zones, with their rules; `volens notice` publishes what people read before giving consent."""

from pathlib import Path
from typing import Annotated

import typer

from volens import Notice, Site, Zone
from volens.consent import Custody
from volens.service.cli.command_types import Commands, Output
from volens.service.cli.named_files import read_file
from volens.service.cli.output import counted, members, table
from volens.service.cli.zone_sizes import BEYOND, size_sentence

app = Commands("zone", "Define zones: one purpose at one set of doors, with its rules.")
notice_app = Commands("notice", "Publish the notice that people read before giving consent.")


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
    )
    text = f"added zone {zone.purpose}; next, publish its notice: volens notice publish"
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
    zone, shortened = site.clocks.shorten_retention(name, retention_days)
    text = (
        f"zone {zone.purpose} stores nothing longer than {counted(zone.retention_days, 'day')}; "
        f"{counted(shortened, 'consent')} shortened"
    )
    return _document(zone) | {"shortened": shortened}, text


@app.command("list")
def show(site: Site) -> Output:
    """List the zones with their rules."""
    zones = [one.zone for one in site.status().zones]
    rows = [
        (z.purpose, z.custody.value, z.second_factor.value, z.retention_days, z.justification, z.alternative)
        for z in zones
    ]
    columns = ("zone", "custody", "second factor", "days", "justification", "alternative")
    return [_document(zone) for zone in zones], table(columns, rows)


def _document(zone: Zone) -> dict[str, object]:
    return members(
        zone, "zone=purpose custody justification alternative retention_days match_history_days second_factor"
    )


@notice_app.command("publish", "notice.md --zone lobby --language en")
def publish(
    site: Site,
    text: Annotated[Path, typer.Argument(help="A UTF-8 text file, at most 256 KiB.", show_default=False)],
    zone: Annotated[str, typer.Option(help="The zone.")],
    language: Annotated[str, typer.Option(help="BCP 47 tag, such as en or fr-CA.")],
    supersedes_within_days: Annotated[
        int | None,
        typer.Option(help="People who agreed to an older version must agree to this one within this many days."),
    ] = None,
) -> Output:
    """Publish the next version of a zone's notice in one language."""
    notice = site.publish_notice(
        zone, language=language, text=read_file(text, "notice"), supersedes_within_days=supersedes_within_days
    )
    version = f"version {notice.version} ({notice.language})"
    return _notice_document(notice), f"published {version} for zone {notice.purpose}, SHA-256 {notice.sha256}"


@notice_app.command("show", "--zone lobby --language en")
def show_notice(
    site: Site,
    zone: Annotated[str, typer.Option(help="The zone.")],
    language: Annotated[str | None, typer.Option(help="The language; not needed if there is only one.")] = None,
) -> Output:
    """Show the newest notice of a zone."""
    notice = site.notice(zone, language)
    return _notice_document(notice) | {"text": notice.text}, notice.text


def _notice_document(notice: Notice) -> dict[str, object]:
    return members(notice, "zone=purpose language version sha256")
