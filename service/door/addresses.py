"""What goes into an address and what does not: hosts that are this machine, who is believed there, secrets in files."""

import ipaddress
import re
import ssl
import stat
from pathlib import Path
from typing import Final, TypeGuard
from urllib.parse import SplitResult, urlsplit

from volens.consent import InputError
from volens.store.files import read_private

_HOST: Final = re.compile(r"[A-Za-z0-9._-]{1,253}|[0-9A-Fa-f:.]{2,45}")


def parts_of(url: str) -> SplitResult:
    """Return the parts of an address; of what is none, no parts at all."""
    try:
        parts = urlsplit(url)
        _ = parts.hostname, parts.port  # judged only when they are asked for
    except ValueError:
        return urlsplit("")
    return parts


def host_and_port(host: str, port: int | None) -> str:
    """Return a host, and its port if there is one, as they stand in an address."""
    shown = f"[{host}]" if ":" in host else host
    return f"{shown}:{port}" if port else shown


def is_host(host: str | None) -> TypeGuard[str]:
    """Tell whether something can be the name or address of a host; it is not looked up."""
    return host is not None and _HOST.fullmatch(host) is not None


def is_this_machine(host: str) -> bool:
    """Tell whether a host is loopback by its name; it is not looked up."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def believing(ca: Path | None) -> ssl.SSLContext:
    """Return a context for TLS that believes an authority; without one, those of the machine.

    Raises:
        InputError: the file holds no certificates.
    """
    try:
        return ssl.create_default_context(cafile=None if ca is None else str(ca))
    except (OSError, ssl.SSLError):
        raise InputError(f"cannot use {ca} as certificates of an authority; expected a PEM file") from None


def secret_in(path: Path, what: str, limit_bytes: int) -> str:
    """Read a secret of one line from a file that only its owner may read.

    Raises:
        InputError: others may read it, or it is no line of printable ASCII.
        UnavailableError: it is missing or cannot be read.
    """
    try:
        mode = path.stat().st_mode
    except OSError:
        mode = 0
    if stat.S_ISREG(mode) and mode & 0o077:
        raise InputError(f"others may read the {what} in {path}; 'chmod 600' it, and have a new one made")
    text = read_private(path, limit_bytes).decode("ascii", "replace").strip("\r\n")
    if not text or not text.isascii() or not text.isprintable():
        raise InputError(f"got no {what} in {path}; expected one line of printable ASCII")
    return text
