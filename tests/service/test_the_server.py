"""`volens serve` as a process: it listens, responds, drains and refuses."""

import codecs
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
from declared_gates import open_gates
from fastapi import FastAPI
from patience import PATIENCE_S, free_port

from tests.service.conftest import jpeg
from volens import Site
from volens.consent import InputError
from volens.face import ModelCache
from volens.service import samples
from volens.service.http import Address, server
from volens.service.sample_notice import publish_sample_notice
from volens.store.programs import Role

COMMAND = [sys.executable, "-c", "from volens.program import main; main()"]
ROOT = Path(__file__).parents[2]


@contextmanager
def served(home: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    environment = {**os.environ, "VOLENS_HOME": str(home), "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
    command = [*COMMAND, "serve", "--port", str(port)]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE) as process:
        try:
            wait_for(f"http://127.0.0.1:{port}/readyz", process)
            yield process
        finally:
            process.kill()


def wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        if process.poll() is not None:
            raise AssertionError(process.stderr.read() if process.stderr else "")
        try:
            if httpx2.get(url).status_code == 200:
                return
        except httpx2.TransportError:
            time.sleep(0.1)
    raise AssertionError("the service did not come up")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    ModelCache.default().pull()
    home = tmp_path / "home"
    with Site.create(home, name="Example Ltd", contact="privacy@example.org") as site:
        site.add_zone("lobby", custody="operator", justification="a", alternative="b", retention_days=30)
        open_gates(site, "lobby")
        publish_sample_notice(site, "lobby", more="We look.")
    return home


def test_a_process_responds_to_a_door_and_ends_on_sigterm(home: Path) -> None:
    with Site.open(home) as site:
        _, token = site.programs.credentials.issue(label="door 1", role=Role.DOOR, zone="lobby")
    headers = {"Authorization": f"Bearer {token.reveal()}", "Content-Type": "image/jpeg"}
    port = free_port()
    with served(home, port) as process:
        url = f"http://127.0.0.1:{port}/v1/zones/lobby/identify"
        answer = httpx2.post(url, headers=headers, content=jpeg(samples.astronaut()))
        assert [face["decision"] for face in answer.json()["faces"]] == ["no_match"]
        assert "server" not in answer.headers

        process.send_signal(signal.SIGTERM)

        assert process.wait(PATIENCE_S) == 0


def test_a_response_does_not_wait_for_an_acknowledgement() -> None:
    with Address("127.0.0.1", free_port()).listen() as listener, socket.create_connection(listener.getsockname()):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.parametrize("more", [(), ("--json",), ("--workers", "2")], ids=["text", "json", "workers"])
def test_a_port_in_use_is_one_sentence(home: Path, more: tuple[str, ...]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        command = [*COMMAND, "serve", "--home", str(home), "--port", str(taken.getsockname()[1]), *more]
        run = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_S,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
    assert run.returncode == 6
    sentence = "another program listens there; stop it, or give another --port"
    if more == ("--json",):
        (only,) = run.stdout.splitlines()
        assert sentence in json.loads(only)["error"]["message"]
        assert run.stderr == ""
    else:
        assert run.stdout == ""
        (only,) = run.stderr.splitlines()
        assert sentence in only


@pytest.mark.parametrize("workers", ["1", "2"])
def test_listening_is_said_when_the_service_answers_and_not_before(home: Path, workers: str) -> None:
    port = free_port()
    command = [*COMMAND, "serve", "--home", str(home), "--port", str(port), "--workers", workers]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stderr is not None
        try:
            line = next(one for one in process.stderr if one.startswith("listening on "))
            assert f"http://127.0.0.1:{port};" in line
            # Readiness, not only an open port, at the first try.
            assert httpx2.get(f"http://127.0.0.1:{port}/readyz", timeout=PATIENCE_S).status_code == 200
        finally:
            process.send_signal(signal.SIGTERM)
            process.stderr.read()
        assert process.wait(PATIENCE_S) == 0


@pytest.mark.parametrize("key", [b"no key", b""])
def test_an_invalid_tls_key_is_refused_before_the_service_listens(tmp_path: Path, key: bytes) -> None:
    certificate, secret = tmp_path / "a.pem", tmp_path / "a.key"
    certificate.write_bytes(b"no certificate")
    secret.write_bytes(key)
    with pytest.raises(InputError, match="cannot be read, or do not belong together"):
        Address("127.0.0.1", 8470, certificate, secret)


def test_a_byte_order_mark_before_a_pem_file_is_named(tmp_path: Path) -> None:
    certificate, secret = tmp_path / "a.pem", tmp_path / "a.key"
    certificate.write_bytes(b"-----BEGIN CERTIFICATE-----\n")
    secret.write_bytes(codecs.BOM_UTF8 + b"-----BEGIN PRIVATE KEY-----\n")
    with pytest.raises(InputError, match=r"a\.key begins with a byte order mark"):
        Address("127.0.0.1", 8470, certificate, secret)


def test_a_signal_drains_a_server_before_it_ends() -> None:
    stopping = threading.Event()
    one = server(FastAPI(), Address("127.0.0.1", 8470), stopping, drain_s=0.05)
    one.handle_exit(signal.SIGTERM, None)
    assert stopping.is_set()
    until = time.monotonic() + PATIENCE_S
    while not one.should_exit:
        assert time.monotonic() < until
        time.sleep(0.01)


def test_a_second_signal_ends_a_draining_server_at_once() -> None:
    one = server(FastAPI(), Address("127.0.0.1", 8470), threading.Event(), drain_s=PATIENCE_S)
    one.handle_exit(signal.SIGTERM, None)
    assert not one.should_exit
    one.handle_exit(signal.SIGTERM, None)
    assert one.should_exit
