"""`volens init` creates a site; `volens status` shows what it stores, in numbers."""

from typing import Annotated

import typer

from volens import Site
from volens.consent import format_time
from volens.service.cli.command_types import Commands, Output
from volens.service.cli.database_options import DatabaseOption, KeyringDatabaseOption, named_databases
from volens.service.cli.options import HomeOption, JsonOption, home_folder
from volens.service.cli.output import counted, emit, members, shown, table, warn
from volens.service.cli.session import opened
from volens.service.local_times import system_time_zone
from volens.store.keys.root_key import DEFAULT_URL
from volens.store.promises import Defaults

app = Commands()

_UNNAMED = "the operator of this machine"
_UNREACHABLE = "ask at the desk"


@app.command("init", '--controller "Example Ltd" --contact privacy@example.org')
def init(
    home: HomeOption = None,
    controller: Annotated[
        str, typer.Option(help="The organisation responsible; every receipt names it (GDPR 4(7)).")
    ] = _UNNAMED,
    contact: Annotated[str, typer.Option(help="How people reach the controller.")] = _UNREACHABLE,
    root_key: Annotated[
        str,
        typer.Option(
            help="Where to keep the root key: file:PATH, keyring:SERVICE/NAME, vault:https://HOST/MOUNT/KEY or "
            "aws-kms:KEY (docs/keys.md)."
        ),
    ] = DEFAULT_URL,
    database: DatabaseOption = None,
    keyring_database: KeyringDatabaseOption = None,
    zone: Annotated[str | None, typer.Option(help="The default zone of commands.")] = None,
    jurisdiction: Annotated[
        str | None, typer.Option(help="The default law that protects people: ISO 3166, such as FR or US-IL.")
    ] = None,
    time_zone: Annotated[
        str | None, typer.Option(help="Time zone of texts, such as Europe/Paris. Default: this machine's.")
    ] = None,
    public_url: Annotated[
        str | None, typer.Option(help="Default: address of the pages, https://HOST; for passkeys and links.")
    ] = None,
) -> Output:
    """Create a new site: keys, keyring, data file, public key."""
    folder = home_folder(home)
    defaults = {
        "zone": zone,
        "jurisdiction": jurisdiction,
        "time_zone": time_zone or system_time_zone(),
        "public_url": public_url,
    }
    Defaults.check(**defaults)
    databases = named_databases(database, keyring_database)
    with Site.create(folder, name=controller, contact=contact, root_key=root_key, databases=databases) as site:
        site.defaults.set(**defaults)
        status = site.status()
    keyring, data = ("keyring.db", "volens.db") if databases is None else ("the keyring's database", "the data")
    secret = f"{shown(folder / 'root.key')} and {keyring}"
    if root_key != DEFAULT_URL:
        secret = f"{keyring} and the credentials for {shown(root_key)}"
    lines = [
        f"created site {status.site_id} in {shown(folder)}",
        f"controller: {shown(status.controller)}, {shown(contact)}",
        f"publish {shown(folder / 'site.pub')}: it is needed to check certificates",
        f"keep {secret} out of the backups that hold {data}",
        "next: volens zone add --help; it names the steps to the notice of the zone (docs/notices.md)",
    ]
    if controller == _UNNAMED or contact == _UNREACHABLE:
        lines.append("receipts will not name the controller; use this only to try Volens (--controller, --contact)")
    document = {"home": str(folder)} | members(status, "site_id controller")
    document |= {"contact": contact, "root_key": root_key, "defaults": defaults}
    return document, "\n".join(lines)


@app.command("status")
def status(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Show what the site stores now, in numbers."""
    with opened(home) as site:
        found, (due_now, due_soon) = site.status(), site.clocks.quick_due()
        waiting, late = len(site.rights.requests()), len(site.rights.overdue())
    document = members(found, "site_id controller") | {
        "zones": [
            members(one.zone, "zone=purpose title state custody second_factor retention_days")
            | members(one, "live_consents references")
            for one in found.zones
        ],
        **members(found, "log_size unfinished_erasures unfinished_orders"),
        "due_now": due_now,
        "due_soon": due_soon,
        "open_requests": waiting,
        "overdue_requests": late,
        **members(found, "store_key_epoch rotation_due_at rotation_overdue"),
        "processes": [
            members(one, "process=process_id started_at seen_at generation galleries")
            | {"lag_s": one.lag.total_seconds()}
            for one in found.processes
        ],
    }
    rows = [
        (
            *(one.zone.label, one.zone.state.value.replace("_", " "), one.zone.custody.value),
            *(one.live_consents, sum(one.references.values())),
        )
        for one in found.zones
    ]
    lines = [
        table(("zone", "state", "custody", "consents in force", "references"), rows),
        (
            f"{counted(found.log_size, 'log entry', 'log entries')}, "
            f"{counted(found.unfinished_erasures, 'erasure')} not finished, "
            f"{counted(due_now, 'consent')} due for the sweep, {due_soon} more within 30 days"
        ),
    ]
    for one in found.processes:
        behind = f"{one.lag.total_seconds():.0f} s behind" if one.lag else "up to date"
        lines.append(f"process {one.process_id} serving since {format_time(one.started_at)}, {behind}")
    emit(document, "\n".join(lines), as_json=as_json)
    if late and not as_json:
        warn(f"{late} of {counted(waiting, 'open request')} overdue; see 'volens request list'")
    if found.rotation_overdue and not as_json:
        warn("rotation of the store key is overdue; run 'volens keys rotate'")
