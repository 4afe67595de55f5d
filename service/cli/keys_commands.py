"""`volens keys`: which keys there are, and their rotation."""

from typing import Annotated

import typer

from volens.consent import format_time
from volens.service.cli.options import HomeOption, JsonOption
from volens.service.cli.output import emit, progress, table
from volens.service.cli.session import opened
from volens.store import KeysStatus

app = typer.Typer(help="The keys of the site: where they are, and their rotation.", no_args_is_help=True)


@app.command()
def show(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Show where the root key is, since when the store key is in use, and by when it is to be rotated."""
    with opened(home) as site:
        found = site.keys.status()
    emit(_document(found), table(("", ""), _rows(found)), as_json=as_json)


@app.command()
def rotate(
    root: Annotated[bool, typer.Option("--root", help="Make a new root key too, and destroy the old one.")] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a new store key, wrap every living secret anew, destroy the old key. Finishes what was cut short."""
    with opened(home) as site, progress("wrapping secrets anew") as advance:
        done = site.keys.rotate(root=root, progress=advance)
    document = {
        "epoch": done.epoch,
        "secrets": done.secrets,
        "new_root_key": done.new_root,
        "resumed": done.resumed,
    }
    old_copies = (
        "copies of the keyring from before open with no key that is left"
        if done.new_root
        else "a copy of the keyring from before still opens with the root key; 'volens keys rotate --root' ends that"
    )
    said = [
        f"store key {done.epoch} is in use, {done.secrets} secrets wrapped anew; the one before is destroyed",
        old_copies,
        "sketches are made anew when a gallery is next used",
    ]
    if done.resumed:
        said.insert(0, "finished a rotation that was cut short")
    emit(document, "\n".join(said), as_json=as_json)


@app.command()
def schedule(
    every_days: Annotated[int, typer.Argument(help="Days, 1 to 1098; certificates promise it.")],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Set after how many days the store key is to be rotated. Nothing rotates by itself: run 'rotate' from a timer."""
    with opened(home) as site:
        site.keys.schedule(every_days)
        found = site.keys.status()
    emit(_document(found), f"the store key is due for rotation by {format_time(found.due_at)}", as_json=as_json)


def _document(found: KeysStatus) -> dict[str, object]:
    return {
        "root_key": found.root_key,
        "root_rotated_at": format_time(found.root_rotated_at),
        "epoch": found.epoch,
        "next_epoch": found.next_epoch,
        "rotation_unfinished": found.unfinished,
        "secrets": {str(epoch): count for epoch, count in found.secrets.items()},
        "rotated_at": format_time(found.rotated_at),
        "every_days": found.every_days,
        "due_at": format_time(found.due_at),
        "overdue": found.overdue,
    }


def _rows(found: KeysStatus) -> list[tuple[str, str]]:
    rows = [
        ("root key", f"{found.root_key}, since {format_time(found.root_rotated_at)}"),
        ("store key", f"{found.epoch}, since {format_time(found.rotated_at)}"),
        ("secrets", ", ".join(f"{count} under store key {epoch}" for epoch, count in found.secrets.items()) or "none"),
        ("to be rotated by", f"{format_time(found.due_at)}{' (overdue)' if found.overdue else ''}"),
    ]
    if found.unfinished:
        rows.append(("rotation", "cut short; run 'volens keys rotate' to finish it"))
    return rows
