"""Health checks and metrics wait for no other work, for no slow database, and never stop other requests."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection

import pytest
from patience import PATIENCE_S

from tests.service.test_connections import listening
from volens.service.http import AppState, ThreadPool
from volens.store.programs import Role

Bearer = Callable[..., dict[str, str]]


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What is held up goes on when this is set, at the latest when the test ends."""
    gate = threading.Event()
    yield gate
    gate.set()


def get(port: int, path: str, headers: dict[str, str] | None = None) -> tuple[int, str]:
    connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    try:
        connection.request("GET", path, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def hold_up(patch: pytest.MonkeyPatch, of: object, name: str, gate: threading.Event) -> None:
    """Let a method wait for the gate before it does its work."""
    work = getattr(of, name)

    def held_up(*arguments: object) -> object:
        assert gate.wait(PATIENCE_S)
        return work(*arguments)

    patch.setattr(of, name, held_up)


def test_two_long_verifications_of_the_log_delay_neither_metrics_nor_readiness(
    app_state: AppState, bearer: Bearer, gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    auditor = bearer(Role.AUDITOR)
    hold_up(monkeypatch, app_state.site.log, "verify", gate)
    with listening(app_state, 30) as port, ThreadPoolExecutor(2) as readers:
        asked = [readers.submit(get, port, "/v1/log", auditor) for _ in range(2)]
        until(lambda: app_state.desk_pool.in_use == 2)
        metrics, ready = get(port, "/metrics", auditor), get(port, "/readyz")
        assert not any(one.done() for one in asked)
        gate.set()
        assert [one.result()[0] for one in asked] == [200, 200]
    assert (metrics[0], ready[0]) == (200, 200)
    assert "volens_log_entries" in metrics[1]


def test_a_site_that_is_read_too_slowly_is_reported_in_one_sentence(
    app_state: AppState, bearer: Bearer, gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    auditor = bearer(Role.AUDITOR)
    monkeypatch.setattr("volens.service.http.health_routes.WITHIN_S", 0.05)
    hold_up(monkeypatch, app_state.metrics, "text", gate)
    with listening(app_state, 30) as port:
        status, said = get(port, "/metrics", auditor)
        assert get(port, "/healthz")[0] == 200
        gate.set()
        until(lambda: app_state.health_pool.in_use == 0)
    assert status == 503
    assert "could not be read within" in said
    assert "check the load of this machine and of the database" in said


def test_a_slow_check_of_a_credential_on_a_server_stops_no_other_request(
    app_state: AppState, engine: str, bearer: Bearer, gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    auditor = bearer(Role.AUDITOR)
    assert (app_state.credential_pool is None) == (engine == "files"), "a site in files checks without a thread"
    app_state.credential_pool = app_state.credential_pool or ThreadPool("credentials", 1, 4)
    hold_up(monkeypatch, app_state.site.programs.credentials, "check", gate)
    with listening(app_state, 30) as port, ThreadPoolExecutor(1) as reader:
        asked = reader.submit(get, port, "/metrics", auditor)
        until(lambda: app_state.credential_pool is not None and app_state.credential_pool.in_use == 1)
        assert get(port, "/healthz")[0] == 200
        assert not asked.done()
        gate.set()
        assert asked.result()[0] == 200
