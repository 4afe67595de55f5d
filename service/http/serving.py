"""Serving an open site over HTTP, alone or as one of several workers, until a signal."""

import signal
import socket
from pathlib import Path

from volens import Site
from volens.consent import InputError, UnavailableError
from volens.service.http.app_state import AppState
from volens.service.http.http_app import Supervised, application
from volens.service.http.server import Address, server
from volens.service.process.service_log import ForeignRecords, Log
from volens.service.service_config import ServiceConfig


def address_of(setting: ServiceConfig) -> Address:
    """Return where to listen.

    Raises:
        InputError: it would be beyond this machine in the clear, or half of TLS is missing.
    """
    return Address(
        setting.host, setting.port, setting.tls_certificate, setting.tls_key, behind_proxy=setting.behind_proxy
    )


def cannot_listen(address: Address) -> UnavailableError:
    """Return what is raised where somebody else listens already."""
    return UnavailableError(
        f"cannot listen on {address.host}:{address.port}; see whether something else does, or give another --port"
    )


def check_orders(orders: Path | None, home: Path) -> None:
    """Refuse a folder for what orders leave that cannot be one; None is none.

    Raises:
        InputError: it is below the home, or not there.
    """
    if orders is not None and orders.resolve().is_relative_to(home.resolve()):
        raise InputError("got 'orders' below the site's home, where answers to people must not be; choose another")
    if orders is not None and not orders.is_dir():
        raise InputError(f"got 'orders' {orders}, which is no folder; make it first, for the service alone")


def serve_site(
    site: Site,
    setting: ServiceConfig,
    log: Log,
    supervisor: Supervised,
    *,
    listener: socket.socket | None = None,
    workers: int = 1,
) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:
        site: open; the caller closes it.
        setting: how.
        log: gets a line for each request.
        supervisor: is told when requests are answered, and when no more.
        listener: a socket to share with other workers; without it, one of our own is bound.
        workers: how many processes serve the site together.

    Raises:
        InputError: answers to people would be put into the home, or into a folder that is not there.
        UnavailableError: somebody else listens on the address.
    """
    address = address_of(setting)
    check_orders(setting.orders, site.home)
    app_state = AppState.of(
        site, setting.model_threads, setting.waiting, workers=workers, orders=setting.orders, trust=setting.trust()
    )
    ForeignRecords(log).install()
    running = server(application(app_state, log=log, supervisor=supervisor), address, app_state.leave, setting.drain_s)
    # Before uvicorn takes the signal itself; and uvicorn sends it to itself again, when it has ended.
    signal.signal(signal.SIGTERM, running.handle_exit)
    try:
        running.run(sockets=None if listener is None else [listener])
    except SystemExit:  # uvicorn's way to say that it could not begin
        raise cannot_listen(address) from None
    finally:
        app_state.close()
