"""The directory of people over HTTP: pages, search and one person, bound to the caller's zone, and recorded."""

from collections.abc import Callable
from typing import Any

import pytest
from house import House
from reading_log import opened
from starlette.testclient import TestClient

from volens.store.people.disclosures import SHOWN
from volens.store.programs import Role

Bearer = Callable[..., dict[str, str]]


def people_of(client: TestClient, shown: dict[str, str], query: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None:
        page = client.get(f"/v1/people?limit=2{query}{cursor and f'&cursor={cursor}'}", headers=shown)
        assert page.status_code == 200, page.text
        found += page.json()["items"]
        cursor = page.json()["next"]
    return found


def test_a_list_has_pages_and_can_be_narrowed(client: TestClient, house: House, bearer: Bearer) -> None:
    shown = bearer(Role.PRIVACY_OFFICER)
    in_lobby = {house.admit().receipt_id for _ in range(3)}
    in_lab = house.invite("lab", name="Bernd Schwarz")

    assert {one["receipt_id"] for one in people_of(client, shown)} == in_lobby | {in_lab.receipt_id}
    (one,) = people_of(client, shown, "&zone=lab")
    assert (one["name"], one["state"], one["references"]) == ("Bernd Schwarz", "consented", 0)
    assert people_of(client, shown, "&ends_within=89") == []
    assert len(people_of(client, shown, "&ends_within=90")) == 4


def test_people_are_listed_by_state_and_the_invited_have_no_receipt(
    client: TestClient, house: House, bearer: Bearer
) -> None:
    shown = bearer(Role.DESK, "lobby")
    enrolled, paused = house.admit().receipt_id, house.invite("lobby", name="Bernd Schwarz").receipt_id
    house.site.changes.restrict(paused)
    for zone, name in (("lobby", "Ann Newcomer"), ("lobby", "Bo Newcomer"), ("lobby", "Cy Newcomer"), ("lab", "Di")):
        house.site.invitations.invite(zone, name=name, jurisdiction="FR", language="en")

    def receipts(state: str) -> list[str]:
        return [one["receipt_id"] for one in people_of(client, shown, f"&state={state}")]

    assert (receipts("enrolled"), receipts("consented"), receipts("restricted")) == ([enrolled], [paused], [paused])
    invited = people_of(client, shown, "&state=invited")
    assert {one["name"] for one in invited} == {"Ann Newcomer", "Bo Newcomer", "Cy Newcomer"}
    assert all(one["state"] == "invited" and "receipt_id" not in one for one in invited)
    assert client.get("/v1/people?state=invited&zone=lab", headers=shown).status_code == 403
    assert client.get("/v1/people?state=invited&ends_within=3", headers=shown).status_code == 422


@pytest.mark.parametrize("query", ["ends_within=-1", "ends_within=x", "zone=No!", "cursor=AAAA", "state=gone"])
def test_a_wrong_parameter_is_an_error(client: TestClient, bearer: Bearer, query: str) -> None:
    answer = client.get(f"/v1/people?{query}", headers=bearer(Role.DESK))
    assert answer.status_code == 422
    assert client.get("/v1/people?zone=attic", headers=bearer(Role.DESK)).status_code == 404


def test_a_name_is_searched_by_the_body_and_never_by_the_address(
    client: TestClient, house: House, bearer: Bearer
) -> None:
    house.invite(name="Eva Müller")
    found = client.post("/v1/people/search", json={"name": "MÜLL"}, headers=bearer(Role.DESK)).json()
    assert ([one["name"] for one in found["items"]], found["has_more"], found["unopened"]) == (["Eva Müller"], False, 0)
    assert client.get("/v1/people?name=Eva", headers=bearer(Role.DESK)).status_code == 422
    refused = client.post("/v1/people/search", json={"name": " "}, headers=bearer(Role.DESK))
    assert (refused.status_code, refused.json()["type"]) == (422, "urn:volens:problem:input")


def test_a_desk_of_one_zone_sees_nobody_of_another(client: TestClient, house: House, bearer: Bearer) -> None:
    shown = bearer(Role.DESK, "lab")
    elsewhere, here = house.invite(name="Eva Lobby"), house.invite("lab", name="Eva Lab")

    assert [one["name"] for one in people_of(client, shown)] == ["Eva Lab"]
    assert client.get("/v1/people?zone=lobby", headers=shown).status_code == 403
    sought = {"name": "eva"}
    assert [one["name"] for one in client.post("/v1/people/search", json=sought, headers=shown).json()["items"]] == [
        "Eva Lab"
    ]
    assert client.post("/v1/people/search", json=sought | {"zone": "lobby"}, headers=shown).status_code == 403
    unknown = client.get(f"/v1/people/{'0' * 43}", headers=shown).json()
    hidden = client.get(f"/v1/people/{elsewhere.subject_id}", headers=shown).json()
    assert unknown | {"instance": ""} == hidden | {"instance": ""}
    assert client.get(f"/v1/people/{here.subject_id}", headers=shown).json()["in_force"][0]["name"] == "Eva Lab"


def test_the_log_names_the_caller_who_looked(client: TestClient, house: House, bearer: Bearer) -> None:
    shown = bearer(Role.DESK, "lobby")
    house.invite()
    client.get("/v1/people", headers=shown)
    (credential,) = house.site.programs.credentials.list()
    (entry,) = opened(house.store, SHOWN)
    assert entry == {"how": "list", "people": 1, "shown_to": credential.credential_id, "zone": "lobby"}


def test_a_person_is_shown_with_the_certificate_of_an_ended_consent(
    client: TestClient, house: House, bearer: Bearer
) -> None:
    person = house.admit()
    erased = house.withdraw(person)
    answer = client.get(f"/v1/people/{person.subject_id}", headers=bearer(Role.OPERATOR)).json()
    assert answer["in_force"] == []
    assert [(one["reason"], one["certificate_id"]) for one in answer["ended"]] == [("withdrawn", erased.certificate_id)]


def test_a_person_learns_by_the_code_what_the_doors_decided(client: TestClient, house: House) -> None:
    person = house.invite()
    answer = client.post("/v1/decisions/explanations", json={"code": person.code})
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["zone"], told["ended"], told["visits"]) == ("lobby", None, [])
    assert "not enrolled" in told["closed_because"][0]
    both = {"code": person.code, "receipt": "x"}
    assert client.post("/v1/decisions/explanations", json=both).status_code == 422
    unknown = client.post("/v1/decisions/explanations", json={"code": "XXXXX-XXXXX-XXXXX-XXXXX-XXXXX-X"})
    assert (unknown.status_code, unknown.json()["type"]) == (404, "urn:volens:problem:no-live-consent")


def test_guesses_at_explanations_are_rate_limited(client: TestClient) -> None:
    statuses = [client.post("/v1/decisions/explanations", json={"code": "guess"}).status_code for _ in range(30)]
    assert 429 in statuses
