"""Pages that anyone may read have the rate limit of the public log's readers, and tell of no person."""

import time
from collections.abc import Iterator

import pytest
from house import House
from starlette.testclient import TestClient

from volens.service.http import AppState, RateLimiter, application
from volens.service.web.web_routes import add_pages

ADDRESSES = (
    *("/verify", "/verify/verifier.html", "/public", "/policy", "/policy.json", "/notices/lobby"),
    *("/notices", "/controller"),
)


@pytest.fixture
def pages(app_state: AppState) -> Iterator[TestClient]:
    with TestClient(application(app_state, add_pages=add_pages), raise_server_exceptions=False) as client:
        yield client


def test_readers_of_pages_are_limited_and_keep_no_one_from_withdrawing(app_state: AppState, pages: TestClient) -> None:
    app_state.log_reader_limiter = RateLimiter(0.001, 3, time.monotonic)
    assert [pages.get(address).status_code for address in ADDRESSES] == [200] * 3 + [429] * 5
    assert pages.post("/v1/withdrawals", json={"code": "guess"}).status_code == 422


def test_the_pages_tell_of_no_person(pages: TestClient, house: House) -> None:
    before = [pages.get(address).text for address in ADDRESSES if address != "/policy.json"]
    house.admit()
    assert [pages.get(address).text for address in ADDRESSES if address != "/policy.json"] == before


def test_the_downloaded_verifier_never_runs_as_a_page_of_the_site(pages: TestClient) -> None:
    answer = pages.get("/verify/verifier.html")
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert answer.headers["Content-Security-Policy"] == "sandbox"


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_a_script_is_sent_packed_to_those_who_can_unpack_it(pages: TestClient, encoding: str) -> None:
    page = pages.get("/verify").text
    address = page.partition('<script type="module" src="')[2].partition('"')[0]
    answer = pages.get(address, headers={"Accept-Encoding": encoding})
    assert answer.headers.get("Content-Encoding", "identity") == encoding
    assert "new VerifyPage().start();" in answer.text
    assert answer.headers["Vary"] == "Accept-Encoding"
