"""One worker process of `volens serve --workers N`; it inherits two descriptors.

``python -m volens.service.process.worker LISTENER LINK`` starts it.

Not a command: the parent (`volens.service.process.workers`) starts it, and says over the link what to serve.
"""

import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, final

from volens.consent import VolensError
from volens.service.cli.exit_codes import ExitCode, code_of
from volens.service.cli.session import models, opened
from volens.service.http.serving import serve_site
from volens.service.process.process_memory import forbid_core_dumps, lock_all
from volens.service.process.service_log import fields_of, log_to
from volens.service.process.workers import READY
from volens.service.service_config import ServiceConfig

_MAX_ASSIGNMENT_BYTES: Final = 64 * 2**10
_LAST_S: Final = 60.0


@final
class Link:
    """The parent, seen from a worker."""

    def __init__(self, link: socket.socket) -> None:
        """Hold this end."""
        self._link = link

    def assignment(self) -> Any:  # noqa: ANN401  JSON
        """Return what to serve, and begin to watch the parent."""
        with self._link.makefile("rb") as file:
            said = json.loads(file.readline(_MAX_ASSIGNMENT_BYTES))
        threading.Thread(target=self._watch, name="link", daemon=True).start()
        return said

    def ready(self) -> None:
        """Say that requests are answered."""
        self._link.sendall(READY)

    def stopping(self) -> None:
        """Say nothing: the parent sees it."""

    def _watch(self) -> None:
        """End this process when the parent has gone, without draining: the address is for who comes next."""
        try:
            while self._link.recv(64):
                pass
        except OSError:
            pass
        threading.Timer(_LAST_S, os._exit, (int(ExitCode.INTERNAL),)).start()
        for _ in range(2):  # the second is for the impatient
            os.kill(os.getpid(), signal.SIGTERM)


def main(arguments: Sequence[str]) -> int:
    """Serve until told to end; return an exit code."""
    forbid_core_dumps()
    listener, link = (socket.socket(fileno=int(one)) for one in arguments)
    parent = Link(link)
    said = parent.assignment()
    log = log_to(sys.stderr, worker=said["number"])
    pack = None if said["pack"] is None else Path(said["pack"])
    load = models(pack, said["accept_licence"], said["pack_claim"], said["pack_search"])
    try:
        with opened(Path(said["home"]), load) as site:
            lock_all()
            setting = ServiceConfig(**said["setting"])
            serve_site(site, setting, log, parent, listener=listener, workers=said["workers"])
    except VolensError as error:
        sys.stderr.write(f"volens: {error}\n")
        return int(code_of(error))
    except Exception as error:  # noqa: BLE001  the last boundary: a traceback could carry what its frames hold
        log.error("worker broke", **fields_of(error))  # noqa: TRY400  no traceback
        return int(ExitCode.INTERNAL)
    return int(ExitCode.DONE)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
