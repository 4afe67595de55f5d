"""Large frames: nothing is decoded before it is admitted, one door does not wait for another one's, memory returns."""

import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from io import BytesIO
from pathlib import Path

import pytest
from house import House
from patience import PATIENCE_S
from PIL import Image, ImageFile
from starlette.testclient import TestClient

from benchmarks.load.hostile import Comparison, compare, is_back
from benchmarks.load.run import Plan
from tests.service.test_connections import listening
from tests.service.test_enrollment_form import form, post_form, wait_until
from volens.face import EncodedImage, ModelCache, RgbImage
from volens.service.http import AppState
from volens.store.programs import Role

Bearer = Callable[..., dict[str, str]]


def scaled(photo: bytes, side: int, kind: str) -> bytes:
    out = BytesIO()
    with Image.open(BytesIO(photo)) as image:
        image.resize((side, side)).save(out, kind, quality=70)
    return out.getvalue()


@pytest.fixture
def nothing_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(_: ImageFile.ImageFile) -> None:
        raise AssertionError("a pixel was decoded")

    monkeypatch.setattr(ImageFile.ImageFile, "load", never)


@pytest.mark.usefixtures("nothing_is_decoded")
def test_a_claim_without_a_consent_in_force_is_refused_and_no_frame_is_decoded(
    client: TestClient, house: House, bearer: Bearer, views: list[bytes]
) -> None:
    person = house.admit()
    house.withdraw(person)
    for receipt in (person.take_home.to_json(), house.invite("lab").take_home.to_json(), b"{}"):
        files = {"frame": ("f", views[3]), "receipt": ("r", receipt)}
        answer = client.post("/v1/zones/lobby/verify", headers=bearer(Role.DOOR), files=files)
        assert answer.status_code in {403, 404, 422}
        assert answer.json()["type"] != "urn:volens:problem:image"


@pytest.mark.usefixtures("nothing_is_decoded")
def test_a_frame_with_a_factor_that_the_zone_does_not_take_is_not_decoded(
    client: TestClient, bearer: Bearer, views: list[bytes]
) -> None:
    answer = client.post(
        "/v1/zones/lobby/pass", headers=bearer(Role.DOOR), files={"frame": ("f", views[3])}, data={"pin": "480213"}
    )
    assert answer.status_code == 422
    assert answer.json()["type"] != "urn:volens:problem:image"


@pytest.mark.usefixtures("nothing_is_decoded")
@pytest.mark.parametrize("operation", ["identify", "pass", "verify"])
def test_a_frame_beyond_the_budget_of_a_door_is_refused_by_its_header(
    client: TestClient, house: House, bearer: Bearer, operation: str
) -> None:
    out = BytesIO()
    Image.new("L", (4100, 4100)).save(out, "PNG")
    door, path = bearer(Role.DOOR), f"/v1/zones/lobby/{operation}"
    if operation == "identify":
        answer = client.post(path, headers=door, content=out.getvalue())
    else:
        files = {"frame": ("f", out.getvalue()), "receipt": ("r", house.admit().take_home.to_json())}
        answer = client.post(path, headers=door, files=files, data={"pin": "480213"})
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:volens:problem:image")
    assert "a frame of a door has at most 16 million" in answer.json()["detail"]


def test_a_jpeg_of_forty_million_pixels_is_decided_with_boxes_in_its_own_pixels(
    client: TestClient, bearer: Bearer, views: list[bytes]
) -> None:
    door = bearer(Role.DOOR)
    small = client.post("/v1/zones/lobby/identify", headers=door, content=scaled(views[3], 1575, "JPEG"))
    large = client.post("/v1/zones/lobby/identify", headers=door, content=scaled(views[3], 6300, "JPEG"))
    assert (small.status_code, large.status_code) == (200, 200)
    ((here,), (there,)) = (one.json()["faces"] for one in (small, large))
    assert there["box"] == pytest.approx([4 * side for side in here["box"]], abs=100)


def test_a_small_frame_is_decided_while_large_ones_are_decoded(
    app_state: AppState, bearer: Bearer, views: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    large, door = scaled(views[3], 3200, "PNG"), bearer(Role.DOOR)
    entered, released = threading.Event(), threading.Event()
    decode = EncodedImage.decode

    def held_up(image: EncodedImage) -> RgbImage:
        if image.data == large:
            entered.set()
            assert released.wait(PATIENCE_S)
        return decode(image)

    monkeypatch.setattr(EncodedImage, "decode", held_up)
    with listening(app_state, 30) as port, ThreadPoolExecutor(3) as crowd:
        try:
            held = [crowd.submit(identify, port, door, large) for _ in range(3)]
            assert entered.wait(PATIENCE_S)
            # The only thread for the models is free, also for the caller that sent the large frames.
            assert identify(port, door, views[3]) == 200
            assert identify(port, bearer(Role.DOOR), views[3]) == 200
            assert not any(one.done() for one in held)
        finally:
            released.set()
        assert [one.result(PATIENCE_S) for one in held] == [200] * 3


def test_a_door_never_waits_for_the_process_that_decodes_large_images(
    app_state: AppState, house: House, bearer: Bearer, views: list[bytes]
) -> None:
    large, door, desk = scaled(views[3], 3200, "JPEG"), bearer(Role.DOOR), bearer(Role.DESK)
    receipt = house.invite().take_home.to_json()
    photos = form(receipt, [scaled(view, 2100, "JPEG") for view in views[:3]])
    with listening(app_state, 30) as port, ThreadPoolExecutor(2) as crowd:
        assert identify(port, door, large) == 200
        decoding = app_state.image_decoder.pid
        assert decoding is not None
        os.kill(decoding, signal.SIGSTOP)
        try:
            held = [crowd.submit(identify, port, door, large), crowd.submit(post_form, port, desk, photos)]
            wait_until(lambda: app_state.large_frame_pool.in_use + app_state.enrollment_pool.in_use == 2)
            assert identify(port, door, views[3]) == 200
            assert identify(port, bearer(Role.DOOR), views[3]) == 200
            assert not any(one.done() for one in held)
        finally:
            os.kill(decoding, signal.SIGKILL)
        # The image that was being decoded is refused; the other one gets a new process.
        answers = [one.result(PATIENCE_S) for one in held]
        statuses = [one if isinstance(one, int) else one.status_code for one in answers]
        assert statuses in ([422, 201], [200, 422])
        assert identify(port, door, large) == 200
    assert app_state.image_decoder.pid != decoding


def identify(port: int, headers: dict[str, str], body: bytes) -> int:
    connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    try:
        connection.request("POST", "/v1/zones/lobby/identify", body, headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()


def test_after_a_burst_of_large_photos_the_memory_is_back(tmp_path: Path) -> None:
    ModelCache.default().pull()

    found = compare(tmp_path / "home", Plan(seconds=4, doors=2, frames_per_s=1), windows=1, settled_s=PATIENCE_S)

    assert found.statuses["hostile frame", 200] > 0
    assert found.statuses["hostile form", 422] > 0  # decoded, and found to be enrolled already
    assert found.peak_bytes > found.start_bytes
    assert is_back(found), memory_of(found)


def memory_of(found: Comparison) -> tuple[int, ...]:
    return found.start_bytes >> 20, found.peak_bytes >> 20, found.end_bytes >> 20
