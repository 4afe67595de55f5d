"""Changes of a consent in force over HTTP: renewal, name, photos, code; each is done once, in its own zone."""

import json
from collections.abc import Callable
from typing import Any

from house import House
from signing import Signer
from starlette.testclient import TestClient

from tests.service.test_a_day import enroll, look, say_yes
from volens.consent import ReceiptId
from volens.store.people import name_of
from volens.store.programs import Role

Bearer = Callable[..., dict[str, str]]
KEY = {"Idempotency-Key": "5f0c2a9e-3d0b-4c56-9a55-2f1f0f6f7c11"}


def person(given: dict[str, Any], what: str) -> str:
    return f"/v1/zones/lobby/consents/{given['receipt_id']}/{what}"


def code_in(take_home: str) -> str:
    return str(json.loads(take_home)["withdrawal_code"])


def test_a_renewed_person_goes_on_matching_and_a_repeated_request_renews_once(
    house: House, client: TestClient, bearer: Bearer, views: list[bytes]
) -> None:
    desk, door, signer = bearer(Role.DESK), bearer(Role.DOOR), Signer()
    *photos, frame = views
    given = say_yes(client, desk, signer=signer)
    assert enroll(client, desk, given["take_home"], photos).status_code == 201
    notice = client.get("/v1/zones/lobby/notice", headers=desk).json()["sha256"]
    offers, shown = person(given, "renewal/offers"), {"notice_sha256": notice}
    assert client.post(offers, headers=desk, json={"notice_sha256": "0" * 64}).status_code == 403
    new = {"signed": signer.sign(client.post(offers, headers=desk, json=shown))}

    first = client.post(person(given, "renewal"), headers=desk | KEY, json=new)
    again = client.post(person(given, "renewal"), headers=desk | KEY, json=new)
    assert (first.status_code, again.status_code) == (201, 201), first.text
    assert (first.json(), again.headers["Idempotency-Replayed"]) == (again.json(), "true")
    assert first.json()["renewed_receipt_id"] == given["receipt_id"]
    assert look(client, door, frame)["faces"][0]["subject_id"] == given["subject_id"]
    assert client.post(person(given, "renewal"), headers=desk, json=new).status_code == 404
    used = client.post(person(first.json(), "renewal"), headers=desk, json=new)
    assert (used.status_code, used.json()["detail"][:32]) == (403, "this receipt was recorded before")
    offered = client.post(person(first.json(), "renewal/offers"), headers=desk, json=shown).json()
    stranger = Signer().key.sign(offered["document"].encode(), "volens-receipt+jws")
    wrong = client.post(person(first.json(), "renewal"), headers=desk, json={"signed": stranger})
    assert wrong.status_code == 422
    assert "signature does not match its text" in wrong.json()["detail"]

    added = client.post(
        "/v1/zones/lobby/photos",
        headers=desk,
        files=[("receipt", first.json()["take_home"].encode()), ("photos", frame)],
        data={"change": "add"},
    )
    assert (added.status_code, added.json()["photo_count"]) == (201, len(photos) + 1), added.text
    withdrawn = client.post("/v1/withdrawals", json={"code": code_in(first.json()["take_home"])})
    assert withdrawn.status_code == 200
    assert house.site.status().zones[0].live_consents == 0


def test_a_name_is_corrected_and_a_code_issued_again_in_its_own_zone_only(
    house: House, client: TestClient, bearer: Bearer
) -> None:
    desk = bearer(Role.DESK)
    given = say_yes(client, desk)
    house.declare("vault")
    elsewhere = f"/v1/zones/vault/consents/{given['receipt_id']}"
    assert client.put(f"{elsewhere}/name", headers=desk, json={"name": "Eve"}).status_code == 404
    assert client.post(f"{elsewhere}/code", headers=desk, json={"identity_checked": True}).status_code == 404

    assert client.put(person(given, "name"), headers=desk, json={"name": "Ada Newname"}).status_code == 204
    assert name_of(house.store, ReceiptId(given["receipt_id"])) == "Ada Newname"
    assert client.put(person(given, "name"), headers=desk, json={"name": " "}).status_code == 422

    unchecked = client.post(person(given, "code"), headers=desk, json={"identity_checked": False})
    assert unchecked.status_code == 422
    issued = client.post(person(given, "code"), headers=desk | KEY, json={"identity_checked": True})
    again = client.post(person(given, "code"), headers=desk | KEY, json={"identity_checked": True})
    assert issued.json() == again.json()
    old, new = code_in(given["take_home"]), code_in(issued.json()["take_home"])
    assert client.post("/v1/withdrawals", json={"code": old}).status_code == 404
    assert client.post("/v1/withdrawals", json={"code": new}).status_code == 200


def test_the_desk_names_a_consent_by_its_id_instead_of_sending_the_receipt(
    client: TestClient, bearer: Bearer, views: list[bytes]
) -> None:
    desk = bearer(Role.DESK, "lobby")
    given = say_yes(client, desk)
    photos = [("photos", one) for one in views[:3]]
    which = {"receipt_id": given["receipt_id"]}
    both = [*photos, ("receipt", given["take_home"].encode())]
    assert client.post("/v1/zones/lobby/enrollments", headers=desk, data=which, files=both).status_code == 422
    assert client.post("/v1/zones/lobby/enrollments", headers=desk, files=photos).status_code == 422
    unknown = client.post("/v1/zones/lobby/enrollments", headers=desk, data={"receipt_id": "0" * 32}, files=photos)
    assert unknown.status_code == 404
    elsewhere = client.post("/v1/zones/lab/enrollments", headers=bearer(Role.DESK), data=which, files=photos)
    assert elsewhere.status_code == 404, "a consent of another zone is as unknown as none"
    made = client.post("/v1/zones/lobby/enrollments", headers=desk, data=which, files=photos)
    assert made.status_code == 201, made.text
    changed = client.post("/v1/zones/lobby/photos", headers=desk, data=which | {"change": "replace"}, files=photos)
    assert changed.status_code == 201, changed.text
