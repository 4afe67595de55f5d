"""`volens policy`: the retention policy for everybody to read, signed, from what the sweep applies."""

import json
from pathlib import Path
from typing import Annotated

import typer

from volens.audit import VerifierKey
from volens.consent import InputError
from volens.rights import policy_page, verify_policy
from volens.service.cli.named_files import read_file
from volens.service.cli.options import HomeOption, JsonOption
from volens.service.cli.output import STDOUT, emit
from volens.service.cli.session import opened

app = typer.Typer(help="The retention policy, machine-readable and signed.", invoke_without_command=True)


@app.callback()
def show(
    context: typer.Context,
    html: Annotated[bool, typer.Option("--html", help="As a plain page for people, without a signature.")] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the site's retention policy: JSON-LD with DPV terms, signed. It names no person; publish it."""
    if context.invoked_subcommand is not None:
        return
    if html and as_json:
        raise InputError("got both --html and --json; give one of the two")
    with opened(home) as site:
        signed = site.clocks.signed_policy().decode("utf-8")
        page = policy_page(site.clocks.policy())
    if as_json:
        emit(json.loads(signed), "", as_json=True)
    else:
        STDOUT.out((page if html else signed).rstrip("\n"), highlight=False)


@app.command("verify")
def verify(
    policy: Annotated[Path, typer.Argument(help="The policy's file.", show_default=False)],
    key: Annotated[Path, typer.Option("--key", "--trust", help="The site's public key, site.pub.", show_default=False)],
    as_json: JsonOption = False,
) -> None:
    """Check a policy offline: every word of it was signed by the site. Needs no site."""
    try:
        trusted = VerifierKey.parse(read_file(key, "public key").decode("utf-8").strip())
    except UnicodeDecodeError:
        raise InputError(f"got {key}, which is no public key; give the site's site.pub") from None
    checked = verify_policy(read_file(policy, "policy"), trusted)
    zones = len(checked["dpv:hasPersonalDataHandling"])
    said = f"valid: signed by {trusted.name}, issued {checked['dct:issued']}, {zones} zones"
    emit({"valid": True, "signed_by": trusted.name, "policy": checked}, said, as_json=as_json)
