"""The head turn before the photos that a person takes alone: asked over HTTP, used once, examined with the photos."""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from house import House
from httpx2 import Response
from presentations import turning_head
from starlette.testclient import TestClient

from tests.service.conftest import jpeg
from volens import SubjectKey
from volens.consent.jws import b64url
from volens.face import Extractor
from volens.service import samples
from volens.service.http import AppState, application
from volens.service.web.web_routes import add_pages

OWN = {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin", "Accept": "application/json"}
SHOWN = {"look_ahead": "ahead", "turn_left": "left", "turn_right": "right"}


@pytest.fixture(scope="module")
def heads(extractor: Extractor) -> dict[str, bytes]:
    return {name: jpeg(image) for name, image in turning_head(extractor, samples.admiral()).items()}


@pytest.fixture(scope="module")
def photos() -> list[bytes]:
    return [jpeg(photo) for photo in samples.views(samples.admiral(), 3)]


@pytest.fixture
def client(app_state: AppState) -> Iterator[TestClient]:
    app_state.site.zones.set_liveness("lobby", "challenge")
    app = application(app_state, add_pages=add_pages)
    with TestClient(app, base_url="http://localhost", raise_server_exceptions=False, headers=OWN) as client:
        yield client


def sign(house: House, client: TestClient) -> str:
    """Follow an invitation up to the photos; return the address of its pages."""
    invited = house.site.invitations.invite(
        "lobby", name="Ada", jurisdiction="FR", language="en", external_id=house.bits.randbytes(4).hex()
    )
    client.post("/invitation/open", json={"token": invited.token.reveal()})
    key = SubjectKey.from_seed(house.bits.randbytes(32))
    offer = client.post("/invitation/offer", json={"public_key": key.public.to_jwk(), "of_age": True}).json()
    signature = b64url(key._key.sign(offer["signing_input"].encode()))
    new = {"signed": f"{offer['signing_input']}.{signature}", "name": "Ada"}
    assert client.post("/invitation/accept", json=new).json() == {"next": "/invitation/photos"}
    return "/invitation"


def turn(client: TestClient, pages: str, frame: bytes, challenge: str = "") -> dict[str, Any]:
    answer = client.post(f"{pages}/turns", files={"frame": frame}, data={"challenge": challenge})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def turned_as_asked(client: TestClient, pages: str, heads: dict[str, bytes]) -> tuple[str, list[bytes]]:
    """Show a head as the page asks; return the sealed challenge and the frames that were taken."""
    asked, taken = turn(client, pages, heads["left"]), list[bytes]()
    assert (asked["answer"], asked["taken"]) == ("look_ahead", False)
    while asked["answer"] != "done":
        taken.append(heads[SHOWN[asked["answer"]]])
        asked = turn(client, pages, taken[-1], asked["challenge"])
        assert asked["taken"]
    return asked["challenge"], taken


def send(
    client: TestClient, pages: str, photos: Sequence[bytes], challenge: str = "", turned: Sequence[bytes] = ()
) -> Response:
    files = [*(("photos", one) for one in photos), *(("turned", one) for one in turned)]
    return client.post(f"{pages}/photos", files=files, data={"challenge": challenge})  # type: ignore[arg-type]


def enrolled(house: House) -> int:
    return sum(sum(zone.references.values()) for zone in house.site.status().zones)


def test_a_person_is_enrolled_after_the_head_turn_that_was_asked(
    house: House, client: TestClient, extractor: Extractor, heads: dict[str, bytes], photos: list[bytes]
) -> None:
    pages = sign(house, client)
    computed = extractor.embeddings_computed
    challenge, taken = turned_as_asked(client, pages, heads)
    assert (len(taken), extractor.embeddings_computed) == (5, computed)
    assert send(client, pages, photos, challenge, taken).json() == {"badge": None}
    # Five looks, three photos, and the last look once more, to compare it with the reference.
    assert extractor.embeddings_computed == computed + 5 + 3 + 1
    assert enrolled(house) == 1


def test_photos_without_the_head_turn_of_this_person_enroll_no_one(
    house: House, client: TestClient, extractor: Extractor, heads: dict[str, bytes], photos: list[bytes]
) -> None:
    other = sign(house, client)
    others = turned_as_asked(client, other, heads)
    pages = sign(house, client)
    begun = turn(client, pages, heads["ahead"])
    # A photo that does not turn gets no further.
    assert turn(client, pages, heads["ahead"], begun["challenge"])["taken"] is False
    challenge, taken = turned_as_asked(client, pages, heads)
    computed = extractor.embeddings_computed
    refused = [
        send(client, pages, photos),
        send(client, pages, photos, "AAAA", taken),
        send(client, pages, photos, begun["challenge"], taken[:1]),
        send(client, pages, photos, *others),
        send(client, pages, photos, challenge, [*taken[:-1], photos[1]]),
        send(client, pages, photos, challenge),
    ]
    house.clock.move(minutes=5)
    refused.append(send(client, pages, photos, challenge, taken))
    assert {(one.status_code, one.json()["reason"]) for one in refused} == {(403, "head-not-turned")}
    assert (enrolled(house), extractor.embeddings_computed) == (0, computed)


def test_a_head_turn_is_used_once_and_is_of_the_person_in_the_photos(
    house: House, client: TestClient, heads: dict[str, bytes], photos: list[bytes], views: list[bytes]
) -> None:
    pages = sign(house, client)
    challenge, taken = turned_as_asked(client, pages, heads)
    refused = send(client, pages, views[:3], challenge, taken)
    assert (refused.status_code, refused.json()["reason"]) == (422, "head-of-another")
    refused = send(client, pages, photos, challenge, taken)
    assert (refused.status_code, refused.json()["reason"]) == (403, "head-not-turned")
    assert enrolled(house) == 0


def test_new_photos_on_my_data_come_after_a_head_turn_too(
    house: House, client: TestClient, heads: dict[str, bytes], photos: list[bytes], views: list[bytes]
) -> None:
    person = house.invite("lobby")
    house.site.enroll(person.take_home.to_json(), samples.views(samples.admiral(), 4)[1:])
    client.post("/me/session", json={"code": person.code})
    pages = f"/me/consents/{person.receipt_id}"
    asking = client.get(f"{pages}/photos", headers={"Accept": "text/html"}).text
    assert (f'data-turns="{pages}/turns"' in asking, 'id="upload"' in asking) == (True, False)
    assert send(client, pages, photos).json()["reason"] == "head-not-turned"
    other = send(client, pages, views[:3], *turned_as_asked(client, pages, heads)).json()
    assert (other["reason"], "score" in other["detail"]) == ("head-of-another", False)
    done = send(client, pages, photos, *turned_as_asked(client, pages, heads))
    assert done.json() == {"next": f"{pages}/photos?done=1"}


def test_a_zone_that_asks_for_no_head_turn_offers_files_and_answers_as_before(
    house: House, client: TestClient, heads: dict[str, bytes]
) -> None:
    html = {"Accept": "text/html"}
    pages = sign(house, client)
    asking = client.get("/invitation/photos", headers=html).text
    assert "/invitation/turns" in asking
    assert 'id="upload"' not in asking
    house.site.zones.set_liveness("lobby", "none")
    plain = client.get("/invitation/photos", headers=html).text
    assert 'id="upload"' in plain
    assert "turns" not in plain
    assert "arrow" not in plain
    answer = client.post(f"{pages}/turns", files={"frame": heads["ahead"]})
    assert (answer.status_code, answer.json()["type"]) == (403, "urn:volens:problem:refused")
