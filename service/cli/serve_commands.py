"""`volens serve`: the site over HTTP, for doors, desks and the people themselves."""

import os
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from volens.service.cli.options import (
    HomeOption,
    JsonOption,
    LicenceOption,
    PackClaimOption,
    PackOption,
    PackSearchOption,
    home_folder,
)
from volens.service.cli.output import STDERR, emit
from volens.service.cli.session import models, opened
from volens.service.process.process_memory import lock_all


def serve(
    config: Annotated[
        Path | None, typer.Option(envvar="VOLENS_SERVE_CONFIG", help="TOML file; see 'volens config example'.")
    ] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on; 127.0.0.1.", show_default=False)] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Port; 8470.", show_default=False)] = None,
    tls_certificate: Annotated[Path | None, typer.Option(help="PEM file: the certificate and its chain.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="PEM file: the certificate's private key.")] = None,
    behind_proxy: Annotated[
        bool | None,
        typer.Option("--behind-proxy", help="A proxy in front does TLS; believe what it says about callers."),
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, max=64, help="Processes that answer; 1.")] = None,
    model_threads: Annotated[
        int | None,
        typer.Option(min=1, help="Frames that a worker looks at together; without it, one for each processor."),
    ] = None,
    waiting: Annotated[
        int | None, typer.Option(min=0, help="Frames that may wait, 32; more are sent away with 503.")
    ] = None,
    pack: PackOption = None,
    accept_licence: LicenceOption = None,
    pack_claim: PackClaimOption = None,
    pack_search: PackSearchOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Serve the site over HTTP until Ctrl-C or SIGTERM. Callers need credentials: see 'volens credential add'."""
    from volens.service.http.serving import address_of, cannot_listen, check_orders, serve_site  # noqa: PLC0415  loads FastAPI
    from volens.service.process.service_log import log_to  # noqa: PLC0415  loads structlog
    from volens.service.process.supervision import Supervisor  # noqa: PLC0415  with the others
    from volens.service.process.workers import WorkerPool, listening  # noqa: PLC0415  as above
    from volens.service.service_config import read_config  # noqa: PLC0415  loads pydantic

    said = {
        "host": host,
        "port": port,
        "tls_certificate": tls_certificate,
        "tls_key": tls_key,
        "behind_proxy": behind_proxy,
        "workers": workers,
        "model_threads": model_threads,
        "waiting": waiting,
    }
    read = read_config(config)
    setting = read.model_copy(update={name: value for name, value in said.items() if value is not None})
    if "model_threads" not in setting.model_fields_set:
        setting = setting.model_copy(update={"model_threads": max(1, setting.model_threads // setting.workers)})
    address, log, load = address_of(setting), log_to(sys.stderr), models(pack, accept_licence, pack_claim, pack_search)
    check_orders(setting.orders, home_folder(home))  # before several workers would find it out, each for itself
    url = f"{'http' if address.tls_key is None else 'https'}://{address.host}:{address.port}"

    def tell() -> None:
        if as_json:
            emit({"url": url}, "", as_json=True)
        STDERR.print(f"listening on {url}; the description is at /openapi.json; Ctrl-C ends")

    if setting.workers == 1:
        with opened(home, load) as site:
            lock_all()
            tell()
            serve_site(site, setting, log, Supervisor())
        return
    assignment = {
        "home": str(home_folder(home)),
        "setting": setting.model_dump(mode="json"),
        "pack": None if pack is None else str(pack),
        "accept_licence": accept_licence,
        "pack_claim": pack_claim,
        "pack_search": pack_search,
    }
    try:
        listener = listening(address.host, address.port)
    except OSError:
        raise cannot_listen(address) from None
    with tempfile.TemporaryDirectory(prefix="volens-") as counts:  # 0700; numbers without people
        tell()
        environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": counts}
        crew = WorkerPool(listener, setting.workers, assignment, log, drain_s=setting.drain_s, environment=environment)
        raise typer.Exit(crew.run())
