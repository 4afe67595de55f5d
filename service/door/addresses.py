"""Addresses of the service and the MQTT broker, checked before anything is connected; secrets come from files."""

import ipaddress
import re
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeGuard, final
from urllib.parse import SplitResult, quote, urlsplit

from volens.consent import InputError, parse_purpose
from volens.store.files import read_secret, read_text_file

_MAX_TOKEN_BYTES: Final = 512
_MAX_PASSWORD_BYTES: Final = 512
_PORTS: Final = {"mqtt": 1883, "mqtts": 8883}
_HOST: Final = re.compile(r"[A-Za-z0-9._-]{1,253}|[0-9A-Fa-f:.]{2,45}")


@final
@dataclass(frozen=True, slots=True)
class ServiceAddress:
    """Where the service is, and the token for it."""

    url: str
    token: str = field(repr=False)
    tls: ssl.SSLContext | None = field(repr=False)

    @classmethod
    def from_url(
        cls, url: str, zone: str, token_file: Path, ca: Path | None = None, *, photos: bool = False
    ) -> "ServiceAddress":
        """Read the token and build the URL of a zone's stream; `photos` as in `Site.watch`.

        Raises:
            InputError: the URL is not valid, or would reveal the token; or other users can read the token's file.
            UnavailableError: a file cannot be read.
        """
        parts = split_url(url)
        host = parts.hostname
        is_plain = parts.scheme in {"http", "https"} and parts.path in {"", "/"} and not parts.query
        if not is_plain or not is_host(host):
            raise InputError("got a URL that is not one of a service; expected --url https://HOST:PORT")
        if parts.username is not None or parts.password is not None:
            raise InputError("got a URL with a user name; give the token with --token FILE")
        if parts.scheme == "http" and not is_loopback(host):
            raise InputError(
                f"got http to {host}, which would reveal the token on the network; expected https; http is for loopback"
            )
        if parts.scheme == "http" and ca is not None:
            raise InputError("got --ca with an http URL; use https")
        tls = tls_context(ca) if parts.scheme == "https" else None
        token = read_secret(token_file, "token", _MAX_TOKEN_BYTES)
        path = f"/v1/zones/{quote(parse_purpose(zone))}/stream{'?photos=true' if photos else ''}"
        return cls(f"{'ws' if tls is None else 'wss'}://{host_and_port(host, parts.port)}{path}", token, tls)


@final
@dataclass(frozen=True, slots=True)
class Broker:
    """Address of the broker, and the login for it."""

    host: str
    port: int
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    tls: ssl.SSLContext | None = field(default=None, repr=False)

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        user: str | None = None,
        password_file: Path | None = None,
        ca: Path | None = None,
        in_clear: bool = False,
    ) -> "Broker":
        """Parse the address and read the password.

        Raises:
            InputError: the URL is not valid, contains a password, or would send messages unencrypted over the network.
            UnavailableError: a file cannot be read.
        """
        parts = split_url(url)
        host = parts.hostname
        if parts.scheme not in _PORTS or not is_host(host) or parts.path not in {"", "/"} or parts.query:
            raise InputError("got a URL that is not one of a broker; expected --mqtt mqtts://HOST[:PORT]")
        if parts.username is not None or parts.password is not None:
            raise InputError("got a broker's URL with a user name; give --mqtt-user and --mqtt-password-file")
        if password_file is not None and user is None:
            raise InputError("got --mqtt-password-file without --mqtt-user; give both")
        if parts.scheme == "mqtt" and not in_clear and not is_loopback(host):
            raise InputError(
                f"got mqtt to {host}, which others on the network can read and change; use mqtts, or "
                "--mqtt-in-clear if the network is isolated"
            )
        if parts.scheme == "mqtt" and ca is not None:
            raise InputError("got --mqtt-ca with an mqtt URL; use mqtts")
        tls = tls_context(ca) if parts.scheme == "mqtts" else None
        password = None if password_file is None else read_secret(password_file, "password", _MAX_PASSWORD_BYTES)
        return cls(host, parts.port or _PORTS[parts.scheme], user, password, tls)


def split_url(url: str) -> SplitResult:
    """Split a URL; of an invalid one, return empty parts."""
    try:
        parts = urlsplit(url)
        _ = parts.hostname, parts.port  # validated only on access
    except ValueError:
        return urlsplit("")
    return parts


def host_and_port(host: str, port: int | None) -> str:
    """Return a host and its optional port as they are written in a URL."""
    text = f"[{host}]" if ":" in host else host
    return f"{text}:{port}" if port else text


def is_host(host: str | None) -> TypeGuard[str]:
    """Return whether the text can be a host name or address; it is not resolved."""
    return host is not None and _HOST.fullmatch(host) is not None


def is_loopback(host: str) -> bool:
    """Return whether a host is loopback; the name is not resolved."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def tls_context(ca: Path | None) -> ssl.SSLContext:
    """Return a TLS context that trusts a CA; without one, those of the machine.

    Raises:
        InputError: the file contains no certificates.
    """
    if ca is None:
        return ssl.create_default_context()
    try:
        return ssl.create_default_context(
            cadata=read_text_file(ca, "CA certificate", advice="expected a PEM file of a CA").decode("ascii")
        )
    except (UnicodeDecodeError, ssl.SSLError):
        raise InputError(f"cannot read {ca} as the certificates of a CA; expected a PEM file") from None
