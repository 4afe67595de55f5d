"""One attempt to hand a signed message to a receiver: one connection to a judged address, bounded in bytes and time.

No redirects, no proxies of the environment, no cookies, no credentials: `http.client` has none of them by itself.
"""

import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from typing import Final, final

from consent import UnavailableError
from service.webhooks.guard import Resolve, Target, addresses_of, ask_the_machine

MAX_ANSWER_BYTES: Final = 64 * 1024
TIMEOUT_S: Final = 15.0
"""For all of an attempt, once the name is resolved."""
_MOST_ADDRESSES: Final = 2


class NotDeliveredError(UnavailableError):
    """The receiver did not answer, or not in the way of HTTP. It may have got the message all the same."""


@final
@dataclass(frozen=True, slots=True)
class Answer:
    """What a receiver said.

    Attributes:
        retry_after: the header, as it came.
        body: the first `MAX_ANSWER_BYTES`; None if it is longer, or did not come in whole. Nobody reads more of it.
    """

    status: int
    retry_after: str | None
    body: bytes | None


def post(
    target: Target,
    headers: Mapping[str, str],
    body: bytes,
    *,
    resolve: Resolve = ask_the_machine,
    trust: ssl.SSLContext | None = None,
    timeout_s: float = TIMEOUT_S,
) -> Answer:
    """Send a message once.

    1. The name is resolved, and each address judged.
    2. The connection goes to an address of those; the certificate must be of the name.
    3. After `timeout_s` the connection is cut, whatever it is at.

    Args:
        target: where to.
        headers: the signature's; length, type and host are added.
        body: JSON.
        resolve: of names.
        trust: whom TLS believes; without it, whom the machine does.
        timeout_s: for connecting, sending and reading together.

    Raises:
        RefusedAddressError: see `addresses_of`.
        UnavailableError: the name has no address.
        NotDeliveredError: everything else that goes wrong. The message says nothing that the receiver has said.
    """
    # 1.
    addresses = addresses_of(target, resolve)
    # 2.
    connection = HTTPConnection(target.host, target.port, timeout=timeout_s)
    cut = threading.Event()
    line: list[socket.socket] = []

    def cut_off() -> None:
        cut.set()
        for one in line:
            _shut(one)

    # 3.
    timer = threading.Timer(timeout_s, cut_off)
    timer.daemon = True
    timer.start()
    try:
        line.append(_connected(target, addresses, timeout_s))
        if cut.is_set():
            raise TimeoutError
        if target.secure:
            line.append((trust or ssl.create_default_context()).wrap_socket(line[0], server_hostname=target.host))
        connection.sock = line[-1]
        if cut.is_set():
            raise TimeoutError
        connection.putrequest("POST", target.path, skip_host=True, skip_accept_encoding=True)
        own = {"host": target.authority, "content-type": "application/json", "content-length": str(len(body))}
        for name, value in {**own, "user-agent": "Volens", "connection": "close", **headers}.items():
            connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        return Answer(answer.status, answer.getheader("retry-after"), _read(answer.read))
    except (OSError, HTTPException, ValueError) as error:
        what = "in time" if cut.is_set() or isinstance(error, TimeoutError) else f"({type(error).__name__})"
        raise NotDeliveredError(f"the endpoint did not answer {what}; it is tried again") from None
    finally:
        timer.cancel()
        for one in reversed(line):
            one.close()
        connection.close()


def _connected(target: Target, addresses: list[str], timeout_s: float) -> socket.socket:
    """Connect to the first address that answers. They are addresses, not names: nothing is resolved again."""
    problem: OSError = TimeoutError()
    for address in addresses[:_MOST_ADDRESSES]:
        try:
            return socket.create_connection((address, target.port), timeout_s / _MOST_ADDRESSES)
        except OSError as error:
            problem = error
    raise problem


def _read(read: Callable[[int], bytes]) -> bytes | None:
    # The status has come: it counts, whatever happens to the body.
    try:
        body = read(MAX_ANSWER_BYTES + 1)
    except (OSError, HTTPException, ValueError):
        return None
    return body if len(body) <= MAX_ANSWER_BYTES else None


def _shut(one: socket.socket) -> None:
    try:
        socket.socket.shutdown(one, socket.SHUT_RDWR)
    except OSError:
        return
