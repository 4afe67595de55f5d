"""`volens defaults`: the zone, jurisdiction and time zone that are used if none is given, and the public URL."""

from typing import Annotated

import typer

from volens import Site
from volens.service.cli.command_types import Commands, Output
from volens.service.cli.output import facts, members
from volens.store.promises.site_defaults import SiteDefaults

app = Commands("defaults", "Set what commands use if it is not given.")

_NAMES = "zone jurisdiction time_zone public_url"


@app.command("set", "--zone lobby --jurisdiction FR --time-zone Europe/Paris")
def set_(
    site: Site,
    zone: Annotated[str | None, typer.Option(help="The zone.")] = None,
    jurisdiction: Annotated[
        str | None, typer.Option(help="The law that protects people: ISO 3166, such as FR or US-IL.")
    ] = None,
    time_zone: Annotated[
        str | None, typer.Option(help="For texts and typed times: IANA, such as Europe/Paris.")
    ] = None,
    public_url: Annotated[
        str | None,
        typer.Option(help="Address of the pages, https://HOST; for passkeys and links."),
    ] = None,
) -> Output:
    """Set defaults of the site, for all commands from now on. Each change is in the log."""
    return _shown(site.defaults.set(zone=zone, jurisdiction=jurisdiction, time_zone=time_zone, public_url=public_url))


@app.command("show")
def show(site: Site) -> Output:
    """Show the defaults of the site."""
    return _shown(site.defaults.get())


def _shown(found: SiteDefaults) -> Output:
    text = facts(
        [
            ("zone", found.zone or "none: the only zone of the site, if there is one"),
            ("jurisdiction", found.jurisdiction or "none"),
            ("time zone", found.time_zone or "none: UTC"),
            ("public URL", found.public_url or "none: no passkeys, no links in invitations"),
        ]
    )
    return members(found, _NAMES), text
