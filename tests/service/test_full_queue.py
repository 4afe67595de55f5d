"""Overload at the doors: the queue is bounded, further frames get 503 at once, and withdrawals continue."""

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from http.client import HTTPConnection, HTTPResponse

import pytest
from house import House
from patience import PATIENCE_S

from tests.service.test_connections import listening
from volens import Site
from volens.face import RgbImage
from volens.identify import Identification
from volens.index import StageTimer
from volens.service.http import AppState
from volens.store.programs import Role

Bearer = Callable[..., dict[str, str]]
WORKERS, WAITING = 1, 4  # of the fixture `app_state`
CROWD = 16


def ask(port: int, path: str, body: bytes, headers: dict[str, str]) -> tuple[HTTPResponse, bytes]:
    connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    try:
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        return answer, answer.read()
    finally:
        connection.close()


def test_a_full_queue_refuses_frames_at_once_while_withdrawals_continue(
    app_state: AppState, house: House, bearer: Bearer, views: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()
    identify = Site.identify

    def held_up(site: Site, zone: str, image: RgbImage, *, caller: str, timer: StageTimer) -> Identification:
        assert gate.wait(PATIENCE_S)
        return identify(site, zone, image, caller=caller, timer=timer)

    monkeypatch.setattr(Site, "identify", held_up)
    person, door = house.admit(), bearer(Role.DOOR) | {"Content-Type": "image/jpeg"}
    with listening(app_state, 30) as port, ThreadPoolExecutor(CROWD) as crowd:
        try:
            asked = [crowd.submit(ask, port, "/v1/zones/lobby/identify", views[3], door) for _ in range(CROWD)]
            # No frame is processed yet, so every response so far is a refusal.
            answered = as_completed(asked, timeout=PATIENCE_S)
            refused = [next(answered).result() for _ in range(CROWD - WORKERS - WAITING)]
            assert {answer.status for answer, _ in refused} == {503}
            assert all(int(answer.headers["Retry-After"]) > 0 for answer, _ in refused)
            assert {json.loads(body)["type"] for _, body in refused} == {"urn:volens:problem:busy"}
            assert app_state.model_pool.in_use == WORKERS + WAITING

            body = json.dumps({"code": person.code}).encode()
            left, _ = ask(port, "/v1/withdrawals", body, {"Content-Type": "application/json"})
            assert left.status == 200
            assert sum(one.done() for one in asked) == len(refused)
        finally:
            gate.set()
        answers = [one.result()[0].status for one in asked]
    assert sorted(answers) == [200] * (WORKERS + WAITING) + [503] * (CROWD - WORKERS - WAITING)
    assert app_state.model_pool.in_use == 0
