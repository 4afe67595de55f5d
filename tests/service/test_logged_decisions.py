"""Decisions of the service are in the audit log, and missing counts are visible there."""

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from house import House
from patience import PATIENCE_S, free_port
from reading_log import kinds, kinds_in_shards, opened
from signing import Signer
from starlette.testclient import TestClient

from benchmarks.group_photo import six_people_photo
from tests.service.conftest import jpeg
from tests.service.test_the_server import home, served
from volens import Site
from volens.face import RgbImage
from volens.service.http import ALLOWED_ROLES, AppState, DecisionCounter
from volens.store.people import MATCHED
from volens.store.programs import COUNTED, ENDED, STARTED, Role

__all__ = ["home"]

Bearer = Callable[..., dict[str, str]]


def counted(app_state: AppState, house: House) -> dict[tuple[str, str], dict[str, int]]:
    """Write the counts, and return them by caller and operation."""
    app_state.decisions.write(everything=True)
    found: dict[tuple[str, str], dict[str, int]] = {}
    for one in opened(house.store, COUNTED):
        numbers = {name: number for name, number in one.items() if name.startswith(("answers_", "faces_"))}
        found[one["caller"], one["operation"]] = numbers
    return found


def id_of(app_state: AppState, role: Role) -> str:
    return next(one.credential_id for one in app_state.site.programs.credentials.list() if one.role is role)


@pytest.fixture
def take_home(client: TestClient, bearer: Bearer, views: list[bytes]) -> str:
    """Enroll a person over HTTP; return the take-home file."""
    desk = bearer(Role.DESK)
    given: dict[str, Any] = Signer().consent(client, desk).json()
    photos = [("photos", ("a.jpg", view, "image/jpeg")) for view in views[:3]]
    files = [("receipt", ("r.json", given["take_home"].encode(), "application/json")), *photos]
    assert client.post("/v1/zones/lobby/enrollments", headers=desk, files=files).status_code == 201
    return str(given["take_home"])


def test_decisions_are_logged_by_person_and_by_number(
    client: TestClient, app_state: AppState, house: House, bearer: Bearer, views: list[bytes], take_home: str
) -> None:
    door, lobby = bearer(Role.DOOR), "/v1/zones/lobby"
    stranger = jpeg(RgbImage(six_people_photo().pixels))
    claim = {"receipt": ("r.json", take_home.encode(), "application/json")}
    for frame in (views[3], stranger):
        assert client.post(f"{lobby}/identify", headers=door, content=frame).status_code == 200
        files = {**claim, "frame": ("f.jpg", frame, "image/jpeg")}
        assert client.post(f"{lobby}/verify", headers=door, files=files).status_code == 200
    caller = id_of(app_state, Role.DOOR)
    assert [(one["kind"], one["asked_by"]) for one in opened(house.store, MATCHED)] == [
        ("identify", caller),
        ("verify", caller),
    ]
    found = counted(app_state, house)
    faces = found[caller, "identify"].pop("faces_no_match")
    assert faces >= 1
    assert found[caller, "identify"] == {"answers_allowed": 2, "faces_match": 1}
    assert found[caller, "verify"] == {"answers_allowed": 2, "faces_match": 1, "faces_no_match": 1}
    assert client.post("/v1/withdrawals", json={"receipt": take_home}).status_code == 200
    assert client.post(f"{lobby}/verify", headers=door, files=files).status_code == 404
    counted(app_state, house)
    refused = [one for one in opened(house.store, COUNTED) if "answers_not_found" in one]
    assert [(one["caller"], one["operation"], one["answers_not_found"]) for one in refused] == [(caller, "verify", 1)]
    assert opened(house.store, MATCHED) == []
    log = client.get("/v1/log", headers=bearer(Role.AUDITOR)).json()
    assert ({MATCHED: 2} in [one["kinds"] for one in log["shards"]], log["kinds"][STARTED]) == (True, 1)


def test_allowed_and_refused_requests_are_counted_in_the_log(
    client: TestClient, app_state: AppState, house: House, bearer: Bearer
) -> None:
    desk, wrong = bearer(Role.DESK), {"Authorization": f"Bearer volens_{'0' * 16}_{'A' * 43}"}
    client.get("/v1/zones", headers=desk)
    client.get("/v1/log", headers=desk)
    client.post("/v1/zones/lobby/consents", headers=desk, json={})
    client.get("/v1/log", headers=wrong)
    client.get("/v1/log")
    client.post("/v1/withdrawals", json={"code": "guess"})
    client.post("/v1/hooks/revocations", content=b"x")
    client.get("/healthz")
    client.get("/nowhere", headers=desk)
    mine = id_of(app_state, Role.DESK)
    assert counted(app_state, house) == {
        (mine, "list_zones"): {"answers_allowed": 1},
        (mine, "verify_log"): {"answers_forbidden": 1},
        (mine, "give_consent"): {"answers_unusable": 1},
        ("none", "verify_log"): {"answers_unknown": 2},
        ("none", "withdraw"): {"answers_unusable": 1},
        ("none", "revoke_by_hook"): {"answers_unknown": 1},
    }


def test_a_flood_from_one_address_is_one_leaf_with_a_number(
    client: TestClient, app_state: AppState, house: House
) -> None:
    before = len(kinds(house.store))
    for number in range(200):
        client.get("/v1/log", headers={"Authorization": f"Bearer {number}"})
    numbers = counted(app_state, house)
    assert set(numbers) == {("none", "verify_log")}
    assert sum(numbers["none", "verify_log"].values()) == 200
    assert numbers["none", "verify_log"]["answers_too_often"] > 100
    assert len(kinds(house.store)) == before + 1
    house.site.log.verify()


def test_requests_without_a_credential_get_at_most_four_leaves_a_minute(app_state: AppState, house: House) -> None:
    operations = sorted(ALLOWED_ROLES)
    for operation in [*operations, *operations]:
        app_state.decisions.count_request(None, None, operation, 401, {})
    numbers = counted(app_state, house)
    assert set(numbers) == {*(("none", one) for one in operations[:3]), ("none", "other")}
    assert numbers["none", "other"] == {"answers_unknown": 2 * (len(operations) - 3)}
    assert kinds_in_shards(house.store).count(COUNTED) == 4


def test_the_log_distinguishes_a_killed_service_from_one_that_ended(home: Path) -> None:
    with Site.open(home) as site:
        _, token = site.programs.credentials.issue(label="auditor", role=Role.AUDITOR)
    headers = {"Authorization": f"Bearer {token.reveal()}"}
    port = free_port()
    with served(home, port) as process:
        assert httpx2.get(f"http://127.0.0.1:{port}/v1/log/now/checkpoint", headers=headers).status_code == 200
        process.send_signal(signal.SIGKILL)
        process.wait(PATIENCE_S)
    with Site.open(home) as site:
        again = DecisionCounter(site.programs.decisions, "again", site.now)
        again.start()
        again.count_request(token.credential_id, None, "read_checkpoint", 200, {})
        again.close()
        killed, ended = (one["run"] for one in opened(site.installation.store, STARTED))
        assert ended == "again" != killed
        assert [one["run"] for one in opened(site.installation.store, ENDED)] == [ended]
        # The counts of the killed service are lost if the minute had not ended.
        assert [one["answers_allowed"] for one in opened(site.installation.store, COUNTED) if one["run"] == ended] == [
            1
        ]
        assert (
            sum(one["answers_allowed"] for one in opened(site.installation.store, COUNTED) if one["run"] == killed) <= 1
        )
        assert site.log.verify().kinds[STARTED] == 2
