"""Time limit of tests that wait for a state, and free ports; no test depends on the load of the machine."""

import random
import socket
from typing import Final

PATIENCE_S: Final = 180.0
"""A limit for tests that would hang, not a duration: the state comes within milliseconds on a quiet machine."""


def free_port() -> int:
    """Return a port of loopback that nothing listens on, from a range that no outgoing connection is given."""
    for port in random.SystemRandom().sample(range(10_000, 32_000), 1000):
        with socket.socket() as one:
            try:
                one.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise OSError("no port of loopback is free")
