"""The answer to a revocation shows the sender nothing: neither itself, nor when it comes, nor what is answered next.

The times are compared as distributions, with rank statistics against their null distribution by permutation, so the
result does not depend on how fast or how busy the machine is.
"""

import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection

import numpy as np
import pytest
from connections import lock_timeout
from house import House
from numpy.typing import NDArray
from patience import PATIENCE_S
from starlette.testclient import TestClient

from tests.service.test_connections import listening
from volens.consent import ReceiptId
from volens.index import Installation
from volens.service.http import AppState
from volens.service.webhooks import SymmetricKey, sign, verification_key
from volens.store.programs import ReceivedMessage, SenderKey

URL = "/v1/hooks/revocations"
OF_EACH_KIND = 40
PERMUTATIONS = 40_000
BY_CHANCE = 0.0001
"""How often two equal distributions exceed the bound."""


@pytest.fixture
def key(app_state: AppState) -> SenderKey:
    return app_state.site.programs.senders.add(label="staff list")


def signed(app_state: AppState, key: SenderKey, number: int, external_id: str) -> tuple[bytes, dict[str, str]]:
    body = json.dumps({"type": "employee.terminated", "data": {"external_id": external_id}}).encode()
    secret = verification_key(app_state.site.programs.senders, key)
    assert isinstance(secret, SymmetricKey)
    return body, sign(f"msg_{number:04}", app_state.site.now(), body, [secret])


def wait_until_idle(app_state: AppState) -> None:
    until = time.monotonic() + PATIENCE_S
    while True:
        status = app_state.site.status()
        pools = (app_state.withdrawal_pool, app_state.job_pool)
        if not status.unfinished_erasures and not any(pool.in_use for pool in pools) and not is_pending(app_state):
            return
        assert time.monotonic() < until
        time.sleep(0.01)


def is_pending(app_state: AppState) -> bool:
    return app_state.site.status().revocations_since is not None


def auc_distance(known: NDArray[np.bool_], order: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return how far the area under the ROC curve is from 1/2 (Mann-Whitney); `order` ranks the samples, 0 first."""
    count = known.sum(axis=-1)
    ranks = (known * order).sum(axis=-1)
    area = (ranks - count * (count - 1) / 2) / (count * (known.shape[-1] - count))
    return np.abs(area - 0.5)


def best_cut(known: NDArray[np.bool_], order: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return how well the best single cut separates the two kinds, 0 to 1 (Kolmogorov-Smirnov, Youden's J)."""
    by_rank = np.take(known, np.argsort(order), axis=-1)
    below_known = np.cumsum(by_rank, axis=-1) / by_rank.sum(axis=-1, keepdims=True)
    below_other = np.cumsum(~by_rank, axis=-1) / (~by_rank).sum(axis=-1, keepdims=True)
    distance: NDArray[np.float64] = np.abs(below_known - below_other).max(axis=-1)
    return distance


def test_an_answer_takes_the_same_time_for_known_and_unknown_people(
    app_state: AppState, house: House, key: SenderKey
) -> None:
    ids = [f"known-{number:03}" for number in range(OF_EACH_KIND)]
    for one in ids:
        house.site.link_external_id(house.admit().receipt_id, one)
    ids += [f"other-{number:03}" for number in range(OF_EACH_KIND)]
    random.Random(7).shuffle(ids)
    times: list[float] = []
    answers: set[tuple[int, bytes, tuple[str, ...]]] = set()

    with listening(app_state, 30) as port, closing(HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)) as client:
        client.connect()
        for number, one in enumerate(ids):
            body, headers = signed(app_state, key, number, one)
            wait_until_idle(app_state)
            started = time.perf_counter()
            client.request("POST", URL, body, headers)
            answer = client.getresponse()
            said = answer.read()
            times.append(time.perf_counter() - started)
            answers.add((answer.status, said, tuple(name for name, _ in answer.getheaders())))
        wait_until_idle(app_state)

    assert len(answers) == 1
    assert house.site.status().zones[0].live_consents == 0
    order = np.argsort(np.argsort(times))
    known = np.array([one.startswith("known") for one in ids])
    chance = np.random.default_rng(11)
    shuffled = chance.permuted(np.tile(known, (PERMUTATIONS, 1)), axis=1)
    for statistic in (auc_distance, best_cut):
        bound = np.quantile(statistic(shuffled, order), 1 - BY_CHANCE)
        assert statistic(known, order) <= bound, statistic.__name__


def test_the_statistics_notice_a_shift_and_a_difference_in_spread() -> None:
    chance = np.random.default_rng(3)
    known = np.arange(2 * OF_EACH_KIND) % 2 == 0
    shuffled = chance.permuted(np.tile(known, (PERMUTATIONS, 1)), axis=1)
    shifted = np.where(known, 1.0, 2.0) + chance.normal(0, 0.4, known.size)
    wider = np.where(known, 1.0, 30.0) * chance.normal(0, 1, known.size)
    for times, statistic in ((shifted, auc_distance), (shifted, best_cut), (wider, best_cut)):
        order = np.argsort(np.argsort(times))
        assert statistic(known, order) > np.quantile(statistic(shuffled, order), 1 - BY_CHANCE)


@contextmanager
def held_up(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """Hold up what is carried out after an answer; yield a function that waits until that has begun."""
    from volens.service.http import hook_routes  # noqa: PLC0415  the module that is changed

    begun, released, carry_out = threading.Event(), threading.Event(), hook_routes.carry_out_revocation

    def held(installation: Installation, message: ReceivedMessage) -> list[ReceiptId]:
        begun.set()
        assert released.wait(PATIENCE_S)
        return carry_out(installation, message)

    monkeypatch.setattr(hook_routes, "carry_out_revocation", held)
    try:
        yield lambda: None if begun.wait(PATIENCE_S) else pytest.fail("nothing was carried out")
    finally:
        released.set()


def test_no_answer_waits_for_what_an_earlier_message_did(
    client: TestClient, app_state: AppState, house: House, key: SenderKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    person, other = house.admit(), house.admit()
    house.site.link_external_id(person.receipt_id, "4711")
    with held_up(monkeypatch) as wait_until_begun:
        for number, external_id in enumerate(("4711", "4711", "4712", "4713")):
            body, headers = signed(app_state, key, number, external_id)
            assert client.post(URL, content=body, headers=headers).status_code == 202
            wait_until_begun()
            # Without a signature, a withdrawal without a consent, one with a consent, and readiness.
            assert client.post(URL, content=body).status_code == 401
            assert client.post("/v1/withdrawals", json={"code": other.code}).status_code in {200, 404}
            assert client.get("/readyz").json() == {"status": "ok", "missing": [], "notes": []}
        assert is_pending(app_state)
    wait_until_idle(app_state)
    assert not house.sees(person)


def test_readiness_does_not_show_an_erasure_that_makes_progress(client: TestClient, house: House) -> None:
    person = house.admit()
    with house.store.read() as reader:
        reader.exec_driver_sql("SELECT count(*) FROM live_consent").all()
        with lock_timeout(0.1):
            assert client.post("/v1/withdrawals", json={"code": person.code}).status_code == 503
        assert client.get("/readyz").status_code == 200
        house.clock.move(seconds=60)
        assert client.get("/readyz").json()["missing"] == ["an erasure is not finished; run 'volens sweep'"]


def test_readiness_shows_a_revocation_that_is_not_carried_out(
    client: TestClient, app_state: AppState, house: House, key: SenderKey
) -> None:
    app_state.site.programs.inbox.accept(key.sender, "msg_1", b"{}")
    assert client.get("/readyz").status_code == 200
    house.clock.move(seconds=60)
    assert client.get("/readyz").json()["missing"] == ["a revocation is not carried out; run 'volens sweep'"]
