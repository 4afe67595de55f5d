"""`volens store`: a site whose databases are on a PostgreSQL server, used by several nodes."""

import os
from typing import Annotated

import typer

from volens.consent import InputError, parse_purpose
from volens.service.cli.command_types import Commands, Output
from volens.service.cli.database_options import DatabaseOption, KeyringDatabaseOption, named_databases
from volens.service.cli.options import HomeOption, home_folder
from volens.service.cli.output import shown
from volens.service.cli.session import opened
from volens.store import join_home, read_databases, role_sql, utc_now
from volens.store.keys.root_key import DEFAULT_URL

app = Commands("store", "A site on a PostgreSQL server: further nodes, roles.")


@app.command("join", "--database postgresql://volens@db.example/volens --root-key file:/run/volens/root.key")
def join(
    home: HomeOption = None,
    database: DatabaseOption = None,
    keyring_database: KeyringDatabaseOption = None,
    root_key: Annotated[
        str, typer.Option(help="Where the root key of the site is: file:PATH, which all nodes can replace.")
    ] = DEFAULT_URL,
) -> Output:
    """Make the home of a further node, for a site that is on a server."""
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
