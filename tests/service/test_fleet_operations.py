"""Heartbeats of doors, and the list of the fleet, over HTTP."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from house import House
from starlette.testclient import TestClient

from tests.unit.store.raw import peek
from volens import Site
from volens.consent import UnavailableError
from volens.service.http import AppState
from volens.store import DATA_FILE
from volens.store.programs import DoorReports, Role

Bearer = Callable[..., dict[str, str]]
SAID: dict[str, Any] = {"version": "0.1.0", "door": "front"}


def fleet(client: TestClient, bearer: Bearer) -> dict[str, Any]:
    answer = client.get("/v1/fleet", headers=bearer(Role.OPERATOR))
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_the_second_heartbeat_tells_the_offset_of_the_clock(
    client: TestClient, app_state: AppState, bearer: Bearer
) -> None:
    door = bearer(Role.DOOR)
    first = client.post("/v1/doors/heartbeat", headers=door, json=SAID).json()
    assert first["again_after_s"] == 30
    times = {name: first[name] for name in ("arrived_ms", "answered_ms")}
    times |= {"sent_ms": first["arrived_ms"] - 9_020, "received_ms": first["answered_ms"] - 8_980}
    until = "2099-04-01T00:00:00Z"
    again = client.post("/v1/doors/heartbeat", headers=door, json=SAID | {"last": times, "certificate_until": until})
    assert again.status_code == 200
    app_state.sightings.write()

    (shown,) = fleet(client, bearer)["doors"]

    assert (shown["label"], shown["zone"], shown["version"]) == ("door (front)", "lobby", "0.1.0")
    assert (shown["clock_offset_ms"], shown["clock_uncertainty_ms"]) == (-9_000, 21)
    assert shown["certificate_until"] == until
    assert (shown["lease_until"], shown["alarms"]) == (None, ["clock"])


def test_metrics_and_readiness_tell_of_a_silent_door(
    client: TestClient, app_state: AppState, bearer: Bearer, house: House
) -> None:
    until = house.site.now() + timedelta(days=20)
    house.site.programs.processes.report("c" * 16, house.site.now(), 1, 0, certificate_until=until)
    client.post("/v1/doors/heartbeat", headers=bearer(Role.DOOR), json=SAID)
    app_state.sightings.write()
    auditor = bearer(Role.AUDITOR)

    before = client.get("/metrics", headers=auditor).text
    assert client.get("/readyz").json()["notes"] == []
    house.clock.move(minutes=6)
    after = client.get("/metrics", headers=auditor).text
    ready = client.get("/readyz")

    (door,) = house.site.fleet().doors
    assert 'volens_fleet_alarms{kind="silent"} 0.0' in before
    assert f'volens_door_silent_seconds{{door="{door.door_id}"}} 0.0' in before
    assert f'volens_certificate_seconds_left{{process="{"c" * 16}"}} 1.728e+06' in before
    assert 'volens_fleet_alarms{kind="silent"} 1.0' in after
    assert f'volens_door_silent_seconds{{door="{door.door_id}"}} 360.0' in after
    assert (ready.status_code, ready.json()["notes"]) == (200, ["a door or node needs attention; see 'volens fleet'"])


def test_a_node_whose_clock_is_wrong_is_told_to_programs(
    client: TestClient, bearer: Bearer, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.site.feed.follow()
    (shown,) = fleet(client, bearer)["nodes"]
    assert (shown["clock_offset_ms"], shown["clock_uncertainty_ms"], shown["alarms"]) == (None, None, [])
    found = house.site.fleet()
    node = replace(found.nodes[0], offset_ms=-9_500, uncertainty_ms=4)
    monkeypatch.setattr(Site, "fleet", lambda _site: replace(found, nodes=(node,)))

    (shown,) = fleet(client, bearer)["nodes"]
    metrics = client.get("/metrics", headers=bearer(Role.AUDITOR)).text

    assert (shown["clock_offset_ms"], shown["clock_uncertainty_ms"], shown["alarms"]) == (-9_500, 4, ["node_clock"])
    assert 'volens_fleet_alarms{kind="node_clock"} 1.0' in metrics
    assert f'volens_process_clock_offset_seconds{{bound="value",process="{node.process_id}"}} -9.5' in metrics
    assert f'volens_process_clock_offset_seconds{{bound="uncertainty",process="{node.process_id}"}} 0.004' in metrics


def test_a_door_that_sends_frames_only_is_listed_with_its_last_decision(
    client: TestClient, app_state: AppState, bearer: Bearer, views: list[bytes]
) -> None:
    door = bearer(Role.DOOR)
    assert client.post("/v1/zones/lobby/identify", headers=door, content=views[0]).status_code == 200
    app_state.sightings.write()
    app_state.site.feed.follow()

    found = fleet(client, bearer)

    (shown,) = found["doors"]
    assert (shown["version"], shown["decided_at"], shown["alarms"]) == (None, "2099-03-01T12:00:00Z", [])
    (node,) = found["nodes"]
    assert (node["behind_s"], node["certificate_until"], node["schema_revision"]) == (0.0, None, "baseline")


@pytest.mark.parametrize(
    "said",
    [
        {"version": "0.1.0; DROP TABLE"},
        SAID | {"door": "Front Door"},
        SAID | {"face": "x"},
        SAID | {"last": {"sent_ms": 2, "arrived_ms": 1, "answered_ms": 1, "received_ms": 1}},
        SAID | {"last": {"sent_ms": 1, "arrived_ms": 1, "answered_ms": 1, "received_ms": 60_002}},
        SAID | {"certificate_until": "2027-02-01T00:00:00"},
        SAID | {"certificate_until": "2027-02-30T00:00:00Z"},
        SAID | {"certificate_until": 0},
    ],
)
def test_a_heartbeat_that_makes_no_sense_is_refused(
    client: TestClient, app_state: AppState, bearer: Bearer, said: dict[str, Any]
) -> None:
    answer = client.post("/v1/doors/heartbeat", headers=bearer(Role.DOOR), json=said)
    assert answer.status_code == 422
    app_state.sightings.write()
    assert peek(app_state.site.home / DATA_FILE, "SELECT count(*) FROM door_report") == [(0,)]


def test_what_cannot_be_written_now_is_written_the_next_time(
    client: TestClient, app_state: AppState, bearer: Bearer, monkeypatch: pytest.MonkeyPatch
) -> None:
    door = bearer(Role.DOOR)

    def locked(*_: object) -> None:
        assert client.post("/v1/doors/heartbeat", headers=door, json=SAID | {"door": "back"}).status_code == 200
        raise UnavailableError("the store is locked")

    client.post("/v1/doors/heartbeat", headers=door, json=SAID)
    with monkeypatch.context() as patch:
        patch.setattr(DoorReports, "record", locked)
        with pytest.raises(UnavailableError):
            app_state.sightings.write()
    app_state.sightings.write()
    (shown,) = app_state.site.programs.doors.list()
    assert shown.door == "back"
