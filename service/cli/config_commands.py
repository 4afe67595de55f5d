"""`volens config`: how `volens serve` is to run, checked before it does."""

import json
from pathlib import Path
from typing import Annotated

import typer

from volens.service.cli.options import JsonOption
from volens.service.cli.output import emit
from volens.service.http.server import Address
from volens.service.service_config import example, read_config

app = typer.Typer(help="The configuration of 'volens serve': a file and the environment.", no_args_is_help=True)


@app.command("check")
def check(
    file: Annotated[Path | None, typer.Argument(help="TOML; without it, the environment alone.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Say what would hold, or everything that is wrong. Starts nothing."""
    config = read_config(file)
    Address(config.host, config.port, config.tls_certificate, config.tls_key, config.behind_proxy)
    document = json.loads(config.model_dump_json())
    emit(document, "\n".join(f"{name} = {value}" for name, value in document.items()), as_json=as_json)


@app.command("example")
def show_example(as_json: JsonOption = False) -> None:
    """Print a file with every setting, what it is for, and what holds without it."""
    emit({"example": example()}, example().rstrip("\n"), as_json=as_json)
