"""Photos of an enrollment in a zone with a liveness model: each is examined, wherever it was taken."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from brightness_model import LICENCE, written
from house import House
from starlette.testclient import TestClient

from tests.service.conftest import jpeg
from tests.service.test_enrollment_form import form
from tests.service.test_own_head_turn import OWN, enrolled, send, sign
from volens.face import Extractor, RgbImage
from volens.face.liveness_pack import load_liveness_pack
from volens.service import samples
from volens.service.http import AppState, application
from volens.service.web.web_routes import add_pages
from volens.store.log import entries_about_no_person
from volens.store.programs import Role


@pytest.fixture(scope="module")
def dark() -> list[bytes]:
    return [jpeg(photo) for photo in samples.views(samples.admiral(), 3)]


@pytest.fixture(scope="module")
def live() -> list[bytes]:
    """The same photos, so bright that the model takes them for live."""
    photos = samples.views(samples.admiral(), 3)
    return [jpeg(RgbImage((photo.pixels * 0.5 + 127).astype(np.uint8))) for photo in photos]


@pytest.fixture
def client(app_state: AppState) -> Iterator[TestClient]:
    app_state.site.zones.set_liveness("lobby", "pack")
    app = application(app_state, add_pages=add_pages)
    with TestClient(app, base_url="http://localhost", raise_server_exceptions=False, headers=OWN) as client:
        yield client


@pytest.fixture
def with_model(extractor: Extractor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Extractor:
    monkeypatch.setattr(extractor, "liveness", load_liveness_pack(written(tmp_path), accept_licence=LICENCE))
    return extractor


def test_each_way_to_enroll_refuses_a_photo_that_the_model_refuses(
    house: House, app_state: AppState, client: TestClient, with_model: Extractor, dark: list[bytes], live: list[bytes]
) -> None:
    _, token = app_state.site.programs.credentials.issue(label="desk", role=Role.DESK)
    desk = {"Authorization": f"Bearer {token.reveal()}"}
    person = house.invite()
    receipt, mixed = person.take_home.to_json(), [live[0], dark[1], live[2]]
    computed = with_model.embeddings_computed

    def at_the_desk(photos: list[bytes]) -> tuple[int, dict[str, object]]:
        answer = client.post("/v1/zones/lobby/enrollments", files=form(receipt, photos), headers=desk)
        return answer.status_code, answer.json()

    code, problem = at_the_desk(mixed)
    assert (code, problem["reason"], problem["number"]) == (422, "photo-not-live", 2)
    assert str(problem["detail"]).startswith("photo 2: the liveness model does not take this for a live face; expected")
    pages = sign(house, client)
    alone = send(client, pages, mixed)
    assert (alone.status_code, alone.json()["reason"]) == (422, "photo-not-live")
    assert (with_model.embeddings_computed, enrolled(house)) == (computed, 0)

    assert at_the_desk(live)[0] == 201
    client.post("/me/session", json={"code": person.code})
    own = send(client, f"/me/consents/{person.receipt_id}", dark).json()
    assert (own["reason"], "photo 1" in own["detail"]) == ("photo-not-live", False)
    assert with_model.embeddings_computed == computed + 3
    with house.store.read() as connection:
        logged = entries_about_no_person(connection, "enrollment.refused")
    assert [dict(one.details) for one in logged] == [{"reason": "NotLiveError"}] * 3


def test_a_service_without_the_model_enrolls_no_one_in_such_a_zone(
    house: House, client: TestClient, extractor: Extractor, live: list[bytes]
) -> None:
    computed, pages = extractor.embeddings_computed, sign(house, client)
    refused = send(client, pages, live)
    assert (refused.status_code, "pass --liveness-pack" in refused.json()["detail"]) == (503, True)
    assert (extractor.embeddings_computed, enrolled(house)) == (computed, 0)
    house.site.zones.set_liveness("lobby", "none")
    assert send(client, pages, live).json() == {"badge": None}
