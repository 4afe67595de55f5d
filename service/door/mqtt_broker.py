"""Which broker of MQTT messages, and how it may be reached. Parsed and refused before anything is connected."""

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, final

from volens.consent import InputError
from volens.service.door.addresses import believing, is_host, is_this_machine, parts_of, secret_in

_PORTS: Final = {"mqtt": 1883, "mqtts": 8883}
_MAX_PASSWORD_BYTES: Final = 512


@final
@dataclass(frozen=True, slots=True)
class Broker:
    """Where it is, and who we are to it."""

    host: str
    port: int
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    tls: ssl.SSLContext | None = field(default=None, repr=False)

    @classmethod
    def at(
        cls,
        url: str,
        *,
        user: str | None = None,
        password_file: Path | None = None,
        ca: Path | None = None,
        in_clear: bool = False,
    ) -> "Broker":
        """Say which broker.

        Raises:
            InputError: the address is none, has a password in it, or would show what is sent to the network.
            UnavailableError: a file cannot be read.
        """
        parts = parts_of(url)
        host = parts.hostname
        if parts.scheme not in _PORTS or not is_host(host) or parts.path not in {"", "/"} or parts.query:
            raise InputError("got an address that is none of a broker; expected --mqtt mqtts://HOST[:PORT]")
        if parts.username is not None or parts.password is not None:
            raise InputError("got a broker's address with a user in it; give --mqtt-user and --mqtt-password-file")
        if password_file is not None and user is None:
            raise InputError("got --mqtt-password-file without --mqtt-user; give both")
        if parts.scheme == "mqtt" and not in_clear and not is_this_machine(host):
            raise InputError(
                f"got mqtt to {host}, where everybody on the way reads and writes along; expected mqtts, or "
                "--mqtt-in-clear if the network is closed"
            )
        tls = None
        if parts.scheme == "mqtts":
            tls = believing(ca)
        elif ca is not None:
            raise InputError("got --mqtt-ca with an address in the clear; give an mqtts one")
        password = None if password_file is None else secret_in(password_file, "password", _MAX_PASSWORD_BYTES)
        return cls(host, parts.port or _PORTS[parts.scheme], user, password, tls)
