"""Which service decides, and how it is reached: https, or http on this machine. Refused before it is connected to."""

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, final
from urllib.parse import quote

from volens.consent import InputError, parse_purpose
from volens.service.door.addresses import believing, host_and_port, is_host, is_this_machine, parts_of, secret_in

_MAX_TOKEN_BYTES: Final = 512


@final
@dataclass(frozen=True, slots=True)
class Service:
    """Where the service is, and what it is shown."""

    url: str
    token: str = field(repr=False)
    tls: ssl.SSLContext | None = field(repr=False)

    @classmethod
    def at(cls, url: str, zone: str, token_file: Path, ca: Path | None = None) -> "Service":
        """Read the token and say where a zone's stream is.

        Raises:
            InputError: the address is none, or would show the token to others; the token's file is others' to read.
            UnavailableError: a file cannot be read.
        """
        parts = parts_of(url)
        host = parts.hostname
        is_plain = parts.scheme in {"http", "https"} and parts.path in {"", "/"} and not parts.query
        if not is_plain or not is_host(host):
            raise InputError("got an address that is none of a service; expected --url https://HOST:PORT")
        if parts.username is not None or parts.password is not None:
            raise InputError("got an address with a user's name in it; give the token with --token FILE")
        if parts.scheme == "http" and not is_this_machine(host):
            raise InputError(
                f"got http to {host}, which would show the token to the network; expected https; http is for loopback"
            )
        tls = None
        if parts.scheme == "https":
            tls = believing(ca)
        elif ca is not None:
            raise InputError("got --ca with an http address; give an https one")
        token = secret_in(token_file, "token", _MAX_TOKEN_BYTES)
        path = f"/v1/zones/{quote(parse_purpose(zone))}/stream"
        return cls(f"{'ws' if tls is None else 'wss'}://{host_and_port(host, parts.port)}{path}", token, tls)
