"""Sessions of browsers: sealed, of one kind, with an end, in a cookie that no script and no other host can set."""

import base64
from collections.abc import Iterator
from datetime import timedelta

import pytest
from fastapi import FastAPI, Request, Response
from house import House
from starlette.testclient import TestClient

from volens.service.http import AppState
from volens.service.http.web_session import end_session, open_session, start_session

HOUR = timedelta(hours=1)


def test_a_session_opens_as_it_was_sealed_until_it_ends(house: House) -> None:
    seals = house.site.programs.sessions
    text, expires_at = seals.seal("person", {"receipt": "abc"}, HOUR)
    assert seals.open("person", text) == {"receipt": "abc"}
    assert expires_at == house.clock.time + HOUR
    house.clock.move(minutes=59)
    assert seals.open("person", text) is not None
    house.clock.move(minutes=1)
    assert seals.open("person", text) is None


def test_a_session_is_of_one_kind_and_of_one_site(house: House) -> None:
    text, _ = house.site.programs.sessions.seal("person", {"receipt": "abc"}, HOUR)
    assert house.site.programs.sessions.open("desk", text) is None
    assert "abc" not in base64.urlsafe_b64decode(text).decode("latin-1")


@pytest.mark.parametrize("wrong", ["", "a", "AAAA", "é", "A" * 5000, "=" * 8, "QUJD" * 20])
def test_what_is_no_session_of_ours_is_none(house: House, wrong: str) -> None:
    assert house.site.programs.sessions.open("person", wrong) is None


def test_a_changed_session_is_none(house: House) -> None:
    text, _ = house.site.programs.sessions.seal("person", {"receipt": "abc"}, HOUR)
    box = bytearray(base64.urlsafe_b64decode(text))
    for position in range(len(box)):
        damaged = bytearray(box)
        damaged[position] ^= 1
        assert house.site.programs.sessions.open("person", base64.urlsafe_b64encode(damaged).decode()) is None


def test_a_session_that_fits_into_no_cookie_is_a_bug(house: House) -> None:
    with pytest.raises(ValueError, match="characters"):
        house.site.programs.sessions.seal("person", {"much": "x" * 4000}, HOUR)


@pytest.fixture
def app(house: House) -> Iterator[FastAPI]:
    app = FastAPI()
    app.state.app_state = AppState(house.site, model_threads=1, waiting=1)

    @app.post("/start")
    def start(request: Request, response: Response) -> None:
        start_session(request, response, "person", {"receipt": "abc"}, HOUR)

    @app.get("/open")
    def opened(request: Request) -> dict[str, str] | None:
        return open_session(request, "person")

    @app.post("/end")
    def end(request: Request, response: Response) -> None:
        end_session(request, response, "person")

    yield app
    app.state.app_state.close()


@pytest.mark.parametrize(
    ("url", "name", "secure"),
    [("https://doors.example", "__Host-volens_person", True), ("http://localhost", "volens_person", False)],
)
def test_a_cookie_is_for_this_host_alone_and_not_for_scripts(app: FastAPI, url: str, name: str, secure: bool) -> None:  # noqa: FBT001  a parameter of the test
    client = TestClient(app, base_url=url)
    parts = [one.strip().lower() for one in client.post("/start").headers["set-cookie"].split(";")]
    assert parts[0].startswith(f"{name.lower()}=")
    assert {"httponly", "samesite=strict", "path=/", "max-age=3600"} <= {*parts}
    assert ("secure" in parts) is secure
    assert not [one for one in parts if one.startswith("domain")]
    assert client.get("/open").json() == {"receipt": "abc"}
    client.post("/end")
    assert client.get("/open").json() is None
