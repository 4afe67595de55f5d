"""`volens serve`: the site over HTTP, for doors, desks and the people themselves."""

import os
import signal
from pathlib import Path
from typing import Annotated

import typer

from consent import UnavailableError
from service.cli.options import HomeOption, JsonOption, LicenceOption, PackClaimOption, PackOption, PackSearchOption
from service.cli.output import STDERR, emit
from service.cli.session import models, opened


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8470,
    tls_certificate: Annotated[Path | None, typer.Option(help="PEM file: the certificate and its chain.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="PEM file: the certificate's private key.")] = None,
    behind_proxy: Annotated[
        bool, typer.Option("--behind-proxy", help="A proxy in front does TLS; believe what it says about callers.")
    ] = False,
    model_threads: Annotated[
        int | None, typer.Option(min=1, help="Frames looked at together; without it, one for each processor.")
    ] = None,
    waiting: Annotated[int, typer.Option(min=0, help="Frames that may wait; more are sent away with 503.")] = 32,
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

    address = Address(host, port, tls_certificate, tls_key, behind_proxy)
    with opened(home, models(pack, accept_licence, pack_claim, pack_search)) as site:
        rooms = Rooms.of(site, model_threads or os.cpu_count() or 1, waiting)
        scheme = "http" if tls_key is None else "https"
        url = f"{scheme}://{host}:{port}"
        if as_json:
            emit({"url": url}, "", as_json=True)
        STDERR.print(f"listening on {url}; the description is at /openapi.json; Ctrl-C ends")
        running = server(application(rooms), address)
        # uvicorn sends itself the signal again when it has ended, to whatever handler there was before.
        signal.signal(signal.SIGTERM, lambda *_: None)
        try:
            running.run()
        except SystemExit:  # uvicorn's way to say that it could not begin
            raise UnavailableError(
                f"cannot listen on {host}:{port}; see whether something else does, or give another --port"
            ) from None
        finally:
            rooms.close()
