"""`volens witness`: organisations that cosign the checkpoints of the public log."""

from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from volens import Site
from volens.consent import UnavailableError, format_time
from volens.rights.witnesses import WitnessState
from volens.service.cli.command_types import Commands, Output
from volens.service.cli.named_files import read_file
from volens.service.cli.options import PublicLogHoursOption
from volens.service.cli.output import members, table
from volens.service.cosigning import WitnessCollector, WitnessResult
from volens.service.webhooks import parse_target

app = Commands("witness", "Let others cosign the audit log, so that it cannot be shown in two versions.")

_Name = Annotated[str, typer.Argument(help="What the site calls the witness.")]


@app.command("add", '"Works council" --url https://witness.example/volens --key witness.vkey')
def add(
    site: Site,
    name: _Name,
    url: Annotated[str, typer.Option(help="Prefix of its address: https://HOST/PATH, before /add-checkpoint.")],
    key: Annotated[Path, typer.Option(help="File with its verifier key (type 0x04), from the witness's operator.")],
    allow_private: Annotated[
        bool, typer.Option("--allow-private", help="Allow this machine and private networks, and http.")
    ] = False,
) -> Output:
    """Ask a witness from now on to cosign each new checkpoint of the public log. It sees what everyone can see."""
    parse_target(url, allow_private=allow_private)
    line = read_file(key, "verifier key", "pass the file that the witness's operator gave you").decode("utf-8")
    added = site.log.witnesses.add(name, url=url, key=line, allow_private=allow_private)
    text = (
        f"{added.name} will be asked to cosign the public log, as {added.key.name}\n"
        f"its operator needs the log's key: {site.verifier_key.newest.line()}"
    )
    return _document(WitnessState(added, None, None)), text


@app.command("list", "--all")
def list_(
    site: Site,
    removed: Annotated[bool, typer.Option("--all", help="Include witnesses that were removed.")] = False,
) -> Output:
    """List witnesses, with the newest checkpoint that each has cosigned."""
    found = site.log.witnesses.all(removed=removed)
    rows = [
        (
            one.witness.name,
            one.witness.key.name,
            one.witness.url,
            "nothing yet" if one.size is None else f"{one.size} entries",
            "" if one.cosigned_at is None else format_time(one.cosigned_at),
            "removed" if one.witness.removed_at else "",
        )
        for one in found
    ]
    human = table(("witness", "key", "url", "cosigned", "at", "state"), rows) if rows else "no witnesses"
    return [_document(one) for one in found], human


@app.command("remove", '"Works council"')
def remove(site: Site, name: _Name) -> Output:
    """Ask a witness no more. What it has cosigned stays."""
    gone = site.log.witnesses.remove(name)
    return {"name": gone.name, "key": gone.key.line()}, f"{gone.name} is not asked any more"


@app.command("collect")
def collect(site: Site, hours: PublicLogHoursOption = 24) -> Output:
    """Ask now each witness that has not cosigned the newest checkpoint, as 'volens serve' and 'volens sweep' do."""
    found = collected(site, timedelta(hours=hours))
    if failed := [one for one in found if one.problem is not None]:
        raise UnavailableError("; ".join(f"{one.witness.name} did not cosign: {one.problem}" for one in failed))
    document = [{"name": one.witness.name, "size": one.size} for one in found]
    text = "\n".join(f"{one.witness.name} cosigned the log of {one.size} entries" for one in found)
    return document, text or "every witness has cosigned the newest checkpoint of the public log"


def collected(site: Site, period: timedelta) -> list[WitnessResult]:
    """Ask the witnesses of a site; see `WitnessCollector.collect`."""
    with closing(WitnessCollector(site, site.log.public(period))) as collector:
        return collector.collect()


def _document(one: WitnessState) -> dict[str, Any]:
    return (
        members(one.witness, "witness_id name url")
        | {"key": one.witness.key.line(), "allow_private": one.witness.allow_private}
        | members(one.witness, "added_at removed_at")
        | members(one, "size cosigned_at")
    )
