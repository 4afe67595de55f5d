"""Invitations over HTTP: the desk makes, lists, renews and cancels them, in its own zone."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from house import House
from starlette.testclient import TestClient

from volens.consent.refusal import verify_refusal
from volens.store.programs import Role

Bearer = Callable[..., dict[str, str]]
INVITE = "/v1/zones/lobby/invitations"
IMPORT = "/v1/zones/lobby/invitation-imports"
ADA = {"name": "Ada Canary", "jurisdiction": "FR", "external_id": "4711"}


@pytest.fixture
def desk(house: House, bearer: Bearer) -> dict[str, str]:
    house.site.defaults.set(public_url="https://door.example")
    return bearer(Role.DESK, "lobby")


def test_the_desk_makes_lists_renews_and_cancels_an_invitation(
    client: TestClient, house: House, desk: dict[str, str]
) -> None:
    made = client.post(INVITE, json=ADA, headers=desk)
    assert made.status_code == 201
    link, number = made.json()["link"], made.json()["invitation_id"]
    assert link.startswith("https://door.example/invitation#")
    assert house.site.invitations.open(link).name == "Ada Canary"

    (one,) = client.get(f"{INVITE}?state=open", headers=desk).json()["items"]
    assert (one["name"], one["state"], one["is_linked"]) == ("Ada Canary", "open", True)
    assert "link" not in one

    again = client.post(f"{INVITE}/{number}/links", json={"days": 3}, headers=desk)
    assert (again.status_code, again.json()["invitation_id"]) == (201, number)
    assert again.json()["link"] != link
    assert client.delete(f"{INVITE}/{number}", headers=desk).status_code == 204
    assert client.delete(f"{INVITE}/{number}", headers=desk).status_code == 404
    (one,) = client.get(INVITE, headers=desk).json()["items"]
    assert (one["name"], one["state"]) == (None, "cancelled")


def test_a_request_that_is_sent_twice_makes_one_invitation(
    client: TestClient, house: House, desk: dict[str, str]
) -> None:
    key = {"Idempotency-Key": "5f0c2a9e-3d0b-4c56-9a55-2f1f0f6f7c11"}
    answers = [client.post(INVITE, json=ADA, headers=desk | key) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    assert len(house.site.invitations.list()) == 1


def test_a_visitor_is_invited_until_this_evening_in_local_time(
    client: TestClient, house: House, desk: dict[str, str]
) -> None:
    house.site.defaults.set(time_zone="Europe/Paris")
    made = client.post(INVITE, json=ADA | {"valid_until": "18:00"}, headers=desk).json()
    evening = datetime(2099, 3, 1, 17, tzinfo=UTC)
    assert made["expires_at"] == "2099-03-01T17:00:00Z"
    assert house.site.invitations.open(made["link"]).valid_until == evening
    again = client.post(f"{INVITE}/{made['invitation_id']}/links", json={"days": 3}, headers=desk).json()
    assert again["expires_at"] == "2099-03-01T17:00:00Z"
    both = client.post(INVITE, json=ADA | {"name": "Bo", "valid_until": "18:00", "valid_days": 2}, headers=desk)
    assert (both.status_code, "give one of the two" in both.json()["detail"]) == (422, True)


def test_another_zone_or_role_is_refused(client: TestClient, desk: dict[str, str], bearer: Bearer) -> None:
    number = client.post(INVITE, json=ADA, headers=desk).json()["invitation_id"]
    for shown in (bearer(Role.DESK, "lab"), bearer(Role.DOOR), bearer(Role.AUDITOR), bearer(Role.OPERATOR)):
        assert client.get(INVITE, headers=shown).status_code == 403
        assert client.post(INVITE, json=ADA, headers=shown).status_code == 403
        assert client.delete(f"{INVITE}/{number}", headers=shown).status_code == 403
    elsewhere = f"/v1/zones/lab/invitations/{number}"
    assert client.delete(elsewhere, headers=bearer(Role.DESK, "lab")).status_code == 404
    assert client.post(f"{elsewhere}/links", json={}, headers=bearer(Role.DESK, "lab")).status_code == 404


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"name": ""}, 422),
        ({"name": "Ada"}, 422),
        (ADA | {"days": 91}, 422),
        (ADA | {"days": "3"}, 422),
        (ADA | {"language": "fr"}, 422),
        (ADA | {"colour": "red"}, 422),
    ],
)
def test_a_body_that_is_no_invitation_is_a_problem(
    client: TestClient, desk: dict[str, str], body: dict[str, object], status: int
) -> None:
    answer = client.post(INVITE, json=body, headers=desk)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")


def test_without_a_public_address_nothing_is_made(client: TestClient, house: House, bearer: Bearer) -> None:
    answer = client.post(INVITE, json=ADA, headers=bearer(Role.DESK))
    assert answer.status_code == 422
    assert "defaults set --public-url" in answer.json()["detail"]
    assert house.site.invitations.list() == []


def test_a_person_who_is_invited_already_is_a_conflict(client: TestClient, desk: dict[str, str]) -> None:
    assert client.post(INVITE, json=ADA, headers=desk).status_code == 201
    again = client.post(INVITE, json=ADA, headers=desk)
    assert again.status_code in {403, 409}
    assert "Ada" not in again.text


def test_a_table_is_imported_with_a_report_and_only_for_its_own_zone(
    client: TestClient, house: House, desk: dict[str, str]
) -> None:
    table = b"name,zone,external_id\nAda Canary,,1\nBo Canary,Lobby,2\nCy Canary,lab,3\n,,4\n"
    send = {"files": {"table": ("people.csv", table)}, "data": {"jurisdiction": "FR", "days": "3"}}
    first, second = (client.post(IMPORT, headers=desk, **send) for _ in range(2))
    assert first.status_code == 201, first.text
    rows = first.json()["rows"]
    assert [one["number"] for one in rows] == [2, 3, 4, 5]
    assert [one["invitation"] is not None for one in rows] == [True, True, False, False]
    assert "another zone" in rows[2]["reason"]
    assert house.site.invitations.open(rows[1]["invitation"]["link"]).name == "Bo Canary"
    assert house.site.invitations.list("lab") == []
    assert [one["invitation"] for one in second.json()["rows"]] == [None] * 4, "a second table invites nobody twice"


@pytest.mark.parametrize("table", [b"", b"who\nAda", b"name\n\xff", b"name\n"])
def test_a_file_that_is_no_table_of_people_is_an_error(
    client: TestClient, house: House, desk: dict[str, str], table: bytes
) -> None:
    answer = client.post(IMPORT, headers=desk, files={"table": ("x.csv", table)}, data={"jurisdiction": "FR"})
    assert answer.status_code == 422
    assert house.site.invitations.list() == []


def test_a_no_at_the_desk_is_a_count_and_a_receipt_if_wanted(
    client: TestClient, house: House, desk: dict[str, str]
) -> None:
    no = client.post("/v1/zones/lobby/refusals", json={}, headers=desk)
    assert (no.status_code, no.json()) == (201, {"receipt": None})
    wanted = client.post("/v1/zones/lobby/refusals", json={"receipt_wanted": True}, headers=desk)
    assert verify_refusal(wanted.json()["receipt"].encode(), *house.site.verifier_key.public_keys).zone == "lobby"
    assert house.site.offers.compare("lobby").refused == 2
    assert client.post("/v1/zones/attic/refusals", json={}, headers=desk).status_code == 403
