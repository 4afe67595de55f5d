"""The HTTP server: uvicorn in front of the application, where it may listen, and how it shuts down."""

import errno
import ipaddress
import signal
import socket
import ssl
import sys
import threading
from codecs import BOM_UTF8
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from types import FrameType
from typing import Final, Self, final

import uvicorn
from cryptography.x509 import load_pem_x509_certificates
from fastapi import FastAPI

from volens import Site
from volens.consent import InputError, UnavailableError, parse_purpose
from volens.service.http.app_state import AppState
from volens.service.http.bodies import MAX_FRAME_BYTES
from volens.service.http.connections import HEADER_TIMEOUT_S, PER_ADDRESS, limited
from volens.service.http.http_app import LifecycleListener, application
from volens.service.process import bound_heap
from volens.service.process.service_log import ForeignRecords, Log
from volens.service.service_config import ServiceConfig
from volens.store.files import read_small_file

SHUTDOWN_S = 10
SWITCH_INTERVAL_S: Final = 0.0005
"""How long a thread that computes in Python may keep the interpreter lock while others wait; Python's default is 5 ms.

A decision releases the lock at every call into a model, SQLite and the cryptography, and waits to get it back. Beside
one thread that decodes photos, each of these waits could take the whole interval (docs/adr/0051)."""
_BACKLOG = 2048


@final
@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen. Other machines can connect only with TLS, or if a proxy in front does TLS.

    Raises:
        InputError: faces would be sent over a network without encryption, or one half of TLS is missing.
    """

    host: str
    port: int
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    behind_proxy: bool = False

    def __post_init__(self) -> None:
        """Check it."""
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise InputError("got one of --tls-certificate and --tls-key; give both, or neither")
        for path in (self.tls_certificate, self.tls_key):
            if path is not None and not path.is_file():
                raise InputError(f"there is no file {path}; check --tls-certificate and --tls-key")
        if self.tls_certificate is not None and self.tls_key is not None:
            try:
                ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(
                    self.tls_certificate, self.tls_key, password=_no_password
                )
            except (OSError, InputError):
                _refuse_byte_order_mark(self.tls_certificate, self.tls_key)
                raise InputError(
                    "got a certificate and a key that cannot be read, or do not belong together; expected PEM, the "
                    "key without a passphrase; check --tls-certificate and --tls-key"
                ) from None
        if self.tls_key is None and not self.behind_proxy and not _is_loopback(self.host):
            raise InputError(
                f"got {self.host}, which other machines can reach, without TLS; give --tls-certificate and --tls-key, "
                "or --behind-proxy if a proxy in front does TLS"
            )

    @classmethod
    def of(cls, config: ServiceConfig) -> Self:
        """Return the address of a configuration; raises like the constructor."""
        return cls(config.host, config.port, config.tls_certificate, config.tls_key, config.behind_proxy)

    def certificate_until(self) -> datetime | None:
        """Return when the TLS certificate, or one of its chain, ends first; None without TLS.

        Raises:
            InputError: the file has no certificate.
        """
        if self.tls_certificate is None:
            return None
        data = read_small_file(self.tls_certificate, "PEM file", advice="check --tls-certificate")
        try:
            return min(one.not_valid_after_utc for one in load_pem_x509_certificates(data))
        except ValueError:
            raise InputError("got a file without a PEM certificate; check --tls-certificate") from None

    def listen(self) -> socket.socket:
        """Return a socket that listens on this address; connections wait in its queue until the service is ready.

        They send at once (TCP_NODELAY, which they inherit): asyncio sets that only on sockets that it made itself.
        Without it the body of each response waits for the client's delayed acknowledgement of the head, 40 ms.

        Raises:
            UnavailableError: another process listens there, or this machine does not allow or know the address.
        """
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        try:
            listener = socket.create_server((self.host, self.port), family=family, backlog=_BACKLOG)
        except OSError as error:
            advice = {
                errno.EADDRINUSE: "another program listens there; stop it, or give another --port",
                errno.EACCES: "this user may not listen there; give a --port from 1024",
            }.get(error.errno or 0, "this machine has no such address; check --host")
            raise UnavailableError(f"cannot listen on {self.host}:{self.port}; {advice}") from None
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listener


@final
class DrainingServer(uvicorn.Server):
    """A server that is not ready for a while before it shuts down, so that load balancers send no more requests."""

    def __init__(self, config: uvicorn.Config, stopping: threading.Event, drain_s: float) -> None:
        """Set `stopping` at the first signal, and shut down `drain_s` seconds later."""
        super().__init__(config)
        self._stopping = stopping
        self._drain_s = drain_s

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Handle a signal; a second one shuts down at once."""
        is_second = self._stopping.is_set()
        self._stopping.set()
        if is_second or not self._drain_s:
            super().handle_exit(sig, frame)
            return
        timer = threading.Timer(self._drain_s, super().handle_exit, (sig, None))
        timer.daemon = True
        timer.start()


def server(
    app: FastAPI,
    address: Address,
    stopping: threading.Event,
    drain_s: float = 0.0,
    header_timeout_s: float = HEADER_TIMEOUT_S,
) -> uvicorn.Server:
    """Return a server that is not running yet; see `DrainingServer`.

    When it shuts down, it finishes running requests, for `SHUTDOWN_S` at most.
    """
    config = uvicorn.Config(
        app,
        address.host,
        address.port,
        ssl_certfile=address.tls_certificate,
        ssl_keyfile=address.tls_key,
        access_log=False,  # paths of a later version could carry ids
        server_header=False,
        proxy_headers=address.behind_proxy,
        log_config=None,
        http=limited(header_timeout_s, None if address.behind_proxy else PER_ADDRESS),
        ws="websockets-sansio",
        ws_max_size=MAX_FRAME_BYTES + 2**16,  # a frame that is slightly too large gets an error, others are cut off
        ws_per_message_deflate=False,  # frames are compressed already, and this prevents decompression bombs
        limit_concurrency=512,
        timeout_keep_alive=20,
        timeout_graceful_shutdown=SHUTDOWN_S,
        lifespan="on",
    )
    return DrainingServer(config, stopping, drain_s)


def check_orders_folder(orders: Path | None, home: Path) -> None:
    """Check the folder for dossiers and answers of erasure orders; None needs no check.

    Raises:
        InputError: it is below the site's home, or does not exist.
    """
    if orders is not None and orders.resolve().is_relative_to(home.resolve()):
        raise InputError("got 'orders' below the site's home, where answers to people must not be; choose another")
    if orders is not None and not orders.is_dir():
        raise InputError(f"got 'orders' {orders}, which is not a folder; create it first, for the service alone")


def serve_site(
    site: Site,
    config: ServiceConfig,
    log: Log,
    listener: LifecycleListener,
    *,
    listening: socket.socket,
    workers: int = 1,
    add_pages: Callable[[FastAPI], None] | None = None,
) -> None:
    """Serve an open site until SIGTERM or SIGINT, alone or as one of several workers; the caller closes it.

    `listening` is the socket of `Address.listen`, which all workers share. `listener` is told when the service answers.

    Raises:
        InputError: the address or the folder for orders is not allowed.
        UnavailableError: the service did not start.
    """
    address = Address.of(config)
    check_orders_folder(config.orders, site.home)
    bound_heap()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    site.installation.galleries.hot_set_bytes = config.hot_set_mb << 20
    if config.serve_zone:
        site.installation.galleries.serve_only(map(parse_purpose, config.serve_zone))
    app_state = AppState(
        site,
        config.model_threads,
        config.waiting,
        workers=workers,
        orders_folder=config.orders,
        trust=config.trust(),
        client=config.oidc_client(),
        public_log_period=timedelta(hours=config.public_log_hours),
        security=config.security(),
    )
    site.feed.certificate_until = address.certificate_until()
    if app_state.security_txt() is None:
        log.info("no security.txt", advice="set security_contact, and security_expires to a date to come")
    ForeignRecords(log).install()
    app = application(app_state, log=log, listener=listener, add_pages=add_pages)
    running = server(app, address, app_state.stopping, config.drain_s)
    # Before uvicorn handles the signal itself; it raises the signal again after it has shut down.
    signal.signal(signal.SIGTERM, running.handle_exit)
    try:
        running.run(sockets=[listening])
    except SystemExit:  # uvicorn could not start, and has logged why
        raise UnavailableError("the service did not start; the lines of its log before this one say why") from None
    finally:
        app_state.close()


def _refuse_byte_order_mark(*paths: Path) -> None:
    # OpenSSL reads the files itself, so the mark cannot be taken off for it.
    for path in paths:
        if read_small_file(path, "PEM file", advice="check --tls-certificate and --tls-key").startswith(BOM_UTF8):
            raise InputError(f"{path} begins with a byte order mark; save it as UTF-8 without one")


def _no_password() -> str:
    # Otherwise OpenSSL would prompt at the terminal.
    raise InputError("got a key with a passphrase")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
