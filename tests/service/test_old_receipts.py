"""Withdrawal over HTTP with an old receipt: the response says what is in force, and a second request ends it."""

from collections.abc import Callable
from typing import Any

import pytest
from house import House
from starlette.testclient import TestClient

from volens.consent import SubjectKey
from volens.erase.proof import verify_certificate
from volens.store.programs import Role

Bearer = Callable[..., dict[str, str]]


def consents(house: House, *zones: str) -> list[str]:
    """Give consents with one key, each for a zone, withdrawing an older one of the same zone; return the take-homes."""
    key, given = SubjectKey.from_seed(house.bits.randbytes(32)), dict[str, bytes]()
    files: list[str] = []
    for zone in zones:
        if zone in given:
            house.site.withdraw(receipt=given[zone])
        house.clock.move(hours=1)
        notice = house.site.notice(zone)
        take_home = house.site.give_consent(notice, name="Ada Canary", jurisdiction="FR", key=key)
        given[zone] = take_home.to_json()
        files.append(given[zone].decode())
    return files


def withdrawn(client: TestClient, **body: object) -> dict[str, Any]:
    answer = client.post("/v1/withdrawals", json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_an_old_receipt_says_what_ended_and_what_is_in_force(client: TestClient, house: House) -> None:
    old, newer, _other_zone = consents(house, "lobby", "lobby", "lab")
    stranger = house.admit()

    said = withdrawn(client, receipt=old)
    assert (said["newer_in_force"], said["reason"], said["also_ended"]) == (True, "withdrawn", [])
    assert [one["zone"] for one in said["in_force"]] == ["lobby", "lab"]
    assert said["ended_at"] < said["in_force"][0]["given_at"] < said["in_force"][0]["ends_at"]
    assert withdrawn(client, receipt=old) == said

    ended = withdrawn(client, receipt=old, all_of_this_person=True)
    assert (ended["newer_in_force"], ended["in_force"]) == (False, [])
    assert sorted(one["zone"] for one in ended["also_ended"]) == ["lab", "lobby"]
    for one in ended["also_ended"]:
        certificate = verify_certificate(one["certificate"].encode(), house.site.verifier_key)
        assert certificate.certificate_id == one["certificate_id"]
    assert house.sees(stranger)
    assert withdrawn(client, receipt=newer)["newer_in_force"] is False


@pytest.mark.parametrize(
    "body", [{"all_of_this_person": True}, {"code": "x", "receipt": "y"}, {"all_of_this_person": 1}]
)
def test_a_withdrawal_names_one_consent(client: TestClient, body: dict[str, object]) -> None:
    assert client.post("/v1/withdrawals", json=body).status_code == 422


def test_the_newer_consent_of_another_key_is_not_revealed(client: TestClient, house: House) -> None:
    (old,) = consents(house, "lobby")
    house.site.withdraw(receipt=old.encode())
    house.invite(name="Ada Canary")
    said = withdrawn(client, receipt=old)
    assert (said["newer_in_force"], said["in_force"]) == (False, [])


def test_a_zone_in_an_address_has_one_spelling(client: TestClient, house: House, bearer: Bearer) -> None:
    auditor = bearer(Role.AUDITOR)
    assert client.get("/v1/zones/lobby/notice", headers=auditor).status_code == 200
    assert client.get("/v1/zones/Lobby/notice", headers=auditor).status_code == 404
    assert house.site.notice(" LOBBY").purpose == "lobby"
