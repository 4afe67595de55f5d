"""One question to one checked address: bounded in time and in what is read, no redirect, no proxy, no cookie."""

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

MAX_ANSWER_BYTES: Final = 64 * 2**10
TIMEOUT_S: Final = 15.0
_SECONDS: Final = re.compile(r"[0-9]{1,6}", re.ASCII)
_MAX_AGE: Final = re.compile(r"(?:^|[\s,])max-age=([0-9]{1,6})(?=$|[\s,])", re.ASCII | re.IGNORECASE)


class DeliveryError(UnavailableError):
    """There was no answer, or none that can be used. The message says why in a few words, and nothing of the answer."""


@final
@dataclass(frozen=True, slots=True)
class Answer:
    """What a receiver said.

    Attributes:
        status: of HTTP.
        retry_after: how long it wants to be left alone, if it gave seconds.
        body: at most `MAX_ANSWER_BYTES`.
        max_age: how long the answer may be used, if it says so in seconds (RFC 9111).
    """

    status: int
    retry_after: timedelta | None
    body: bytes
    max_age: timedelta | None = None


def post(
    target: Target,
    addresses: Sequence[IpAddress],
    headers: Mapping[str, str],
    body: bytes,
    *,
    timeout_s: float = TIMEOUT_S,
    context: ssl.SSLContext | None = None,
) -> Answer:
    """Send a body and return the answer, all of it within `timeout_s`.

    Args:
        target: host and path as they stand in the URL; the certificate must be of this host.
        addresses: of the host, checked; tried one after the other until one can be connected to.
        headers: to send besides ``Host`` and ``Content-Length``.
        body: to send.
        timeout_s: for everything together, name look-up excepted.
        context: for TLS; the machine's trust store without it.

    Raises:
        DeliveryError: it cannot be reached, is too slow, or says something that is no HTTP or too much.
    """
    return _ask("POST", target, addresses, headers, body, timeout_s, context)


def get(
    target: Target,
    addresses: Sequence[IpAddress],
    headers: Mapping[str, str],
    *,
    timeout_s: float = TIMEOUT_S,
    context: ssl.SSLContext | None = None,
) -> Answer:
    """Return what stands at an address, under the rules of `post`."""
    return _ask("GET", target, addresses, headers, None, timeout_s, context)


def _ask(
    method: str,
    target: Target,
    addresses: Sequence[IpAddress],
    headers: Mapping[str, str],
    body: bytes | None,
    timeout_s: float,
    context: ssl.SSLContext | None,
) -> Answer:
    connection = _Pinned(target, addresses, timeout_s, context)
    # A timeout of a socket begins anew with each byte; this one does not.
    alarm = threading.Timer(timeout_s, connection.cut)
    alarm.daemon = True
    alarm.start()
    try:
        with closing(connection):
            connection.request(method, target.path, body, dict(headers))
            response = connection.getresponse()
            data = response.read(MAX_ANSWER_BYTES + 1)
            status, wait = response.status, _SECONDS.fullmatch(response.getheader("Retry-After", ""))
            age = _MAX_AGE.search(response.getheader("Cache-Control", ""))
    except (OSError, http.client.HTTPException) as error:
        late = connection.was_cut or isinstance(error, TimeoutError)
        raise DeliveryError("no answer in time" if late else _problem(error)) from None
    finally:
        alarm.cancel()
    if connection.was_cut:
        raise DeliveryError("no answer in time")
    if len(data) > MAX_ANSWER_BYTES:
        raise DeliveryError("an answer that is too large")
    retry_after = None if wait is None else timedelta(seconds=int(wait[0]))
    return Answer(status, retry_after, data, None if age is None else timedelta(seconds=int(age[1])))


@final
class _Pinned(http.client.HTTPConnection):
    """A connection to addresses that were looked up before."""

    def __init__(
        self, target: Target, addresses: Sequence[IpAddress], timeout_s: float, context: ssl.SSLContext | None
    ) -> None:
        super().__init__(target.host, target.port, timeout=timeout_s)
        self.was_cut = False
        self._target = target
        self._addresses = addresses
        self._timeout_s = timeout_s
        self._context = context

    def connect(self) -> None:
        self.sock = self._connected()
        if self._target.scheme == "https":
            context = self._context or ssl.create_default_context()
            # Kept before the handshake, so that `cut` reaches it.
            self.sock = context.wrap_socket(self.sock, server_hostname=self._target.host, do_handshake_on_connect=False)
            self.sock.do_handshake()

    def cut(self) -> None:
        """End the connection now, whatever it is waiting for."""
        self.was_cut = True
        sock = self.sock
        if sock is not None:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def _connected(self) -> socket.socket:
        problem: OSError = ConnectionRefusedError()
        for address in self._addresses:
            if self.was_cut:
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
        return "no TLS"
    if isinstance(error, http.client.HTTPException):
        return "an answer that is no HTTP"
    return "no connection"
