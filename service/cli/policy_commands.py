"""`volens policy`: the signed, machine-readable retention policy, made from the rules that the sweep applies."""

from pathlib import Path
from typing import Annotated

import typer

from volens.consent import InputError
from volens.consent.json_reader import read_json
from volens.erase.pages import DEFAULT_LANGUAGE, PageLanguage
from volens.rights import policy_page, verify_policy
from volens.service.cli.command_types import Commands, Output
from volens.service.cli.named_files import read_file, read_site_key
from volens.service.cli.options import HomeOption, JsonOption
from volens.service.cli.output import counted, emit
from volens.service.cli.session import opened

app = Commands("policy", invoke_without_command=True)


@app.callback()
def show(
    context: typer.Context,
    html: Annotated[bool, typer.Option("--html", help="Print an HTML page for people, without a signature.")] = False,
    language: Annotated[
        PageLanguage, typer.Option("--language", help="With --html: language of the page: en, fr or de.")
    ] = DEFAULT_LANGUAGE,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the signed retention policy (JSON-LD with DPV terms). It names no person; publish it."""
    if context.invoked_subcommand is not None:
        return
    if html and as_json:
        raise InputError("pass only one of --html and --json")
    with opened(home) as site:
        signed = site.clocks.signed_policy().decode("utf-8")
        page = policy_page(site.clocks.policy(), language)
    if as_json:
        emit(read_json(signed), "", as_json=True)
    else:
        emit(None, (page if html else signed).rstrip("\n"), as_json=False)


@app.command("verify", "policy.json --key site.pub")
def verify(
    policy: Annotated[Path, typer.Argument(help="The policy's file.", show_default=False)],
    key: Annotated[Path, typer.Option("--key", "--trust", help="The site's public key, site.pub.", show_default=False)],
) -> Output:
    """Check offline that the site signed every word of a policy. No site is needed."""
    trusted = read_site_key(key)
    checked = verify_policy(read_file(policy, "policy"), trusted)
    zones = len(checked["dpv:hasPersonalDataProcess"])
    text = f"valid: signed by {trusted.name}, issued {checked['dct:issued']}, {counted(zones, 'zone')}"
    return {"valid": True, "signed_by": trusted.name, "policy": checked}, text
