"""`volens serve --workers`: one address, one process that notifies systemd, and no worker left without the parent."""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path

import pytest
from patience import PATIENCE_S, free_port

from tests.service.test_the_server import COMMAND, ROOT
from volens import Site
from volens.face import ModelCache
from volens.service.process.workers import WorkerProcess
from volens.store.programs import Role


def until(true: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < end
        time.sleep(0.1)


def get(port: int, path: str, token: str = "") -> tuple[int, str]:
    with closing(HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)) as one:
        one.request("GET", path, headers={"Authorization": f"Bearer {token}"} if token else {})
        answer = one.getresponse()
        return answer.status, answer.read().decode()


def is_refused(port: int) -> bool:
    try:
        get(port, "/healthz")
    except OSError:
        return True
    return False


def children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture
def home(tmp_path: Path) -> Path:
    ModelCache.default().pull()
    with Site.create(tmp_path / "home", name="Example Ltd", contact="privacy@example.org"):
        return tmp_path / "home"


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as one:
        one.bind(str(tmp_path / "notify"))
        one.settimeout(PATIENCE_S)
        yield one


@contextmanager
def start(home: Path, port: int) -> Iterator["subprocess.Popen[bytes]"]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1", "VOLENS_SERVE_WORKERS": "2"}
    environment |= {"VOLENS_HOME": str(home), "NOTIFY_SOCKET": str(home.parent / "notify")}
    command = [*COMMAND, "serve", "--port", str(port), "--json", "--model-threads", "1"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as parent:
        try:
            yield parent
        finally:
            parent.kill()


def test_two_workers_are_one_service_from_start_to_end(home: Path, manager: socket.socket) -> None:
    with Site.open(home) as site:
        token = site.programs.credentials.issue(label="prometheus", role=Role.AUDITOR)[1].reveal()
    port = free_port()
    with start(home, port) as parent:
        assert manager.recv(64) == b"READY=1"
        first, second = children(parent.pid)
        for _ in range(6):
            assert get(port, "/healthz")[0] == 200
        # A request is counted after its response. Then each worker returns the metrics of both.
        counted = 'volens_requests_total{operation="healthz",status="2xx"} 6.0'
        until(lambda: counted in get(port, "/metrics", token)[1])
        numbers = [get(port, "/metrics", token)[1] for _ in range(4)]
        assert all(counted in one for one in numbers)
        assert numbers[-1].count("volens_generation_applied{") == 2

        os.kill(first, signal.SIGKILL)
        assert get(port, "/healthz")[0] == 200
        until(lambda: len(children(parent.pid)) == 2 and first not in children(parent.pid))
        assert second in children(parent.pid)

        parent.send_signal(signal.SIGTERM)
        said, logged = parent.communicate(timeout=PATIENCE_S)
        assert parent.returncode == 0
    assert manager.recv(64) == b"STOPPING=1"
    assert [json.loads(line) for line in said.splitlines()] == [{"url": f"http://127.0.0.1:{port}"}]
    lines = [json.loads(line) for line in logged.splitlines() if line.startswith(b"{")]
    assert {line["event"] for line in lines} == {"request", "worker ended"}
    assert {line["worker"] for line in lines} <= {1, 2}
    assert [line["exit_code"] for line in lines if line["event"] == "worker ended"] == [-signal.SIGKILL]
    assert is_refused(port)


def test_when_the_parent_is_killed_all_workers_end(home: Path, manager: socket.socket) -> None:
    port = free_port()
    with start(home, port) as parent:
        assert manager.recv(64) == b"READY=1"
        workers = children(parent.pid)
        parent.kill()
        parent.wait()
        until(lambda: not any(map(is_alive, workers)))
        assert is_refused(port)


def test_a_site_that_cannot_be_opened_ends_the_service_with_one_error(tmp_path: Path) -> None:
    command = [*COMMAND, "serve", "--workers", "2", "--port", str(free_port()), "--home", str(tmp_path / "nowhere")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE_S, env=environment)
    assert run.returncode == 6
    assert "make one with 'volens init'" in run.stderr
    assert "Traceback" not in run.stderr


def test_a_worker_that_dies_repeatedly_is_restarted_with_backoff() -> None:
    worker, pauses = WorkerProcess(1, {}, {}), []
    for _ in range(1000):
        worker.ended(now=0.0)
        pauses.append(worker.not_before)
    assert [pauses[deaths - 1] for deaths in (1, 2, 3, 7, 1000)] == [0.5, 1.0, 2.0, 30.0, 30.0]
