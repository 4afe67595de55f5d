"""Certificates over HTTP: pages, filters, and the search by what a person shows, bound to the caller's zone."""

from collections.abc import Callable
from typing import Any

import pytest
from house import House
from starlette.testclient import TestClient

from volens.consent.withdrawal import WithdrawalCode
from volens.erase.proof import verify_certificate
from volens.store.programs import Role

Bearer = Callable[..., dict[str, str]]


def listed(client: TestClient, shown: dict[str, str], query: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None:
        page = client.get(f"/v1/certificates?limit=2{query}{cursor and f'&cursor={cursor}'}", headers=shown)
        assert page.status_code == 200, page.text
        found += page.json()["items"]
        cursor = page.json()["next"]
    return found


def ids(found: list[dict[str, Any]]) -> list[str]:
    return [one["certificate_id"] for one in found]


def test_certificates_have_pages_from_the_newest_and_can_be_narrowed(
    client: TestClient, house: House, bearer: Bearer
) -> None:
    shown = bearer(Role.PRIVACY_OFFICER)
    assert listed(client, shown) == []
    old = [house.withdraw(house.admit()).certificate_id for _ in range(3)]
    house.clock.move(days=2)
    new = house.withdraw(house.invite("lab"))
    left = house.invite()
    house.site.clocks.leave([left.receipt_id])

    found = listed(client, shown)
    assert ids(found)[1:] == [new.certificate_id, *reversed(old)]
    assert (found[0]["receipt_id"], found[0]["reason"], found[0]["zone"]) == (left.receipt_id, "left", "lobby")
    assert ids(listed(client, shown, "&zone=lab")) == [new.certificate_id]
    assert listed(client, shown, "&reason=left") == found[:1]
    assert listed(client, shown, "&since=2099-03-03") == found[:2]
    assert listed(client, shown, "&until=2099-03-02") == found[2:]
    assert listed(client, shown, "&since=2099-03-01&until=2099-03-01") == found[2:]
    file = client.get(f"/v1/certificates/{found[0]['certificate_id']}", headers=shown).content
    assert verify_certificate(file, house.site.verifier_key).reason == "left"


@pytest.mark.parametrize("what", ["code", "receipt"])
def test_the_certificate_of_a_person_is_found_by_what_they_show(
    client: TestClient, house: House, bearer: Bearer, what: str
) -> None:
    shown = bearer(Role.PRIVACY_OFFICER)
    person, other = house.admit(), house.admit()
    erased, _ = house.withdraw(person), house.withdraw(other)
    body = {"code": person.code} if what == "code" else {"receipt": person.take_home.receipt.token}

    answer = client.post("/v1/certificates/search", json=body, headers=shown)
    assert answer.status_code == 200, answer.text
    assert ids(answer.json()["items"]) == [erased.certificate_id]
    assert client.get("/v1/certificates/search", headers=shown).status_code == 405
    elsewhere = client.post("/v1/certificates/search", json=body, headers=bearer(Role.PRIVACY_OFFICER))
    assert elsewhere.json() == answer.json()


def test_a_consent_in_force_has_no_certificate_and_an_unknown_code_is_said(
    client: TestClient, house: House, bearer: Bearer
) -> None:
    shown = bearer(Role.PRIVACY_OFFICER)
    person = house.admit()
    found = client.post("/v1/certificates/search", json={"code": person.code}, headers=shown)
    assert (found.status_code, found.json()) == (200, {"items": []})
    code = WithdrawalCode.generate(bytes([7]).__mul__).reveal()
    unknown = client.post("/v1/certificates/search", json={"code": code}, headers=shown)
    assert (unknown.status_code, unknown.json()["type"]) == (404, "urn:volens:problem:no-live-consent")
    assert client.post("/v1/certificates/search", json={}, headers=shown).status_code == 422


def test_an_auditor_lists_certificates_and_searches_for_no_person(
    client: TestClient, house: House, bearer: Bearer
) -> None:
    house.withdraw(house.admit())
    person = house.invite("lab")
    erased = house.withdraw(person)
    shown = bearer(Role.AUDITOR)
    assert len(listed(client, shown)) == 2
    refused = client.post("/v1/certificates/search", json={"code": person.code}, headers=shown)
    assert refused.status_code == 403
    assert ids(listed(client, shown, "&zone=lab")) == [erased.certificate_id]


@pytest.mark.parametrize("query", ["zone=No!", "reason=bored", "since=soon", "cursor=AAAA", "limit=0"])
def test_a_wrong_filter_of_certificates_is_an_error(client: TestClient, bearer: Bearer, query: str) -> None:
    assert client.get(f"/v1/certificates?{query}", headers=bearer(Role.PRIVACY_OFFICER)).status_code == 422
