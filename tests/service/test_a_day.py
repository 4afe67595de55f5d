"""A day of doors, desks and people over HTTP, with the real models."""

import base64
import json
from collections.abc import Callable
from typing import Any

import numpy as np
from house import House
from httpx2 import Response
from signing import Signer, sign_receipt
from starlette.testclient import TestClient

from tests.service.conftest import jpeg
from volens import Site
from volens.audit import leaf_hash, open_checkpoint, verify_consistency, verify_inclusion
from volens.consent import Purpose, ReceiptId, SubjectKey
from volens.face import RgbImage
from volens.service import samples
from volens.service.http import AppState
from volens.service.sample_notice import declare_sample_facts, publish_sample_notice
from volens.store.programs import Role
from volens.store.promises import zone_of

Bearer = Callable[..., dict[str, str]]


def say_yes(
    client: TestClient, desk: dict[str, str], zone: str = "lobby", signer: Signer | None = None
) -> dict[str, Any]:
    answer = (signer or Signer()).consent(client, desk, zone, "Ada Canary Example")
    assert answer.status_code == 201, answer.text
    return answer.json()


def enroll(
    client: TestClient, desk: dict[str, str], take_home: str, photos: list[bytes], zone: str = "lobby"
) -> Response:
    files: list[Any] = [("receipt", ("receipt.json", take_home.encode(), "application/json"))]
    files += [("photos", (f"{number}.jpg", photo, "image/jpeg")) for number, photo in enumerate(photos)]
    return client.post(f"/v1/zones/{zone}/enrollments", headers=desk, files=files)


def look(client: TestClient, door: dict[str, str], frame: bytes, zone: str = "lobby") -> dict[str, Any]:
    headers = door | {"Content-Type": "image/jpeg"}
    answer = client.post(f"/v1/zones/{zone}/identify", headers=headers, content=frame)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_person_consents_enrolls_matches_withdraws_and_matches_no_more(
    client: TestClient, bearer: Bearer, views: list[bytes]
) -> None:
    desk, door = bearer(Role.DESK), bearer(Role.DOOR)
    *photos, frame = views
    assert [face["decision"] for face in look(client, door, frame)["faces"]] == ["no_match"]

    given = say_yes(client, desk)
    enrolled = enroll(client, desk, given["take_home"], photos)
    assert enrolled.status_code == 201, enrolled.text
    assert enrolled.json() | {"reference_id": 1} == {
        "reference_id": 1,
        "subject_id": given["subject_id"],
        "zone": "lobby",
        "model": enrolled.json()["model"],
        "photo_count": 3,
        "few": False,
        "badge": None,
    }
    (face,) = look(client, door, frame)["faces"]
    assert (face["decision"], face["subject_id"]) == ("match", given["subject_id"])
    assert face["comparison_score"] > 0.5
    assert "Canary" not in json.dumps(face)

    code = json.loads(given["take_home"])["withdrawal_code"]
    gone = client.post("/v1/withdrawals", json={"code": code})
    assert gone.status_code == 200, gone.text
    assert gone.json()["zone"] == "lobby"
    assert [face["decision"] for face in look(client, door, frame)["faces"]] == ["no_match"]
    assert client.post("/v1/withdrawals", json={"receipt": given["take_home"]}).json() == gone.json()


def test_a_box_contains_the_face(client: TestClient, bearer: Bearer) -> None:
    frame = np.zeros((512, 1024, 3), dtype=np.uint8)
    frame[:, 512:] = samples.astronaut().pixels
    (face,) = look(client, bearer(Role.DOOR), jpeg(RgbImage(frame)))["faces"]

    left, top, right, bottom = face["box"]
    nose = (512 + 224, 118)  # where it is in the astronaut's portrait
    assert left < nose[0] < right < 1024
    assert 0 < top < nose[1] < bottom < 512
    assert right - left < 200


def test_a_claim_is_verified_against_one_person_in_its_own_zone_only(
    client: TestClient, bearer: Bearer, views: list[bytes]
) -> None:
    desk = bearer(Role.DESK)
    *photos, frame = views
    given = say_yes(client, desk)
    enroll(client, desk, given["take_home"], photos)
    files = {"frame": frame, "receipt": given["take_home"].encode()}

    lobby = client.post("/v1/zones/lobby/verify", headers=bearer(Role.DOOR), files=files)
    lab = client.post("/v1/zones/lab/verify", headers=bearer(Role.DOOR, "lab"), files=files)

    assert lobby.json()["decision"] == "match"
    assert (lab.status_code, lab.json()["type"]) == (403, "urn:volens:problem:foreign-receipt")
    assert enroll(client, desk, given["take_home"], photos, "lab").status_code == 403


def test_a_withdrawn_and_an_unknown_receipt_get_the_same_response(
    client: TestClient, app_state: AppState, bearer: Bearer, views: list[bytes]
) -> None:
    door = bearer(Role.DOOR)
    withdrawn = say_yes(client, bearer(Role.DESK))["take_home"]
    client.post("/v1/withdrawals", json={"receipt": withdrawn})

    answers = [
        client.post("/v1/zones/lobby/verify", headers=door, files={"frame": views[3], "receipt": receipt.encode()})
        for receipt in (withdrawn, never_recorded(app_state.site))
    ]

    assert {answer.status_code for answer in answers} == {404}
    first, second = ({**answer.json(), "instance": ""} for answer in answers)
    assert first == second


def never_recorded(site: Site) -> str:
    """Return a receipt that a person signed for this site, but that was never recorded."""
    with site.installation.store.read() as connection:
        zone = zone_of(connection, Purpose("lobby"))
    return sign_receipt(
        zone,
        site.notice("lobby"),
        site.installation.store.site.controller,
        receipt_id=ReceiptId("0" * 32),
        jurisdiction="FR",
        key=SubjectKey.from_seed(bytes(32)),
        now=site.installation.store.now(),
    ).token


def test_a_consent_to_an_older_notice_is_refused(client: TestClient, app_state: AppState, bearer: Bearer) -> None:
    desk, signer = bearer(Role.DESK), Signer()
    shown = client.get("/v1/zones/lobby/notice", headers=desk).json()
    signed = signer.signed(client, desk)
    publish_sample_notice(app_state.site, "lobby", more="We changed our mind.")

    offered = signer.offered(client, desk, notice_sha256=shown["sha256"])
    given = client.post("/v1/zones/lobby/consents", headers=desk, json={"name": "Ada", "signed": signed})

    for answer in (offered, given):
        assert answer.status_code == 403
        assert "another notice" in answer.json()["detail"]
    assert app_state.site.status().zones[0].live_consents == 0


def test_an_operator_declares_a_zone_and_an_auditor_verifies_the_log(
    client: TestClient, app_state: AppState, bearer: Bearer
) -> None:
    operator, auditor = bearer(Role.OPERATOR), bearer(Role.AUDITOR)
    zone = {"zone": "roof", "custody": "operator", "justification": "a", "alternative": "b", "retention_days": 30}

    assert client.post("/v1/zones", headers=operator, json=zone).status_code == 201
    hello = client.post("/v1/zones/roof/notices", headers=operator, json={"language": "en", "text": "hello"})
    assert (hello.status_code, hello.json()["type"]) == (403, "urn:volens:problem:refused")
    assert "GDPR 13(1)(a)" in hello.json()["detail"]
    declare_sample_facts(app_state.site, "roof")
    text, _gaps = app_state.site.notices.draft("roof", "en")
    notice = client.post("/v1/zones/roof/notices", headers=operator, json={"language": "en", "text": text})
    assert notice.json()["version"] == 1
    assert [one["zone"] for one in client.get("/v1/zones", headers=auditor).json()] == ["lab", "lobby", "roof"]
    log = client.get("/v1/log", headers=auditor).json()
    assert log["size"] > 5
    assert log["checkpoints"] > 0


def test_a_site_is_not_ready_while_data_outlives_its_clock(client: TestClient, house: House) -> None:
    house.admit()
    assert client.get("/healthz").json()["status"] == "ok"
    assert client.get("/readyz").json() == {"status": "ok", "missing": [], "notes": []}

    house.clock.move(days=100)

    late = client.get("/readyz")
    assert late.status_code == 503
    assert late.json()["missing"] == ["data has outlived its clock; run 'volens sweep'"]


def test_the_log_and_its_proofs_verify_with_the_public_key_alone(
    client: TestClient, app_state: AppState, bearer: Bearer
) -> None:
    auditor = bearer(Role.AUDITOR)
    key = app_state.site.verifier_key

    def ask(path: str) -> dict[str, Any]:
        answer = client.get(f"/v1/log/{path}", headers=auditor)
        assert answer.status_code == 200, answer.text
        return answer.json()

    old = open_checkpoint(client.get("/v1/log/now/checkpoint", headers=auditor).text, key)
    app_state.site.add_zone("roof", custody="operator", justification="a", alternative="b", retention_days=30)
    new = open_checkpoint(client.get("/v1/log/now/checkpoint", headers=auditor).text, key)
    first = ask("entries?count=2")
    page, leaves = first, list(first["entries"])
    while page["next"] is not None:
        page = ask(f"entries?count=2&cursor={page['next']}")
        leaves += page["entries"]

    assert old.size < new.size == len(leaves)
    proof = [bytes.fromhex(one) for one in ask(f"now/consistency?old_size={old.size}&size={new.size}")["hashes"]]
    verify_consistency(old.size, new.size, proof, old.root, new.root)
    for index, leaf in enumerate(leaves):
        hashes = [bytes.fromhex(one) for one in ask(f"now/inclusion?index={index}&size={new.size}")["hashes"]]
        verify_inclusion(leaf_hash(base64.b64decode(leaf)), index, new.size, hashes, new.root)
    beyond = client.get(f"/v1/log/now/inclusion?index=0&size={new.size + 1}", headers=auditor)
    assert (beyond.status_code, f"expected at most {new.size}" in beyond.json()["detail"]) == (422, True)
