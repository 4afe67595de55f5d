"""HTTP client for one request to a checked address: limited in time and size; no redirect, no proxy, no cookie."""

import http.client
import re
import socket
import ssl
import threading
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, final

from volens.consent import UnavailableError
from volens.service.webhooks.address_guard import IpAddress, Target

MAX_RESPONSE_BYTES: Final = 64 * 2**10
TIMEOUT_S: Final = 15.0
_SECONDS: Final = re.compile(r"[0-9]{1,6}", re.ASCII)
_MAX_AGE: Final = re.compile(r"(?:^|[\s,])max-age=([0-9]{1,6})(?=$|[\s,])", re.ASCII | re.IGNORECASE)


class DeliveryError(UnavailableError):
    """There was no usable response. The message is a few words and repeats nothing of the response."""


@final
@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP response.

    Attributes:
        retry_after: the pause that the receiver requested, if it was in seconds.
        body: at most `MAX_RESPONSE_BYTES`.
        max_age: how long the response may be used, if it is in seconds (RFC 9111).
    """

    status: int
    retry_after: timedelta | None
    body: bytes
    max_age: timedelta | None = None


def request(
    method: str,
    target: Target,
    addresses: Sequence[IpAddress],
    headers: Mapping[str, str],
    body: bytes | None = None,
    *,
    timeout_s: float = TIMEOUT_S,
    context: ssl.SSLContext | None = None,
) -> Response:
    """Send one request and return the response, all within `timeout_s`.

    Args:
        method: ``GET`` or ``POST``.
        target: host and path of the URL; the certificate must be valid for this host.
        addresses: checked addresses of the host; tried in order until one accepts the connection.
        headers: sent in addition to ``Host`` and ``Content-Length``.
        body: the body.
        timeout_s: total time limit, without name resolution.
        context: for TLS; default: the trust store of the machine.

    Raises:
        DeliveryError: the receiver is unreachable or too slow, or its response is not HTTP or too large.
    """
    connection = _PinnedConnection(target, addresses, timeout_s, context)
    # The timeout of a socket restarts with each byte; this timer does not.
    timer = threading.Timer(timeout_s, connection.abort)
    timer.daemon = True
    timer.start()
    try:
        with closing(connection):
            connection.request(method, target.path, body, dict(headers))
            response = connection.getresponse()
            data = response.read(MAX_RESPONSE_BYTES + 1)
            status, wait = response.status, _SECONDS.fullmatch(response.getheader("Retry-After", ""))
            age = _MAX_AGE.search(response.getheader("Cache-Control", ""))
    except (OSError, http.client.HTTPException) as error:
        late = connection.was_aborted or isinstance(error, TimeoutError)
        raise DeliveryError("no response in time" if late else _problem(error)) from None
    finally:
        timer.cancel()
    if connection.was_aborted:
        raise DeliveryError("no response in time")
    if len(data) > MAX_RESPONSE_BYTES:
        raise DeliveryError("a response that is too large")
    retry_after = None if wait is None else timedelta(seconds=int(wait[0]))
    return Response(status, retry_after, data, None if age is None else timedelta(seconds=int(age[1])))


@final
class _PinnedConnection(http.client.HTTPConnection):
    """A connection to addresses that were resolved before."""

    def __init__(
        self, target: Target, addresses: Sequence[IpAddress], timeout_s: float, context: ssl.SSLContext | None
    ) -> None:
        super().__init__(target.host, target.port, timeout=timeout_s)
        self.was_aborted = False
        self._target = target
        self._addresses = addresses
        self._timeout_s = timeout_s
        self._context = context

    def connect(self) -> None:
        self.sock = self._connected()
        if self._target.scheme == "https":
            context = self._context or ssl.create_default_context()
            # Stored before the handshake, so that `abort` reaches it.
            self.sock = context.wrap_socket(self.sock, server_hostname=self._target.host, do_handshake_on_connect=False)
            self.sock.do_handshake()

    def abort(self) -> None:
        """Close the connection now, also during a blocking call."""
        self.was_aborted = True
        sock = self.sock
        if sock is not None:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def _connected(self) -> socket.socket:
        problem: OSError = ConnectionRefusedError()
        for address in self._addresses:
            if self.was_aborted:
                raise TimeoutError
            try:
                return socket.create_connection((str(address), self._target.port), self._timeout_s)
            except OSError as error:
                problem = error
        raise problem


def _problem(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return "a certificate that is not trusted"
    if isinstance(error, ssl.SSLError):
        return "a failed TLS handshake"
    if isinstance(error, http.client.HTTPException):
        return "a response that is not HTTP"
    return "no connection"
