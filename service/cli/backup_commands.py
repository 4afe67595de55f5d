"""`volens backup` and `volens restore`: a restored copy erases again everyone who withdrew since."""

import os
from pathlib import Path
from typing import Annotated

import typer

from volens import Site
from volens.consent import format_time
from volens.erase import Restored, RestoreOrder
from volens.service.cli.command_types import Commands, Output
from volens.service.cli.options import HomeOption, home_folder
from volens.service.cli.output import counted, members, progress, shown, warn
from volens.store import utc_now
from volens.store.backup import WITH_KEYRING

app = Commands()


@app.command("backup", "/mnt/backup/volens-monday")
def backup(
    site: Site,
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="A folder that is empty or does not exist yet.", show_default=False)
    ],
    with_keyring: Annotated[
        bool, typer.Option("--with-keyring", help="Include the keyring; the backup can then be opened.")
    ] = False,
) -> Output:
    """Write a backup while the site is in use.

    Without the keyring nothing in a backup can be opened. The root key is never included.
    """
    if with_keyring:
        warn(WITH_KEYRING)
    with progress("copying") as advance:
        made = site.backup(folder, with_keyring=with_keyring, progress=advance)
    size_bytes = sum(fact.size_bytes for fact in made.files)
    document = members(made, "folder made_at log_size") | {
        "with_keyring": with_keyring,
        "files": [members(fact, "name size_bytes sha256") for fact in made.files],
    }
    text = (
        f"backed up to {shown(made.folder)}: {', '.join(fact.name for fact in made.files)}, {size_bytes} bytes, "
        f"{made.log_size} entries in the log"
    )
    return document, text


@app.command("restore", "/mnt/backup/volens-monday --in-place")
def restore(
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="DIR", help="The backup. Default: the data file in the home.", show_default=False),
    ] = None,
    in_place: Annotated[
        bool,
        typer.Option(
            "--in-place",
            help="Restore into a home whose data file is lost, damaged or old, or whose server was set back.",
        ),
    ] = False,
    keyring: Annotated[
        Path | None, typer.Option(help="For a new home: the keyring.db last in use. Default: the backup's copy.")
    ] = None,
    root_key: Annotated[
        Path | None, typer.Option(help="For a new home: the root key's file (root.key or root-key.json).")
    ] = None,
    replay: Annotated[
        Path | None, typer.Option(help="A folder of certificates kept elsewhere; these withdrawals are replayed, too.")
    ] = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            help="A file kept elsewhere that carries a signed checkpoint: it shows how long the log was. Any file that "
            "the site gave out does (receipt, webhook message, certificate, answer, manifest)."
        ),
    ] = None,
    node: Annotated[
        list[Path] | None,
        typer.Option(
            help="The home of another node, or a copy of it: its checkpoint and certificates are read, too. Repeatable."
        ),
    ] = None,
    accept_lost: Annotated[
        bool,
        typer.Option(
            "--accept-lost-withdrawals", help="Continue although people who withdrew may be recognised again."
        ),
    ] = False,
    home: HomeOption = None,
) -> Output:
    """Restore a site from a backup, or after its database server was set back.

    People who withdrew since the backup are erased again before the site serves anything. If the command is killed,
    run it again.
    """
    order = RestoreOrder(
        folder,
        in_place=in_place,
        keyring=keyring,
        root_key=root_key,
        certificates=replay,
        checkpoint=checkpoint,
        nodes=node or (),
        accept_lost=accept_lost,
    )
    place = home_folder(home)
    with progress("erasing again") as advance:
        restored = Site.restore(place, order, clock=utc_now, random=os.urandom, progress=advance)
    if accept_lost:
        warn(
            "people who withdrew since the backup may be recognised again; ask them for receipts, codes or certificates"
        )
    document = {"home": str(place)} | members(
        restored,
        "made_at log_size put_back replayed enroll_again older_rows restricted unopenable certificates lost_entries "
        "lost_shards",
    )
    return document, _text(restored, place)


def _text(restored: Restored, home: Path) -> str:
    since = "" if restored.made_at is None else f" from a backup of {format_time(restored.made_at)}"
    lines = [
        f"restored {shown(home)}{since}: a log of {restored.log_size} entries",
        f"{counted(restored.replayed, 'consent')} that had ended since: ended and erased again",
    ]
    if restored.put_back:
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(restored.put_back.items()))
        lines.append(f"entered again in the log, their data is lost: {kinds}")
    if restored.enroll_again:
        lines.append(
            f"{counted(restored.enroll_again, 'person', 'people')} gave consent since; ask them again, then enroll them"
        )
    if enrolled := restored.put_back.get("reference.enrolled"):
        lines.append(
            f"{counted(enrolled, 'enrollment')} since the backup lost; enroll again those whose consent is in force"
        )
    if restored.older_rows:
        lines.append(
            f"{counted(restored.older_rows, 'consent, zone or credential', 'consents, zones or credentials')} changed "
            "since the backup; set again what was set since: leaving dates, PINs, retention, notices, orders"
        )
    if restored.restricted:
        lines.append(
            f"{counted(restored.restricted, 'consent')} paused, because a person paused theirs since the backup, and "
            "nothing says who: ask these people ('volens people list' shows them), then 'volens consent resume'"
        )
    if restored.unopenable:
        lines.append(f"{counted(restored.unopenable, 'consent')} ended, because no keyring has the key any more")
    if restored.certificates:
        lines.append(f"{counted(restored.certificates, 'certificate')} restored")
    if restored.lost_entries:
        lines.append(f"{restored.lost_entries} entries of the log are lost for good; a newer checkpoint will show it")
    if restored.lost_shards:
        lines.append(
            f"{counted(restored.lost_shards, 'shard')} of the log restored without the newest visits or counts, or not "
            "at all; the log says so, and 'volens audit verify' counts them"
        )
    return "\n".join(lines)
