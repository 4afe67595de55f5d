"""`volens serve`: the site over HTTP, for doors, desks and the people themselves."""

import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from consent import InputError, UnavailableError
from service.cli.options import HomeOption, JsonOption, LicenceOption, PackClaimOption, PackOption, PackSearchOption
from service.cli.output import STDERR, emit
from service.cli.session import models, opened


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
    model_threads: Annotated[
        int | None, typer.Option(min=1, help="Frames looked at together; without it, one for each processor.")
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
    from service.http.app import application  # noqa: PLC0415  loads FastAPI
    from service.http.rooms import Rooms  # noqa: PLC0415  as above
    from service.http.server import Address, server  # noqa: PLC0415  as above
    from service.logs import ForeignRecords, log_to  # noqa: PLC0415  loads structlog
    from service.service_config import read_config  # noqa: PLC0415  loads pydantic
    from service.supervision import Supervisor  # noqa: PLC0415  with the others

    said = {
        "host": host,
        "port": port,
        "tls_certificate": tls_certificate,
        "tls_key": tls_key,
        "behind_proxy": behind_proxy,
        "model_threads": model_threads,
        "waiting": waiting,
    }
    read = read_config(config)
    setting = read.model_copy(update={name: value for name, value in said.items() if value is not None})
    address = Address(
        setting.host, setting.port, setting.tls_certificate, setting.tls_key, behind_proxy=setting.behind_proxy
    )
    with opened(home, models(pack, accept_licence, pack_claim, pack_search)) as site:
        if setting.orders is not None and setting.orders.resolve().is_relative_to(site.home.resolve()):
            raise InputError("got 'orders' below the site's home, where answers to people must not be; choose another")
        rooms = Rooms.of(site, setting.model_threads, setting.waiting, setting.orders, setting.trust())
        log = log_to(sys.stderr)
        ForeignRecords(log).install()
        url = f"{'http' if address.tls_key is None else 'https'}://{address.host}:{address.port}"
        if as_json:
            emit({"url": url}, "", as_json=True)
        STDERR.print(f"listening on {url}; the description is at /openapi.json; Ctrl-C ends")
        app = application(rooms, log=log, supervisor=Supervisor())
        running = server(app, address, rooms.leave, setting.drain_s)
        # uvicorn sends itself the signal again when it has ended, to whatever handler there was before.
        signal.signal(signal.SIGTERM, lambda *_: None)
        try:
            running.run()
        except SystemExit:  # uvicorn's way to say that it could not begin
            raise UnavailableError(
                f"cannot listen on {address.host}:{address.port}; see whether something else does, or give another "
                "--port"
            ) from None
        finally:
            rooms.close()
