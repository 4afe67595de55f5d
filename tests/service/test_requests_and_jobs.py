"""Data subject requests, jobs and erasure orders over HTTP."""

import json
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from house import House
from patience import PATIENCE_S
from starlette.testclient import TestClient

from volens.consent import ErasureIncompleteError
from volens.erase import OperatorKey, approve
from volens.erase.order import verify_dossier
from volens.rights import verify_answer
from volens.service.http import AppState, application
from volens.store.programs import Role

Bearer = Callable[..., dict[str, str]]


@pytest.fixture
def officer(bearer: Bearer) -> dict[str, str]:
    return bearer(Role.PRIVACY_OFFICER)


@pytest.fixture
def ordering(app_state: AppState, tmp_path: Path) -> Iterator[TestClient]:
    (tmp_path / "orders").mkdir()
    app_state.orders_folder = tmp_path / "orders"
    with TestClient(application(app_state), raise_server_exceptions=False) as client:
        yield client


def finished(client: TestClient, shown: dict[str, str], job_id: str) -> dict[str, Any]:
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        job: dict[str, Any] = client.get(f"/v1/jobs/{job_id}", headers=shown).json()
        if job["state"] != "running":
            return job
        time.sleep(0.02)
    raise AssertionError("the job goes on and on")


def test_an_access_request_with_the_code_is_answered_at_the_desk(
    client: TestClient, house: House, officer: dict[str, str]
) -> None:
    person = house.admit()
    taken = client.post("/v1/access-requests", json={"code": person.code})
    assert taken.status_code == 201, taken.text
    assert set(taken.json()) == {"request_id", "due_at"}
    assert client.post("/v1/access-requests", json={"receipt": person.take_home.to_json().decode()}).json() == (
        taken.json()
    )

    number = taken.json()["request_id"]
    (listed,) = client.get("/v1/requests", headers=officer).json()["items"]
    assert (listed["request_id"], listed["kind"], listed["known"], listed["overdue"]) == (number, "access", True, False)

    answer = client.post(f"/v1/requests/{number}/answer", headers=officer)
    assert answer.headers["Content-Type"] == "application/zip"
    statement = verify_answer(answer.content, house.site.verifier_key)
    assert statement["holds_anything"] is True
    names = zipfile.ZipFile(BytesIO(answer.content)).namelist()
    assert any("/embedding-" in name for name in names), names
    assert client.get("/v1/requests", headers=officer).json()["items"] == []
    assert client.get(f"/v1/requests/{number}", headers=officer).json()["outcome"] == "answered"
    # If the response is lost, the file is created again.
    assert client.post(f"/v1/requests/{number}/answer", headers=officer).status_code == 200


def test_an_access_request_with_an_unknown_code_gets_the_common_error(client: TestClient, house: House) -> None:
    person = house.admit()
    wrong = person.code[:-1] + ("0" if person.code[-1] != "0" else "1")
    unknown = client.post("/v1/access-requests", json={"code": wrong})
    assert (unknown.status_code, unknown.json()["type"]) == (404, "urn:volens:problem:no-live-consent")
    assert unknown.json()["detail"] == client.post("/v1/withdrawals", json={"code": wrong}).json()["detail"]


def test_a_request_for_erasure_is_carried_out(client: TestClient, house: House, officer: dict[str, str]) -> None:
    person = house.admit()
    new = {"kind": "erasure", "subject_id": person.subject_id}
    number = client.post("/v1/requests", headers=officer, json=new).json()["request_id"]

    done = client.post(f"/v1/requests/{number}/erasure", headers=officer)

    assert done.status_code == 200, done.text
    (certificate_id,) = done.json()["certificate_ids"]
    assert client.get(f"/v1/certificates/{certificate_id}", headers=officer).status_code == 200
    assert not house.sees(person)
    assert client.get(f"/v1/requests/{number}", headers=officer).json()["outcome"] == "carried out"
    again = client.post(f"/v1/requests/{number}/erasure", headers=officer)
    assert again.status_code == 403


@pytest.mark.parametrize(
    ("new", "status"),
    [
        ({"kind": "access"}, 422),
        ({"kind": "access", "subject_id": "x", "unknown": True}, 422),
        ({"kind": "revenge", "unknown": True}, 422),
        ({"kind": "access", "receipt": "no receipt"}, 422),
        ({"kind": "access", "unknown": True}, 201),
        ({"kind": "access", "subject_id": "nobody"}, 422),
        ({"kind": "access", "subject_id": "Ada Canary Example"}, 422),
        ({"kind": "Access ", "unknown": True}, 201),
    ],
)
def test_a_request_identifies_the_person_in_exactly_one_way(
    client: TestClient, house: House, officer: dict[str, str], new: dict[str, Any], status: int
) -> None:
    house.invite()  # Ada Canary Example
    answer = client.post("/v1/requests", headers=officer, json=new)
    assert answer.status_code == status, answer.text
    if status == 201:
        assert answer.json()["known"] is False


def test_a_person_who_is_not_found_is_answered_by_what_was_searched_for(
    client: TestClient, house: House, officer: dict[str, str]
) -> None:
    house.admit()
    number = client.post("/v1/requests", headers=officer, json={"kind": "access", "unknown": True}).json()["request_id"]
    path = f"/v1/requests/{number}/answer"

    nameless = client.post(path, headers=officer)
    assert (nameless.status_code, "must state what was searched for" in nameless.json()["detail"]) == (422, True)
    found = client.post(path, headers=officer, json={"searched_for": "ADA canary\N{NO-BREAK SPACE}example"})
    assert found.status_code == 403
    assert "Ada" not in found.text
    assert client.get(f"/v1/requests/{number}", headers=officer).json()["outcome"] is None

    answer = client.post(path, headers=officer, json={"searched_for": "Eve Example"})
    statement = verify_answer(answer.content, house.site.verifier_key)
    assert [one["text"] for one in statement["searched_for"]] == ["Eve Example"]
    assert statement["holds_anything"] is False
    assert client.get(f"/v1/requests/{number}", headers=officer).json()["outcome"] == "nothing held"
    known = {"kind": "access", "subject_id": house.admit().subject_id}
    number = client.post("/v1/requests", headers=officer, json=known).json()["request_id"]
    refused = client.post(f"/v1/requests/{number}/answer", headers=officer, json={"searched_for": "Eve Example"})
    assert refused.status_code == 422


def test_a_request_is_extended_once_and_closed_with_an_outcome(
    client: TestClient, house: House, officer: dict[str, str]
) -> None:
    house.admit()
    number = client.post("/v1/requests", headers=officer, json={"kind": "objection", "unknown": True}).json()[
        "request_id"
    ]
    path = f"/v1/requests/{number}"
    assert client.post(f"{path}/extension", headers=officer, json={"because": "weather"}).status_code == 422
    assert client.post(f"{path}/extension", headers=officer, json={"because": "many"}).json()["extended_for"] == "many"
    assert client.post(f"{path}/extension", headers=officer, json={"because": "many"}).status_code == 403
    assert client.post(f"{path}/answer", headers=officer).status_code == 403
    assert client.post(f"{path}/closing", headers=officer, json={"outcome": "refused"}).json()["outcome"] == "refused"
    assert client.post(f"{path}/closing", headers=officer, json={"outcome": "refused"}).status_code == 403


def test_the_pages_of_requests_contain_each_request_once(
    client: TestClient, house: House, officer: dict[str, str]
) -> None:
    numbers = []
    for _ in range(5):
        new = {"kind": "access", "unknown": True}
        numbers.append(client.post("/v1/requests", headers=officer, json=new).json()["request_id"])
        house.clock.move(seconds=1)

    found: list[str] = []
    following: dict[str, str] = {}
    while True:
        page = client.get("/v1/requests", headers=officer, params={"limit": "2", **following}).json()
        found += [one["request_id"] for one in page["items"]]
        if page["next"] is None:
            break
        # Meanwhile the first request is closed, and another one is opened.
        if len(found) == 2:
            client.post(f"/v1/requests/{numbers[0]}/closing", headers=officer, json={"outcome": "taken back"})
        following = {"cursor": page["next"]}

    assert found == numbers


@pytest.mark.parametrize("shown", ["x", "djE6am9iczoxMjM", "djE6cmVxdWVzdHM6", "é", "djE6cmVxdWVzdHM6YQ=="])
def test_a_cursor_of_another_list_is_refused(client: TestClient, officer: dict[str, str], shown: str) -> None:
    answer = client.get("/v1/requests", headers=officer, params={"cursor": shown})
    assert answer.status_code == 422
    assert "start again without a cursor" in answer.json()["detail"]


def test_a_sweep_is_a_job(client: TestClient, house: House, bearer: Bearer) -> None:
    operator = bearer(Role.OPERATOR)
    person = house.admit()
    house.clock.move(days=100)

    begun = client.post("/v1/jobs", headers=operator, json={"kind": "sweep"})

    assert begun.status_code == 202
    assert begun.json()["state"] == "running"
    job = finished(client, operator, begun.json()["job_id"])
    assert (job["state"], job["outcome"]["reasons"]) == ("done", {"expired": 1})
    assert not house.sees(person)
    assert client.get("/readyz").json()["status"] == "ok"


def test_the_log_is_verified_by_a_job(client: TestClient, bearer: Bearer) -> None:
    auditor = bearer(Role.AUDITOR)
    job_id = client.post("/v1/jobs", headers=auditor, json={"kind": "verify_log"}).json()["job_id"]
    job = finished(client, auditor, job_id)
    assert job["state"] == "done"
    assert job["outcome"]["size"] > 3


@pytest.mark.parametrize(
    ("role", "kind", "status"),
    [
        (Role.AUDITOR, "sweep", 403),
        (Role.AUDITOR, "erase", 403),
        (Role.OPERATOR, "verify_log", 403),
        (Role.OPERATOR, "erase", 403),
        (Role.PRIVACY_OFFICER, "mine_bitcoin", 422),
        (Role.PRIVACY_OFFICER, "erase", 422),
    ],
)
def test_each_kind_of_job_has_its_own_roles(
    client: TestClient, bearer: Bearer, role: Role, kind: str, status: int
) -> None:
    assert client.post("/v1/jobs", headers=bearer(role), json={"kind": kind}).status_code == status


def test_the_pages_of_jobs_begin_with_the_newest(client: TestClient, bearer: Bearer) -> None:
    auditor = bearer(Role.AUDITOR)
    ids = [client.post("/v1/jobs", headers=auditor, json={"kind": "verify_log"}).json()["job_id"] for _ in range(3)]
    first = client.get("/v1/jobs?limit=2", headers=auditor).json()
    second = client.get("/v1/jobs", headers=auditor, params={"cursor": first["next"]}).json()
    assert [one["job_id"] for one in [*first["items"], *second["items"]]] == ids[::-1]
    assert second["next"] is None
    for job_id in ids:
        finished(client, auditor, job_id)


def test_a_failed_job_has_the_reason(
    client: TestClient, app_state: AppState, bearer: Bearer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ErasureIncompleteError("a file of a person is in use")

    monkeypatch.setattr(type(app_state.site), "sweep", fail)
    operator = bearer(Role.OPERATOR)
    job_id = client.post("/v1/jobs", headers=operator, json={"kind": "sweep"}).json()["job_id"]
    job = finished(client, operator, job_id)
    assert (job["state"], job["outcome"]["kind"]) == ("failed", "erasure-incomplete")


@pytest.fixture
def stuck(app_state: AppState, monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Sweeps run until this is set."""
    may_end = threading.Event()

    def wait(*_: object) -> None:
        may_end.wait(PATIENCE_S)
        raise ErasureIncompleteError("it was in the way")

    monkeypatch.setattr(type(app_state.site), "sweep", wait)
    yield may_end
    may_end.set()


def test_a_job_is_refused_while_the_queue_is_full(
    client: TestClient, house: House, bearer: Bearer, stuck: threading.Event
) -> None:
    operator = bearer(Role.OPERATOR)
    answers = [client.post("/v1/jobs", headers=operator, json={"kind": "sweep"}) for _ in range(11)]

    assert [one.status_code for one in answers] == [202] * 9 + [503] * 2
    assert answers[-1].headers["Retry-After"]
    assert len(house.site.programs.jobs.list(50)) == 9
    stuck.set()
    for one in answers[:9]:
        assert finished(client, operator, one.json()["job_id"])["state"] == "failed"


@pytest.mark.usefixtures("stuck")
def test_a_job_fails_as_busy_if_its_place_was_taken_in_the_same_moment(
    client: TestClient, app_state: AppState, bearer: Bearer, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator = bearer(Role.OPERATOR)
    for _ in range(9):
        client.post("/v1/jobs", headers=operator, json={"kind": "sweep"})
    monkeypatch.setattr(app_state.job_pool, "check_capacity", lambda: None)

    job_id = client.post("/v1/jobs", headers=operator, json={"kind": "sweep"}).json()["job_id"]

    job = finished(client, operator, job_id)
    assert (job["state"], job["outcome"]["kind"]) == ("failed", "busy")


def test_a_shutdown_stops_a_sweep_and_the_next_sweep_continues(
    client: TestClient, house: House, app_state: AppState, bearer: Bearer
) -> None:
    people = [house.admit() for _ in range(3)]
    house.clock.move(days=100)
    app_state.stopping.set()
    operator = bearer(Role.OPERATOR)
    job_id = client.post("/v1/jobs", headers=operator, json={"kind": "sweep"}).json()["job_id"]

    job = finished(client, operator, job_id)

    assert (job["state"], job["outcome"]["kind"]) == ("failed", "leaving")
    house.site.sweep()
    assert house.site.status().unfinished_erasures == 0
    assert len(list((house.site.home / "certificates").iterdir())) == len(people)


def test_an_order_is_planned_approved_executed_and_proved(
    ordering: TestClient, house: House, officer: dict[str, str], tmp_path: Path
) -> None:
    keys = [OperatorKey.from_seed(bytes([number] * 32)) for number in (1, 2)]
    for number, key in enumerate(keys):
        house.site.cohorts.add_operator(f"operator {number}", key.public_key)
    house.site.cohorts.require_operators(2)
    meant, other = house.admit(jurisdiction="FR"), house.admit(jurisdiction="DE")
    asked = ordering.post("/v1/access-requests", json={"code": meant.code}).json()["request_id"]

    planned = ordering.post("/v1/orders/plans", headers=officer, json={"jurisdiction": "FR"})
    assert planned.status_code == 201, planned.text
    plan = planned.json()
    assert (plan["counts"]["cohort"]["people"], plan["counts"]["outside"]["people"]) == (1, 1)
    new = {"kind": "erase", "plan": plan["plan"]}
    unapproved = ordering.post("/v1/jobs", headers=officer, json=new).json()["job_id"]
    assert finished(ordering, officer, unapproved)["state"] == "failed"
    assert house.sees(meant)

    token = json.loads(plan["plan"])["plan"]
    approvals = [approve(key, token, plan["cohort_id"], house.store.now()) for key in keys]
    job_id = ordering.post("/v1/jobs", headers=officer, json=new | {"approvals": approvals}).json()["job_id"]
    job = finished(ordering, officer, job_id)

    assert job["state"] == "done", job
    assert job["outcome"]["after"]["certificates"] == 1
    assert (house.sees(meant), house.sees(other)) == (False, True)
    assert (tmp_path / "orders" / f"{plan['cohort_id']}.answers" / f"{asked}.zip").is_file()
    dossier = ordering.get(f"/v1/jobs/{job_id}/dossier", headers=officer)
    zipfile.ZipFile(BytesIO(dossier.content)).extractall(tmp_path / "dossier")
    verify_dossier(tmp_path / "dossier", house.site.verifier_key)


def test_an_order_without_a_configured_folder_is_refused_before_it_starts(
    client: TestClient, house: House, officer: dict[str, str]
) -> None:
    house.admit()
    plan = client.post("/v1/orders/plans", headers=officer, json={"jurisdiction": "FR"}).json()["plan"]
    refused = client.post("/v1/jobs", headers=officer, json={"kind": "erase", "plan": plan})
    assert (refused.status_code, "set 'orders'" in refused.json()["detail"]) == (403, True)
    assert client.get("/v1/jobs", headers=officer).json()["items"] == []


def test_an_order_with_a_missing_folder_is_refused_before_it_starts(
    ordering: TestClient, house: House, officer: dict[str, str], tmp_path: Path
) -> None:
    meant = house.admit()
    plan = ordering.post("/v1/orders/plans", headers=officer, json={"jurisdiction": "FR"}).json()["plan"]
    (tmp_path / "orders").rmdir()
    refused = ordering.post("/v1/jobs", headers=officer, json={"kind": "erase", "plan": plan})
    assert (refused.status_code, "'orders' names does not exist" in refused.json()["detail"]) == (503, True)
    assert ordering.get("/v1/jobs", headers=officer).json()["items"] == []
    assert house.sees(meant)


def test_an_order_for_an_unknown_zone_is_refused(client: TestClient, house: House, officer: dict[str, str]) -> None:
    house.admit()
    refused = client.post("/v1/orders/plans", headers=officer, json={"zone": "loby"})
    assert (refused.status_code, "there is no zone 'loby'" in refused.json()["detail"]) == (404, True)
