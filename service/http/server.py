"""uvicorn in front of the application: where it may listen, and how it ends."""

import ipaddress
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import final

import uvicorn
from fastapi import FastAPI

from volens.consent import InputError
from volens.service.http.bodies import MAX_FRAME_BYTES
from volens.service.http.connections import HEADER_TIMEOUT_S, PER_ADDRESS, patient

DRAIN_S = 10


@final
@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen. Beyond this machine only with TLS, or behind something that says it does TLS.

    Raises:
        InputError: it would send faces over a network in the clear, or one half of TLS is missing.
    """

    host: str
    port: int
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    behind_proxy: bool = False

    def __post_init__(self) -> None:
        """Check that."""
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
                raise InputError(
                    "got a certificate and a key that cannot be read, or do not belong together; expected PEM, the "
                    "key without a passphrase; check --tls-certificate and --tls-key"
                ) from None
        if self.tls_key is None and not self.behind_proxy and not _is_loopback(self.host):
            raise InputError(
                f"got {self.host}, which is beyond this machine, without TLS; give --tls-certificate and --tls-key, or "
                "--behind-proxy if a proxy in front does TLS"
            )


@final
class Draining(uvicorn.Server):
    """A server that is no longer ready for a while before it ends, so that whoever balances loads sends no more."""

    def __init__(self, config: uvicorn.Config, leave: Callable[[], None], drain_s: float) -> None:
        """Call `leave` when it is told to end, and end `drain_s` seconds later."""
        super().__init__(config)
        self._leave = leave
        self._drain_s = drain_s
        self._told = False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take a signal; a second one is for the impatient."""
        self._leave()
        if self._told or not self._drain_s:
            super().handle_exit(sig, frame)
            return
        self._told = True
        alarm = threading.Timer(self._drain_s, super().handle_exit, (sig, None))
        alarm.daemon = True
        alarm.start()


def server(
    app: FastAPI,
    address: Address,
    leave: Callable[[], None],
    drain_s: float = 0.0,
    header_timeout_s: float = HEADER_TIMEOUT_S,
) -> uvicorn.Server:
    """Return a server that is not running yet. SIGTERM lets it finish what it has begun, for `DRAIN_S` at most.

    Args:
        app: to serve.
        address: where.
        leave: called when the server is told to end.
        drain_s: how long it goes on answering then.
        header_timeout_s: how long the headers of a request may take.
    """
    protocol = patient(header_timeout_s, None if address.behind_proxy else PER_ADDRESS)
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
        http=protocol,
        ws="websockets-sansio",
        ws_max_size=MAX_FRAME_BYTES + 2**16,  # a little too much is told of, more is cut off
        ws_per_message_deflate=False,  # frames are compressed already, and a bomb needs something to unpack it
        limit_concurrency=512,
        timeout_keep_alive=20,
        timeout_graceful_shutdown=DRAIN_S,
        lifespan="on",
    )
    return Draining(config, leave, drain_s)


def _no_password() -> str:
    # Else OpenSSL would ask at the terminal.
    raise InputError("got a key with a passphrase")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
