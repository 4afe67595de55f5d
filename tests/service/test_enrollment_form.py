"""The enrollment form: photos are decoded after the consent was checked, and never in front of a door."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from house import House
from httpx2 import Response, post
from patience import PATIENCE_S
from PIL import Image
from signing import sign_receipt
from starlette.testclient import TestClient

from tests.service.test_connections import listening
from volens import Enrolled, Site, SubjectKey, TakeHome
from volens.consent import Purpose, ReceiptId
from volens.face import EncodedImage, RgbImage
from volens.service.http import AppState
from volens.store.programs import Role
from volens.store.promises import zone_of

Bearer = Callable[..., dict[str, str]]


def form(receipt: bytes, photos: list[bytes]) -> list[tuple[str, tuple[str, bytes]]]:
    return [("receipt", ("r.json", receipt)), *(("photos", ("p", photo)) for photo in photos)]


def never_given(house: House) -> bytes:
    """Return a receipt signed by a key made on the spot, for a consent that is not on record."""
    with house.store.read() as connection:
        zone = zone_of(connection, Purpose("lobby"))
    receipt = sign_receipt(
        zone,
        house.site.notice("lobby"),
        house.store.site.controller,
        receipt_id=ReceiptId("0" * 32),
        jurisdiction="FR",
        key=SubjectKey.from_seed(bytes(range(32))),
        now=house.clock.time,
    )
    return receipt.token.encode()


def withdrawn(house: House) -> bytes:
    person = house.invite()
    house.withdraw(person)
    return person.take_home.to_json()


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note each photo that is decoded, or whose header is read."""
    names: list[str] = []
    decode, count = EncodedImage.decode, EncodedImage.pixel_count.fget
    assert count is not None

    def noted(image: EncodedImage) -> RgbImage:
        names.append(image.name)
        return decode(image)

    def counted(image: EncodedImage) -> int:
        names.append(f"header of {image.name}")
        return int(count(image))

    monkeypatch.setattr(EncodedImage, "decode", noted)
    monkeypatch.setattr(EncodedImage, "pixel_count", property(counted))
    return names


def big() -> bytes:
    out = BytesIO()
    Image.fromarray(np.zeros((4000, 4000, 3), dtype=np.uint8)).save(out, "PNG")
    return out.getvalue()


@pytest.mark.parametrize("signed", [never_given, withdrawn])
def test_a_form_without_a_consent_in_force_is_refused_and_no_photo_is_decoded(
    client: TestClient, house: House, bearer: Bearer, decoded: list[str], signed: Callable[[House], bytes]
) -> None:
    files = form(signed(house), [big()] * 32)
    answer = client.post("/v1/zones/lobby/enrollments", headers=bearer(Role.DESK), files=files)
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:volens:problem:no-live-consent")
    assert decoded == []


def test_a_form_for_another_zone_is_refused_and_no_photo_is_decoded(
    client: TestClient, house: House, bearer: Bearer, decoded: list[str]
) -> None:
    receipt = house.invite("lab").take_home.to_json()
    answer = client.post("/v1/zones/lobby/enrollments", headers=bearer(Role.DESK), files=form(receipt, [big()] * 3))
    assert answer.status_code == 403
    assert decoded == []


def test_a_form_with_too_many_pixels_is_refused_by_the_headers(
    client: TestClient, house: House, bearer: Bearer, decoded: list[str]
) -> None:
    receipt = house.invite().take_home.to_json()
    answer = client.post("/v1/zones/lobby/enrollments", headers=bearer(Role.DESK), files=form(receipt, [big()] * 32))
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:volens:problem:image")
    assert "200 million pixels together" in answer.json()["detail"]
    assert decoded == [f"header of photo {number}" for number in range(1, 14)]


def test_a_door_decides_while_an_enrollment_is_still_decoding_its_photos(
    app_state: AppState, house: House, bearer: Bearer, views: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, released = threading.Event(), threading.Event()
    decode = EncodedImage.decode

    def held_up(image: EncodedImage) -> RgbImage:
        if image.name.startswith("photo"):  # not the frame of the door
            entered.set()
            assert released.wait(PATIENCE_S)
        return decode(image)

    monkeypatch.setattr(EncodedImage, "decode", held_up)
    receipt, desk = house.invite().take_home.to_json(), bearer(Role.DESK)
    door = bearer(Role.DOOR) | {"Content-Type": "image/jpeg"}
    with listening(app_state, 30) as port, ThreadPoolExecutor(1) as beside:
        try:
            enrolling = beside.submit(post_form, port, desk, form(receipt, views[:3]))
            assert entered.wait(PATIENCE_S)
            connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
            connection.request("POST", "/v1/zones/lobby/identify", views[3], door)
            answer = connection.getresponse()
            assert (answer.status, b'"faces":[{' in answer.read()) == (200, True)
            connection.close()
            assert not enrolling.done()
        finally:
            released.set()
        assert enrolling.result(PATIENCE_S).status_code == 201


def test_a_busy_desk_of_one_zone_delays_no_desk_of_another_zone(
    app_state: AppState, house: House, bearer: Bearer, views: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, released, order = threading.Event(), threading.Event(), list[str]()
    enroll = Site.enroll

    def held_up(site: Site, receipt: bytes, photos: list[EncodedImage], **options: Any) -> Enrolled:  # noqa: ANN401
        order.append(TakeHome.parse(receipt).receipt.claims.purpose)
        entered.set()
        assert released.wait(PATIENCE_S)
        return enroll(site, receipt, photos, **options)

    monkeypatch.setattr(Site, "enroll", held_up)
    one, other = bearer(Role.DESK), bearer(Role.DESK)
    receipts = [house.invite().take_home.to_json() for _ in range(4)]
    elsewhere = form(house.invite("lab").take_home.to_json(), views[:3])
    with listening(app_state, 30) as port, ThreadPoolExecutor(5) as beside:
        try:
            for number, receipt in enumerate(receipts, 1):
                beside.submit(post_form, port, one if number % 2 else other, form(receipt, views[:3]))
                assert entered.wait(PATIENCE_S)
                wait_until(lambda number=number: app_state.enrollment_pool.in_use == number)
            last = beside.submit(post_form, port, bearer(Role.DESK), elsewhere, "lab")
            wait_until(lambda: app_state.enrollment_pool.in_use == 5)
        finally:
            released.set()
        assert last.result(PATIENCE_S).status_code == 201
    # One of the lobby was at work already, and three waited.
    assert order == ["lobby", "lab", "lobby", "lobby", "lobby"]


def wait_until(true: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < until
        time.sleep(0.01)


def post_form(
    port: int, headers: dict[str, str], files: list[tuple[str, tuple[str, bytes]]], zone: str = "lobby"
) -> Response:
    url = f"http://127.0.0.1:{port}/v1/zones/{zone}/enrollments"
    return post(url, headers=headers, files=files, timeout=PATIENCE_S)
