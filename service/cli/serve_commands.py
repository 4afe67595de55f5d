"""`volens serve`: the HTTP service of the site, for doors, desks and people. `volens config` checks its settings."""

import os
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from volens.quick_imports import quick_imports
from volens.service.cli.command_types import Commands, Output
from volens.service.cli.options import HomeOption, JsonOption, PackOptions, SettingsOptions, home_folder
from volens.service.cli.output import emit, note
from volens.service.cli.session import models, opened
from volens.service.process import SystemdNotifier, lock_all
from volens.service.service_config import ServiceConfig, example, read_config

app = Commands()
config_app = Commands("config", "Check the configuration of 'volens serve'.")

_Options = Annotated[
    dict[str, Any],
    SettingsOptions(
        ServiceConfig,
        *("host", "port", "tls_certificate", "tls_key", "behind_proxy", "workers", "model_threads", "waiting"),
        "serve_zone",
    ),
]


@app.command("serve", "--host 0.0.0.0 --tls-certificate chain.pem --tls-key key.pem")
def serve(
    options: _Options,
    config: Annotated[
        Path | None, typer.Option(envvar="VOLENS_SERVE_CONFIG", help="TOML file; see 'volens config example'.")
    ] = None,
    pack: PackOptions = PackOptions(),
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Serve the site over HTTP until Ctrl-C or SIGTERM. Callers need credentials: see 'volens credential add'."""
    with quick_imports():
        from volens.service.http.server import Address, check_orders_folder, serve_site  # noqa: PLC0415  loads FastAPI
        from volens.service.process.service_log import log_to  # noqa: PLC0415  loads structlog
        from volens.service.process.workers import WorkerPool  # noqa: PLC0415  as above
        from volens.service.web.web_routes import add_pages  # noqa: PLC0415  loads FastAPI

    setting = read_config(config).model_copy(update=options)
    if "model_threads" not in setting.model_fields_set:
        setting = setting.model_copy(update={"model_threads": max(1, setting.model_threads // setting.workers)})
    address, log, load = Address.of(setting), log_to(sys.stderr), models(pack)
    check_orders_folder(setting.orders, home_folder(home))  # once, before the workers start
    url = f"{'http' if address.tls_key is None else 'https'}://{address.host}:{address.port}"

    def announce() -> None:
        if as_json:
            emit({"url": url}, "", as_json=True)
        note(f"listening on {url}; OpenAPI description at /openapi.json; Ctrl-C ends")

    listener = address.listen()  # before the site is opened: a port that is taken is said at once
    if setting.workers == 1:
        with listener, opened(home, load) as site:
            lock_all()
            serve_site(site, setting, log, SystemdNotifier(on_ready=announce), listening=listener, add_pages=add_pages)
        return
    assignment = {
        "home": str(home_folder(home)),
        "setting": setting.model_dump(mode="json"),
        "pack": pack.document(),
    }
    with tempfile.TemporaryDirectory(prefix="volens-") as counts:  # 0700; metrics, no personal data
        environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": counts}
        crew = WorkerPool(
            *(listener, setting.workers, assignment, log),
            drain_s=setting.drain_s,
            environment=environment,
            on_ready=announce,
        )
        raise typer.Exit(crew.run())


@config_app.command("check", "/etc/volens/serve.toml")
def check(
    file: Annotated[Path | None, typer.Argument(help="TOML file. Default: the environment alone.")] = None,
) -> Output:
    """Check a configuration: print all settings, or everything that is wrong. Nothing is started."""
    from volens.service.http.server import Address  # noqa: PLC0415  loads a web framework

    config = read_config(file)
    Address.of(config)
    document = config.model_dump(mode="json")
    return document, "\n".join(f"{name} = {value}" for name, value in document.items())


@config_app.command("example")
def show_example() -> Output:
    """Print a configuration file with every setting, its purpose and its default."""
    return {"example": example()}, example().rstrip("\n")
