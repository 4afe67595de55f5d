"""The cost of a decision: the number of snapshots, so that no step reads again what another step has read."""

from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from house import House
from starlette.testclient import TestClient

from tests.service.test_door_messages import enrolled
from volens.service.http import AppState
from volens.store.programs import Role

MOST_SNAPSHOTS = 2
"""The credential and the zone; the matching core reads the store's generation and nothing else."""


def test_identifying_a_visitor_over_http_takes_two_snapshots_and_no_write(
    client: TestClient,
    house: House,
    app_state: AppState,
    bearer: Callable[..., dict[str, str]],
    views: list[bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    enrolled(client, app_state, bearer, views)
    headers, taken = bearer(Role.DOOR), Counter[str]()
    app_state.webhook_sender.close()
    app_state.follower.close()

    def counted(of: object, name: str) -> Callable[..., AbstractContextManager[object]]:
        original = getattr(of, name)

        def count(**options: bool) -> AbstractContextManager[object]:
            taken[name] += 1
            opened: AbstractContextManager[object] = original(**options)
            return opened

        return count

    for name in ("read", "read_prepared", "write"):
        monkeypatch.setattr(house.store, name, counted(house.store, name))
    monkeypatch.setattr(house.store.data, "read_each", counted(house.store.data, "read_each"))

    def identify() -> tuple[int, int]:
        taken.clear()
        answer = client.post("/v1/zones/lobby/identify", headers=headers, content=views[3])
        assert [face["decision"] for face in answer.json()["faces"]] == ["match"]
        return taken["read"] + taken["read_prepared"] + taken["read_each"], taken["write"]

    _, writes = identify()
    assert writes == 1
    identify()  # the gallery follows the log, which the visit made longer
    assert identify() == (MOST_SNAPSHOTS, 0)
    house.clock.move(seconds=10)  # another visit in the same minute, whose records are there already
    assert identify() == (MOST_SNAPSHOTS + 1, 0)
