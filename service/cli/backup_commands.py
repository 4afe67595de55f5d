"""`volens backup` and `volens restore`: copies that cannot bring anybody back who withdrew."""

import os
from pathlib import Path
from typing import Annotated

import typer

from volens import Site
from volens.consent import format_time
from volens.erase import Restored, RestoreOrder
from volens.service.cli.options import HomeOption, JsonOption, home_folder
from volens.service.cli.output import emit, progress, warn
from volens.service.cli.session import opened
from volens.store import utc_now
from volens.store.backup import WITH_KEYRING


def backup(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="A folder that is empty or not there yet.", show_default=False)
    ],
    with_keyring: Annotated[
        bool, typer.Option("--with-keyring", help="Put the keyring in as well; then the backup can be opened.")
    ] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a backup while the site is in use. Without the keyring nothing in it opens; the root key stays out."""
    if with_keyring:
        warn(WITH_KEYRING)
    with opened(home) as site, progress("copying") as advance:
        made = site.backup(folder, with_keyring=with_keyring, progress=advance)
    size_bytes = sum(fact.size_bytes for fact in made.files)
    document = {
        "folder": str(made.folder),
        "made_at": format_time(made.made_at),
        "log_size": made.log_size,
        "with_keyring": with_keyring,
        "files": [{"name": fact.name, "size_bytes": fact.size_bytes, "sha256": fact.sha256} for fact in made.files],
    }
    said = (
        f"backed up to {made.folder}: {', '.join(fact.name for fact in made.files)}, {size_bytes} bytes, "
        f"{made.log_size} entries in the log"
    )
    emit(document, said, as_json=as_json)


def restore(
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="DIR", help="The backup; without it, the data file in the home.", show_default=False),
    ] = None,
    in_place: Annotated[
        bool,
        typer.Option("--in-place", help="Into a home whose data file is lost, damaged or old."),
    ] = False,
    keyring: Annotated[
        Path | None, typer.Option(help="For a new home: the keyring.db last in use. Without it, the backup's copy.")
    ] = None,
    root_key: Annotated[
        Path | None, typer.Option(help="For a new home: the root key's file (root.key or root-key.json).")
    ] = None,
    replay: Annotated[
        Path | None, typer.Option(help="A folder of certificates kept elsewhere; these withdrawals are replayed too.")
    ] = None,
    checkpoint: Annotated[
        Path | None, typer.Option(help="A signed checkpoint of the log, kept elsewhere; shows how long the log was.")
    ] = None,
    accept_lost: Annotated[
        bool,
        typer.Option("--accept-lost-withdrawals", help="Go on although people who withdrew may be known again."),
    ] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Restore a site. Whoever withdrew since the backup is erased again before anything serves; rerun it if killed."""
    order = RestoreOrder(
        folder,
        in_place=in_place,
        keyring=keyring,
        root_key=root_key,
        certificates=replay,
        checkpoint=checkpoint,
        accept_lost=accept_lost,
    )
    place = home_folder(home)
    with progress("erasing again") as advance:
        restored = Site.restore(place, order, clock=utc_now, random=os.urandom, progress=advance)
    if accept_lost:
        warn("people who withdrew since the backup may be known again; ask for their receipts, codes or certificates")
    document = {
        "home": str(place),
        "made_at": None if restored.made_at is None else format_time(restored.made_at),
        "log_size": restored.log_size,
        "put_back": dict(restored.put_back),
        "replayed": restored.replayed,
        "enroll_again": restored.enroll_again,
        "unopenable": restored.unopenable,
        "certificates": restored.certificates,
        "lost_entries": restored.lost_entries,
    }
    emit(document, _said(restored, place), as_json=as_json)


def _said(restored: Restored, home: Path) -> str:
    since = "" if restored.made_at is None else f" from a backup of {format_time(restored.made_at)}"
    lines = [
        f"restored {home}{since}: a log of {restored.log_size} entries",
        f"{restored.replayed} consents that had ended since were ended and erased again",
    ]
    if restored.put_back:
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(restored.put_back.items()))
        lines.append(f"put back into the log, and otherwise lost: {kinds}")
    if restored.enroll_again:
        lines.append(f"{restored.enroll_again} people gave consent since; ask them, and enroll them again")
    if enrolled := restored.put_back.get("reference.enrolled"):
        lines.append(f"{enrolled} enrollments since are lost; whose consent is in force has only to be enrolled again")
    if restored.unopenable:
        lines.append(f"{restored.unopenable} consents were ended, for no keyring has their key any more")
    if restored.certificates:
        lines.append(f"{restored.certificates} certificates put back")
    if restored.lost_entries:
        lines.append(
            f"{restored.lost_entries} entries of the log are lost for good; whoever kept a checkpoint will see it"
        )
    return "\n".join(lines)
