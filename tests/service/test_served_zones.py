"""A node that serves some zones: it is ready when it has their galleries, and identifies in no other zone."""

from collections.abc import Callable

from house import House
from starlette.testclient import TestClient

from volens.consent import Purpose
from volens.service.http import AppState, application
from volens.store.programs import Role


def test_a_node_has_the_galleries_of_its_zones_when_it_is_ready_and_serves_no_other(
    app_state: AppState, house: House, views: list[bytes], bearer: Callable[..., dict[str, str]]
) -> None:
    house.let_pass("lobby")
    house.let_pass("lab")
    house.galleries.serve_only([Purpose("lobby")])
    with TestClient(application(app_state)) as client:
        assert [purpose for purpose, _ in house.galleries.built()] == ["lobby"]
        here, elsewhere = (
            client.post(f"/v1/zones/{zone}/identify", headers=bearer(Role.DOOR, zone), content=views[0])
            for zone in ("lobby", "lab")
        )
    assert (here.status_code, elsewhere.status_code) == (200, 503)
    assert "does not serve zone 'lab'" in elsewhere.json()["detail"]
