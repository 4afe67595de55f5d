"""Signatures over HTTP: the person's own key or passkey signs; no private key is sent, made or received."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from house import House
from signing import DOOR_PAGE, Signer, make_passkey
from starlette.testclient import TestClient

from tests.service.test_a_day import enroll, look
from volens.consent import SubjectKey, TakeHome
from volens.consent.age_statement import sign_as_guardian
from volens.service import http
from volens.store.programs import Role

Bearer = Callable[..., dict[str, str]]
CONSENTS = "/v1/zones/lobby/consents"


def test_a_passkey_signs_and_its_person_passes_the_door(
    client: TestClient, house: House, bearer: Bearer, views: list[bytes]
) -> None:
    desk, passkey = bearer(Role.DESK), make_passkey()
    wanted = {"form": "passkey", "public_key": passkey.public.to_jwk() | {"ext": True, "key_ops": ["verify"]}}
    refused = Signer().offered(client, desk, **wanted)
    assert (refused.status_code, "volens defaults set --public-url" in refused.json()["detail"]) == (403, True)
    house.site.defaults.set(public_url=DOOR_PAGE.origin)

    offer = Signer().offered(client, desk, **wanted).json()
    assert offer["relying_party_id"] == DOOR_PAGE.rp_id
    new = {"name": "Ada", "signed": passkey.token(offer["document"].encode())}
    given = client.post(CONSENTS, headers=desk, json=new)

    assert (given.status_code, given.json()["receipt_id"]) == (201, offer["receipt_id"])
    assert enroll(client, desk, given.json()["take_home"], views[:3]).status_code == 201
    assert look(client, bearer(Role.DOOR), views[3])["faces"][0]["subject_id"] == passkey.public.subject_id
    claims = TakeHome.parse(given.json()["take_home"].encode()).receipt.claims
    assert claims.signature.relying_party == DOOR_PAGE


def test_an_offer_has_what_a_browser_needs_to_sign_with_its_own_key(client: TestClient, bearer: Bearer) -> None:
    signer, desk = Signer(), bearer(Role.DESK)
    answer = signer.offered(client, desk)
    offer = answer.json()
    assert offer["relying_party_id"] is None
    assert json.loads(offer["document"])["signature"] == {"form": "person_key"}
    assert signer.sign(answer).startswith(f"{offer['signing_input']}.")


@pytest.mark.parametrize(
    ("typed", "ends_at"),
    [
        ("18:00", "2099-03-01T17:00:00Z"),
        ("today", "2099-03-01T23:00:00Z"),
        ("2099-04-30", "2099-04-30T22:00:00Z"),
        ("2099-03-02T09:30", "2099-03-02T08:30:00Z"),
        ("2099-03-02T09:30:00Z", "2099-03-02T09:30:00Z"),
    ],
)
def test_a_term_ends_at_the_local_time_that_was_typed(
    client: TestClient, house: House, bearer: Bearer, typed: str, ends_at: str
) -> None:
    house.site.defaults.set(time_zone="Europe/Paris")
    signer, desk = Signer(), bearer(Role.DESK)
    answer = signer.offered(client, desk, valid_until=typed)
    assert (answer.status_code, answer.json()["expires_at"]) == (200, ends_at), answer.text
    given = client.post(CONSENTS, headers=desk, json={"name": "Ada", "signed": signer.sign(answer)})
    assert (given.status_code, given.json()["expires_at"]) == (201, ends_at)


@pytest.mark.parametrize(
    ("more", "status", "words"),
    [
        ({"form": "fax"}, 422, ""),
        ({"public_key": {}}, 422, "public key of another kind"),
        ({"public_key": {"kty": [1], "x": {}}}, 422, "public key of another kind"),
        ({"public_key": Signer().key.public.to_jwk() | {"d": "AA"}}, 422, "got a private key"),
        ({"form": "person_key", "public_key": make_passkey().public.to_jwk()}, 422, "cannot sign in the form"),
        ({"jurisdiction": "Mars"}, 422, "ISO 3166"),
        ({"valid_days": 4000}, 422, "got a term of 4000 days"),
        ({"valid_until": "12:00"}, 422, "is past in the time zone UTC"),
        ({"valid_until": "this evening"}, 422, "expected a time such as 18:00"),
        ({"valid_until": "18:00", "valid_days": 1}, 422, "give one of the two"),
        ({"valid_until": "2100-01-01"}, 422, "within 90 days"),
        ({"valid_until": "18:00" * 9}, 422, ""),
        ({"notice_sha256": "0" * 64}, 403, "another notice"),
    ],
)
def test_an_offer_is_refused_with_a_reason(
    client: TestClient, bearer: Bearer, more: dict[str, object], status: int, words: str
) -> None:
    answer = Signer().offered(client, bearer(Role.DESK), **more)
    assert (answer.status_code, words in answer.json()["detail"]) == (status, True), answer.text


def test_a_zone_that_refuses_the_desk_refuses_it_over_http(client: TestClient, house: House, bearer: Bearer) -> None:
    house.declare("vault", desk_signature="refused")
    desk = bearer(Role.DESK)
    assert Signer().consent(client, desk, "vault").status_code == 201
    refused = Signer().offered(client, desk, "vault", form="desk")
    assert (refused.status_code, "accepts no signature made at the desk" in refused.json()["detail"]) == (403, True)
    zones = {one["zone"]: one["desk_signature"] for one in client.get("/v1/zones", headers=desk).json()}
    assert zones == {"lab": "allowed", "lobby": "allowed", "vault": "refused"}


def test_no_module_of_the_http_interface_makes_or_reads_a_private_key() -> None:
    text = "".join(path.read_text("utf-8") for path in sorted(Path(http.__path__[0]).glob("*.py")))
    assert "give_consent" in text
    for word in ("SubjectKey", "private_key", "from_seed", "person_key_pem", "site.give_consent", "changes.renew("):
        assert word not in text


def test_a_guardian_signs_the_receipt_of_a_person_under_age(client: TestClient, house: House, bearer: Bearer) -> None:
    signer, guardian, desk = Signer(), SubjectKey.from_seed(b"g" * 32), bearer(Role.DESK)
    asked: dict[str, object] = {"of_age": False, "guardian_key": guardian.public.to_jwk()}
    refused = signer.offered(client, desk, **asked)
    assert (refused.status_code, refused.json()["reason"]) == (403, "minor-refused")
    house.site.declarations.declare_zone("lobby", {"minors": "guardian"})
    alone = signer.offered(client, desk, of_age=False)
    assert (alone.status_code, alone.json()["reason"]) == (403, "guardian-needed")
    assert signer.offered(client, desk, guardian_key=guardian.public.to_jwk()).status_code == 422

    offer = signer.offered(client, desk, **asked)
    new = {"name": "Ada", "signed": signer.sign(offer)}
    assert client.post(CONSENTS, headers=desk, json=new).json()["reason"] == "guardian-needed"
    theirs = sign_as_guardian(offer.json()["document"].encode(), guardian)
    assert theirs.startswith(f"{offer.json()['guardian_signing_input']}.")
    assert client.post(CONSENTS, headers=desk, json=new | {"guardian_signature": theirs}).status_code == 201
    assert signer.offered(client, desk, of_age=True).json()["guardian_signing_input"] is None
