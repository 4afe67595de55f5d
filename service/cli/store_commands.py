"""`volens store`: a site whose databases are on a PostgreSQL server: moving there and back, further nodes, roles."""

import os
from typing import Annotated

import typer

from volens.consent import InputError, parse_purpose
from volens.service.cli.command_types import Commands, Output
from volens.service.cli.database_options import DatabaseOption, KeyringDatabaseOption, named_databases
from volens.service.cli.options import HomeOption, home_folder
from volens.service.cli.output import counted, members, progress, shown, warn
from volens.service.cli.session import opened
from volens.site_moving import move_to
from volens.store import join_home, read_databases, role_sql, utc_now
from volens.store.keys.root_key import DEFAULT_URL
from volens.store.moving import Moved

app = Commands("store", "A site on a PostgreSQL server: moving there and back, further nodes, roles.")


@app.command("join", "--database postgresql://volens@db.example/volens --root-key file:/run/volens/root.key")
def join(
    home: HomeOption = None,
    database: DatabaseOption = None,
    keyring_database: KeyringDatabaseOption = None,
    root_key: Annotated[
        str, typer.Option(help="Where the root key of the site is: file:PATH, which all nodes can replace.")
    ] = DEFAULT_URL,
) -> Output:
    """Create the home of another node of a site whose databases are on a server."""
    folder, databases = home_folder(home), named_databases(database, keyring_database)
    if databases is None:
        raise InputError("got no --database; give the one of the site, as 'volens init' got it")
    join_home(folder, databases, clock=utc_now, random=os.urandom, root_key_url=root_key)
    with opened(folder) as site:
        site_id = site.status().site_id
    return {"home": str(folder), "site_id": site_id}, f"joined site {site_id} with the home {shown(folder)}"


@app.command("roles", "--app volens_app --door volens_north --zone north")
def roles(
    home: HomeOption = None,
    role: Annotated[str, typer.Option("--app", help="The role of the nodes.")] = "volens_app",
    door: Annotated[str | None, typer.Option(help="Print the SQL for a role that reads some zones only.")] = None,
    zone: Annotated[list[str] | None, typer.Option(help="A zone of that role; may be repeated.")] = None,
) -> Output:
    """Print the SQL for roles that may do no more than the rules of the tables allow."""
    databases = read_databases(home_folder(home))
    if databases is None:
        raise InputError("the databases of this site are files, which have no roles; see 'volens init --database'")
    zones = [parse_purpose(one) for one in zone or ()]
    if (door is None) != (not zones):
        raise InputError("a role for doors needs --door and at least one --zone; give both, or neither")
    lines = role_sql(databases, role, door, zones)
    return {"sql": lines}, "\n".join(lines)


@app.command("copy", "--to postgresql://volens@db.example/volens")
def copy(
    home: HomeOption = None,
    to: Annotated[
        str | None, typer.Option(help="Move the site to this server: postgresql://USER@HOST/DATABASE[?schema=NAME].")
    ] = None,
    keyring_to: Annotated[
        str | None, typer.Option(help="The keyring's database, in the same form. Default: a schema next to the data.")
    ] = None,
    to_files: Annotated[bool, typer.Option("--to-files", help="Move the site into files of its home.")] = False,
) -> Output:
    """Move the databases of a site to a server or back: copy all rows, prove the copy, switch the home.

    Stop every process of the site first. If the command is killed, run it again. The old place serves nothing any more;
    it keeps a signpost to the new one.
    """
    if (to is None) is not to_files:
        raise InputError("give the new place: --to with the URL of a server, or --to-files")
    databases = named_databases(to, keyring_to)
    folder = home_folder(home)
    with progress("copying") as advance:
        moved = move_to(folder, databases, clock=utc_now, random=os.urandom, progress=advance)
    if not moved.scrubbed:
        warn("another process still reads the old files; end it, and remove volens.db and keyring.db from the home")
    if not moved.root_key_replaced:
        warn("the root key could not be replaced; 'volens sweep' does it as soon as its holder answers")
    return _moved_document(moved), _moved_text(moved)


def _moved_document(moved: Moved) -> dict[str, object]:
    document: dict[str, object] = members(moved, "place scrubbed root_key_replaced")
    if (copied := moved.copied) is not None:
        document |= members(copied, "log_size log_root")
        document |= members(copied.proved, "seals references closed_references certificates")
        document["tables"] = {name: members(one, "rows sha256") for name, one in copied.tables.items()}
    return document


def _moved_text(moved: Moved) -> str:
    if (copied := moved.copied) is None:
        return f"finished the move to {shown(moved.place)}; an earlier run had proved the copy"
    rows, proved = sum(one.rows for one in copied.tables.values()), copied.proved
    entries = counted(copied.log_size, "entry", "entries")
    return "\n".join(
        (
            f"moved to {shown(moved.place)}",
            f"equal on both sides: {counted(rows, 'row')} of {counted(len(copied.tables), 'table')}",
            f"equal on both sides: the log, {entries} with root {copied.log_root.hex()}",
            f"opened in the copy: {counted(proved.seals, 'seal')} of rows, {counted(proved.references, 'embedding')}",
            f"equal, and opened only by what the person holds: {counted(proved.closed_references, 'embedding')}",
            f"verified against the copied log: {counted(proved.certificates, 'certificate')}",
        )
    )
