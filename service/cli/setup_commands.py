"""`volens init` and `volens status`: the site itself."""

from pathlib import Path
from typing import Annotated

import typer

from volens import Site
from volens.consent import format_time
from volens.service.cli.options import HomeOption, JsonOption, home_folder
from volens.service.cli.output import emit, table, warn
from volens.service.cli.session import opened
from volens.store.keys.root_key import DEFAULT_URL

_UNNAMED = "the operator of this machine"
_UNREACHABLE = "ask at the desk"


def init(
    home: HomeOption = None,
    controller: Annotated[
        str, typer.Option(help="Who decides and answers: the name that stands in every receipt (GDPR 4(7)).")
    ] = _UNNAMED,
    contact: Annotated[str, typer.Option(help="Where people reach the controller.")] = _UNREACHABLE,
    root_key: Annotated[
        str,
        typer.Option(
            help="Where the root key shall be: file:PATH, keyring:SERVICE/NAME, vault:https://HOST/MOUNT/KEY or "
            "aws-kms:KEY (docs/keys.md)."
        ),
    ] = DEFAULT_URL,
    as_json: JsonOption = False,
) -> None:
    """Make a new site: keys, keyring, data file, public key."""
    folder = home_folder(home)
    with Site.create(folder, name=controller, contact=contact, root_key=root_key) as site:
        status = site.status()
    said = [
        f"made site {status.site_id} in {folder}",
        f"controller: {status.controller}, {contact}",
        f"give {folder / 'site.pub'} to everybody who shall be able to check certificates",
        f"keep {_root_key(folder, root_key)} out of the backups that hold volens.db",
    ]
    if controller == _UNNAMED or contact == _UNREACHABLE:
        said.append(
            "receipts will not say by name who asks; that is right for a try-out only (--controller, --contact)"
        )
    document = {
        "home": str(folder),
        "site_id": status.site_id,
        "controller": status.controller,
        "contact": contact,
        "root_key": root_key,
    }
    emit(document, "\n".join(said), as_json=as_json)


def _root_key(folder: Path, url: str) -> str:
    return f"{folder / 'root.key'} and keyring.db" if url == DEFAULT_URL else f"keyring.db and whatever opens {url}"


def status(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Show what the site holds now, in numbers."""
    with opened(home) as site:
        found, (due_now, due_soon) = site.status(), site.clocks.quick_due()
        waiting, late = len(site.rights.requests()), len(site.rights.overdue())
    document = {
        "site_id": found.site_id,
        "controller": found.controller,
        "zones": [
            {
                "zone": one.zone.purpose,
                "custody": one.zone.custody.value,
                "second_factor": one.zone.second_factor.value,
                "retention_days": one.zone.retention_days,
                "live_consents": one.live_consents,
                "references": dict(one.references),
            }
            for one in found.zones
        ],
        "log_size": found.log_size,
        "unfinished_erasures": found.unfinished_erasures,
        "unfinished_orders": found.unfinished_orders,
        "due_now": due_now,
        "due_soon": due_soon,
        "open_requests": waiting,
        "overdue_requests": late,
        "store_key_epoch": found.store_key_epoch,
        "rotation_due_at": format_time(found.rotation_due_at),
        "rotation_overdue": found.rotation_overdue,
        "processes": [
            {
                "process": one.process_id,
                "started_at": format_time(one.started_at),
                "seen_at": format_time(one.seen_at),
                "generation": one.generation,
                "galleries": one.galleries,
                "lag_s": one.lag.total_seconds(),
            }
            for one in found.processes
        ],
    }
    rows = [
        (one.zone.purpose, one.zone.custody.value, one.live_consents, sum(one.references.values()))
        for one in found.zones
    ]
    emit(document, table(("zone", "custody", "consents in force", "references"), rows), as_json=as_json)
    if not as_json:
        emit(
            None,
            f"{found.log_size} entries in the log, {found.unfinished_erasures} erasures not finished, "
            f"{due_now} consents to be swept, {due_soon} more within 30 days",
            as_json=False,
        )
        for one in found.processes:
            behind = f"{one.lag.total_seconds():.0f} s behind" if one.lag else "level with the store"
            emit(None, f"process {one.process_id} serves since {format_time(one.started_at)}, {behind}", as_json=False)
        if late:
            warn(f"{late} of {waiting} open requests of people are overdue; see 'volens request list'")
        if found.rotation_overdue:
            warn("the store key should have been rotated by now; run 'volens keys rotate'")
