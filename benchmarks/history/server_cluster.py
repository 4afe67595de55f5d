"""A primary and its synchronous replica, of which the primary is stopped as by a power cut and the replica takes over.

The programs are those of a PostgreSQL installation (`initdb`, `pg_ctl`, `pg_basebackup`, `psql`). They refuse to run as
root, so a root user runs them as another one.
"""

import os
import pwd
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self, final

from benchmarks.history.operation import Operation, What

_CURRENT: Final = (
    "ALTER SYSTEM SET synchronous_standby_names = '*'",
    "ALTER SYSTEM SET synchronous_commit = 'remote_apply'",
    "SELECT pg_reload_conf()",
)
_ALONE: Final = ("ALTER SYSTEM SET synchronous_standby_names = ''", "SELECT pg_reload_conf()")


@final
class ServerCluster:
    """Two servers on loopback. Use as a context manager.

    Attributes:
        url: of the database, wherever the primary is.
    """

    def __init__(self, programs: Path, folder: Path, user: str | None) -> None:
        """Use the programs of a folder, with data in another one; `user` is for a caller who is root."""
        self._programs, self._folder, self._user = programs, folder, user
        self._ports = dict(zip(("primary", "replica"), _free_ports(2), strict=True))
        hosts = "&".join(f"host=127.0.0.1:{port}" for port in self._ports.values())
        self.url = f"postgresql+psycopg://postgres@/postgres?{hosts}&target_session_attrs=read-write"

    def __enter__(self) -> Self:
        self._folder.mkdir(mode=0o755)
        if os.geteuid() == 0 and self._user is not None:
            found = pwd.getpwnam(self._user)
            os.chown(self._folder, found.pw_uid, found.pw_gid)
        self._run("initdb", "-D", self._data("primary"), "-U", "postgres", "-A", "trust", "--encoding=UTF8")
        self._start("primary")
        at = ("-h", "127.0.0.1", "-p", str(self._ports["primary"]), "-U", "postgres")
        self._run("pg_basebackup", *at, "-D", self._data("replica"), "-R", "-X", "stream", "-c", "fast")
        self._start("replica")
        self._ask("primary", _CURRENT)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for server in self._ports:
            self._run("pg_ctl", "-D", self._data(server), "-m", "immediate", "stop", must=False)

    def fail_over(self) -> Operation:
        """Stop the primary at once, let the replica take over, and return the record of it."""
        began = time.monotonic_ns()
        self._run("pg_ctl", "-D", self._data("primary"), "-m", "immediate", "stop")
        self._run("pg_ctl", "-D", self._data("replica"), "-w", "promote")
        self._ask("replica", _ALONE)
        ended = time.monotonic_ns()
        return Operation(what=What.FAULT, who="primary", began=began, ended=ended, outcome="failed over")

    def _data(self, server: str) -> str:
        return str(self._folder / server)

    def _start(self, server: str) -> None:
        options = f"-p {self._ports[server]} -c listen_addresses=127.0.0.1 -c unix_socket_directories=''"
        log = str(self._folder / f"{server}.log")
        self._run("pg_ctl", "-D", self._data(server), "-l", log, "-o", options, "-w", "start")

    def _ask(self, server: str, statements: tuple[str, ...]) -> None:
        each = [word for one in statements for word in ("-c", one)]
        self._run("psql", "-h", "127.0.0.1", "-p", str(self._ports[server]), "-U", "postgres", *each)

    def _run(self, program: str, *arguments: str, must: bool = True) -> None:
        prefix = ["runuser", "-u", self._user, "--"] if os.geteuid() == 0 and self._user is not None else []
        command = [*prefix, str(self._programs / program), *arguments]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
        done = subprocess.run(command, cwd=self._folder, text=True, check=False, **quiet)  # noqa: S603  of the caller
        if must and done.returncode:
            raise RuntimeError(f"{program} ended with {done.returncode}: {done.stderr[-500:]}")


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports
