"""`volens keys`: show the root key and the store key, and rotate them."""

from typing import Annotated

import typer

from volens import Site
from volens.consent import format_time
from volens.service.cli.command_types import Commands, Output
from volens.service.cli.output import counted, facts, members, progress
from volens.store import KeysStatus

app = Commands("keys", "Show and rotate the keys of the site.")


@app.command("show")
def show(site: Site) -> Output:
    """Show where the root key is, since when the store key is in use, and when its rotation is due."""
    found = site.keys.status()
    return _document(found), facts(_rows(found))


@app.command("rotate", "--root\n--signing")
def rotate(
    site: Site,
    root: Annotated[bool, typer.Option("--root", help="Make a new root key, too, and destroy the old one.")] = False,
    signing: Annotated[
        bool, typer.Option("--signing", help="Make a new signing key, too; the old one introduces it in site.pub.")
    ] = False,
) -> Output:
    """Make new keys, wrap every grant secret again, destroy the old keys. Finishes an interrupted rotation."""
    with progress("wrapping buckets again") as advance:
        done = site.keys.rotate(root=root, signing=signing, progress=advance)
    old_copies = (
        "older copies of the keyring can no longer be decrypted"
        if done.new_root
        else "older copies of the keyring still open with the root key; 'volens keys rotate --root' ends that"
    )
    lines = [
        f"store key {done.epoch} is in use, {counted(done.buckets, 'bucket')} wrapped again; the old keys are gone",
        old_copies,
        "sketches are computed again when a gallery is next used",
    ]
    if done.new_signing_key is not None:
        lines.append(
            f"signing key {done.new_signing_key} is in use; publish {site.home / 'site.pub'} again: its first line is "
            "the same, and what older keys signed still verifies"
        )
    if done.resumed:
        lines.insert(0, "finished an interrupted rotation")
    return members(done, "epoch buckets new_root_key=new_root new_signing_key resumed"), "\n".join(lines)


@app.command("schedule", "90")
def schedule(site: Site, every_days: Annotated[int, typer.Argument(help="Days, 1 to 1098.")]) -> Output:
    """Set after how many days the keys must be rotated. Rotation is not automatic: run 'rotate' from a timer."""
    site.keys.schedule(every_days)
    found = site.keys.status()
    return _document(found), f"rotation of the store key is due by {format_time(found.due_at)}"


def _document(found: KeysStatus) -> dict[str, object]:
    return members(
        found,
        "root_key root_key_at root_key_due epoch store_key_at buckets secrets rotation_unfinished=unfinished "
        "signing_key signing_key_at every_days due_at overdue",
    )


def _rows(found: KeysStatus) -> list[tuple[str, str]]:
    rows = [
        ("root key", f"{found.root_key}, since {format_time(found.root_key_at)}"),
        ("store key", f"{found.epoch}, since {format_time(found.store_key_at)}"),
        ("signing key", f"{found.signing_key}, since {format_time(found.signing_key_at)}"),
        ("secrets", f"{found.secrets} in {counted(found.buckets, 'bucket')}"),
        ("rotation due by", f"{format_time(found.due_at)}{' (overdue)' if found.overdue else ''}"),
    ]
    if found.root_key_due:
        rows.append(("root key", "outlived an erasure, its holder did not answer; run 'volens sweep' when it does"))
    if found.unfinished:
        rows.append(("rotation", "interrupted; run 'volens keys rotate' to finish it"))
    return rows
