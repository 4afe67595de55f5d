"""Requests of an invitation's pages: what is admitted, what is limited, and what a log or an answer never holds."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from house import House
from starlette.testclient import TestClient

from volens import SubjectKey
from volens.consent.jws import b64url
from volens.service.http import AppState, RateLimiter, application
from volens.service.http.thread_pool import BusyError
from volens.service.web.web_routes import add_pages

OWN = {"Origin": "http://testserver", "Sec-Fetch-Site": "same-origin", "Accept": "application/json"}


@pytest.fixture
def app_state(house: House) -> Iterator[AppState]:
    app_state = AppState(house.site, model_threads=1, waiting=4)
    yield app_state
    app_state.close()


@pytest.fixture
def client(app_state: AppState) -> TestClient:
    # Without its lifespan, which loads the models: nothing here looks at a face.
    return TestClient(application(app_state, add_pages=add_pages), raise_server_exceptions=False, headers=OWN)


def invited(house: House, client: TestClient) -> str:
    """Invite a person and open their link; return the token."""
    made = house.site.invitations.invite(
        "lobby", name="Ada Canary", jurisdiction="FR", language="en", external_id=house.bits.randbytes(4).hex()
    )
    token = made.token.reveal()
    assert client.post("/invitation/open", json={"token": token}).json() == {"next": "/invitation/about"}
    return token


@pytest.mark.parametrize(("language", "words"), [("en", "Until"), ("fr", "au"), ("de", "Bis")])
def test_a_visitor_reads_until_when_and_signs_until_then(
    house: House, client: TestClient, language: str, words: str
) -> None:
    house.site.defaults.set(time_zone="Europe/Paris")
    evening = house.clock() + timedelta(hours=5)
    made = house.site.invitations.invite(
        "lobby", name="Ada Canary", jurisdiction="FR", language="en", valid_until=evening
    )
    client.post("/invitation/open", json={"token": made.token.reveal()})
    for path in ("/invitation/about", "/invitation/sign"):
        page = " ".join(client.get(f"{path}?lang={language}", headers={"Accept": "text/html"}).text.split())
        assert words in page
        assert 'datetime="2099-03-01T17:00:00Z"' in page
    key = SubjectKey.from_seed(house.bits.randbytes(32))
    offer = client.post("/invitation/offer", json={"public_key": key.public.to_jwk(), "of_age": True}).json()
    assert offer["expires_at"] == "2099-03-01T17:00:00Z"
    house.clock.move(hours=5)
    assert client.post("/invitation/offer", json={"public_key": key.public.to_jwk(), "of_age": True}).status_code >= 400


def signed(house: House, client: TestClient) -> None:
    """Sign as a browser does, with a key of its own."""
    invited(house, client)
    key = SubjectKey.from_seed(house.bits.randbytes(32))
    offer = client.post("/invitation/offer", json={"public_key": key.public.to_jwk(), "of_age": True}).json()
    signature = b64url(key._key.sign(offer["signing_input"].encode()))
    new = {"signed": f"{offer['signing_input']}.{signature}", "name": "Ada Canary"}
    assert client.post("/invitation/accept", json=new).json() == {"next": "/invitation/photos"}


@pytest.mark.parametrize("path", ["/invitation/look", "/invitation/photos", "/invitation/tried"])
@pytest.mark.parametrize("origin", ["http://testserver", "https://evil.example"])
def test_photos_from_another_page_or_without_a_session_are_refused(client: TestClient, path: str, origin: str) -> None:
    answer = client.post(path, content=b"x" * 1000, headers={"Origin": origin})
    assert answer.status_code == 403
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_a_person_who_signed_is_limited_alone_and_not_by_the_address(
    client: TestClient, app_state: AppState, house: House
) -> None:
    signed(house, client)
    app_state.log_reader_limiter = RateLimiter(0.001, 1, lambda: 0.0)
    app_state.caller_limiter = RateLimiter(0.001, 3, lambda: 0.0)
    assert [client.post("/invitation/tried", json={}).status_code for _ in range(4)] == [200, 200, 200, 429]
    client.cookies.clear()
    assert [client.get("/invitation/receipt").status_code for _ in range(2)] == [403, 429]


def test_pictures_wait_in_the_queue_of_their_zone(
    client: TestClient, app_state: AppState, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    zones = list[str]()

    async def full(_call: Callable[[], object], *, zone: str = "", caller: str = "") -> None:
        assert caller
        zones.append(zone)
        raise BusyError("full")

    monkeypatch.setattr(app_state.enrollment_pool, "run", full)
    signed(house, client)
    assert client.post("/invitation/look", content=b"a picture").status_code == 503
    assert client.post("/invitation/photos", files={"photos": ("a.jpg", b"a picture")}).status_code == 503
    assert zones == ["lobby", "lobby"]


def test_an_invitation_opens_no_page_of_another_step(client: TestClient, house: House) -> None:
    invited(house, client)
    assert client.get("/invitation/about").status_code == 200
    assert client.get("/invitation/receipt").status_code == 403
    signed(house, client)
    assert client.get("/invitation/receipt").status_code == 200
    assert client.get("/invitation/about").status_code == 403


def test_no_cookie_and_no_page_before_the_receipt_holds_the_code(client: TestClient, house: House) -> None:
    token = invited(house, client)
    assert token not in "".join(client.cookies.values())
    assert token not in client.get("/invitation/about").text
    signed(house, client)
    code = client.get("/invitation/receipt/file").json()["withdrawal_code"]
    assert code.replace("-", "") not in "".join(client.cookies.values())
    assert code in client.get("/invitation/receipt").text
    assert code not in client.get("/invitation/photos").text
