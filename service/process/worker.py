"""One worker process of `volens serve --workers N`: ``python -m volens.service.process.worker LISTENER LINK``.

Not a command for people: the parent (`volens.service.process.workers`) starts it with two inherited descriptors, and
sends over the link what to serve.
"""

import os
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, final

from volens.quick_imports import quick_imports

with quick_imports():
    from volens.consent import VolensError
    from volens.consent.json_reader import read_json
    from volens.consent.plain_text import escaped
    from volens.service.cli.exit_codes import ExitCode, code_of
    from volens.service.cli.options import PackOptions
    from volens.service.cli.session import models, opened
    from volens.service.http.server import serve_site
    from volens.service.process.process_memory import forbid_core_dumps, lock_all
    from volens.service.process.service_log import fields_of, log_to
    from volens.service.process.workers import READY
    from volens.service.service_config import ServiceConfig
    from volens.service.web.web_routes import add_pages

_MAX_ASSIGNMENT_BYTES: Final = 64 * 2**10
_EXIT_TIMEOUT_S: Final = 60.0


@final
class ParentLink:
    """The worker's end of the link to the parent process."""

    def __init__(self, link: socket.socket) -> None:
        self._link = link

    def assignment(self) -> Any:  # noqa: ANN401  JSON
        """Return what to serve, and watch the parent from now on."""
        with self._link.makefile("rb") as file:
            assignment = read_json(file.readline(_MAX_ASSIGNMENT_BYTES))
        threading.Thread(target=self._watch, name="link", daemon=True).start()
        return assignment

    def ready(self) -> None:
        """Notify the parent that this worker is ready."""
        self._link.sendall(READY)

    def stopping(self) -> None:
        """Do nothing: the parent notices the end of the process."""

    def _watch(self) -> None:
        """End this process when the parent has ended; without draining, because a new service may need the address."""
        try:
            while self._link.recv(64):
                pass
        except OSError:
            pass
        threading.Timer(_EXIT_TIMEOUT_S, os._exit, (int(ExitCode.INTERNAL),)).start()
        for _ in range(2):  # the second signal skips draining
            os.kill(os.getpid(), signal.SIGTERM)


def main(arguments: Sequence[str]) -> int:
    """Serve until SIGTERM; return an exit code."""
    forbid_core_dumps()
    listener, link = (socket.socket(fileno=int(one)) for one in arguments)
    parent = ParentLink(link)
    assignment = parent.assignment()
    log = log_to(sys.stderr, worker=assignment["number"])
    load = models(PackOptions.parse(assignment["pack"]))
    try:
        with opened(Path(assignment["home"]), load) as site:
            lock_all()
            config = ServiceConfig(**assignment["setting"])
            serve_site(
                site, config, log, parent, listening=listener, workers=assignment["workers"], add_pages=add_pages
            )
    except VolensError as error:
        sys.stderr.write(f"volens: {escaped(error)}\n")
        return int(code_of(error))
    except Exception as error:  # noqa: BLE001  the last boundary: a traceback could contain the data of its frames
        log.error("worker broke", **fields_of(error))  # noqa: TRY400  no traceback
        return int(ExitCode.INTERNAL)
    return int(ExitCode.DONE)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
