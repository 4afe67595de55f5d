"""Policy, notices and controller without a credential, as JSON and as pages, with ETags, for every language."""

import json
import time
from collections.abc import Iterator
from hashlib import sha256

import pytest
from house import House
from starlette.requests import Request
from starlette.testclient import TestClient

from volens.rights import verify_policy
from volens.service.http import AppState, RateLimiter, application
from volens.service.http.accept_header import prefers_json
from volens.service.http.public_operations import PUBLIC_PAPER_OPERATIONS
from volens.service.sample_notice import publish_sample_notice
from volens.service.web.web_routes import add_pages

ADDRESSES = {
    "read_public_policy": "/v1/policy",
    "list_public_notices": "/v1/notices",
    "read_public_notice": "/v1/notices/lobby?language=en",
    "read_controller": "/v1/controller",
}
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"


@pytest.fixture
def pages(app_state: AppState) -> Iterator[TestClient]:
    with TestClient(application(app_state, add_pages=add_pages), raise_server_exceptions=False) as client:
        yield client


def test_each_is_read_without_a_credential_and_again_only_if_it_changed(client: TestClient, house: House) -> None:
    assert set(ADDRESSES) == PUBLIC_PAPER_OPERATIONS
    for address in ADDRESSES.values():
        answer = client.get(address)
        assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "public, no-cache")
        house.clock.move(hours=1)  # the policy is issued at another time, and says the same
        again = client.get(address, headers={"If-None-Match": answer.headers["ETag"]})
        assert (again.status_code, again.content) == (304, b"")
    before = {address: client.get(address).headers["ETag"] for address in ADDRESSES.values()}
    house.site.declarations.declare({"dpo": "Dana Doe"})
    publish_sample_notice(house.site, "lobby", more="New.")
    assert [address for address, tag in before.items() if client.get(address).headers["ETag"] == tag] == []


def test_the_policy_is_signed_and_the_controller_is_what_was_declared(client: TestClient, house: House) -> None:
    house.site.declarations.declare(
        {"jurisdictions": "FR", "incident_contact": "Erin", "workers_representatives": "the council"}
    )
    answer = client.get("/v1/policy")
    assert answer.headers["Content-Type"] == "application/ld+json"
    policy = verify_policy(answer.content, house.site.verifier_key)
    assert policy["dpv:hasDataController"]["volens:incidentContact"] == "Erin"
    found = client.get("/v1/controller").json()
    assert {name: value for name, value in found.items() if value is not None} == {
        "site_id": house.store.site.controller.site_id,
        "name": "Example Ltd",
        "contact": "privacy@example.org",
        "incident_contact": "Erin",
        "jurisdictions": ["FR"],
        "transfers": "none",
        "key_name": house.site.verifier_key.name,
        "key_id": house.site.verifier_key.key_id.hex(),
    }


def test_every_language_of_a_notice_is_listed_and_read(client: TestClient, house: House) -> None:
    texts = {"en": house.site.notice("lobby").text}
    texts |= {one: publish_sample_notice(house.site, "lobby", one).text for one in ("fr", "de")}
    (listed,) = [one for one in client.get("/v1/notices").json() if one["zone"] == "lobby"]
    hashes = {one["language"]: one["sha256"] for one in listed["notices"]}
    assert hashes == {language: sha256(text.encode()).hexdigest() for language, text in texts.items()}
    for language, text in texts.items():
        notice = client.get(f"/v1/notices/lobby?language={language}").json()
        assert (notice["text"], notice["sha256"]) == (text, hashes[language])
    assert client.get("/v1/notices/lobby?language=it").status_code == 422
    assert client.get("/v1/notices/nothing").status_code == 404


def test_readers_are_limited_together_with_those_of_the_log(app_state: AppState, client: TestClient) -> None:
    app_state.log_reader_limiter = RateLimiter(0.001, 2, time.monotonic)
    assert [client.get(address).status_code for address in ADDRESSES.values()] == [200, 200, 429, 429]
    assert client.get("/.well-known/security.txt").status_code == 429
    assert client.post("/v1/withdrawals", json={"code": "guess"}).status_code == 422


@pytest.mark.parametrize(
    ("page", "operation"),
    [
        ("/policy", "/v1/policy"),
        ("/notices", "/v1/notices"),
        ("/notices/lobby", "/v1/notices/lobby?language=en"),
        ("/controller", "/v1/controller"),
    ],
)
def test_a_page_is_json_to_readers_that_prefer_it(pages: TestClient, page: str, operation: str) -> None:
    wanted = pages.get(operation)
    answer = pages.get(page, headers={"Accept": "application/json"})
    assert (answer.json(), answer.headers["ETag"]) == (wanted.json(), wanted.headers["ETag"])
    shown = pages.get(page, headers={"Accept": BROWSER, "Accept-Language": "fr"})
    assert shown.text.startswith("<!")
    assert 'lang="fr"' in shown.text
    for one in (answer, shown):
        assert "Accept" in one.headers["Vary"].split(", ")
    assert pages.get(page, headers={"Accept": "application/json", "If-None-Match": "*"}).status_code == 304


def test_the_public_pages_show_what_was_declared_as_text(pages: TestClient, house: House) -> None:
    house.site.declarations.declare(
        {"dpo": "<b>Dana</b>", "incident_protocol": "We tell everyone.", "transfers": "none"}
    )
    page = pages.get("/controller").text
    assert "&lt;b&gt;Dana&lt;/b&gt;" in page
    assert "We tell everyone." in page
    assert "Address" not in page


@pytest.mark.parametrize(
    ("accept", "is_json"),
    [
        ("", False),
        ("*/*", False),
        (BROWSER, False),
        ("application/json", True),
        ("application/ld+json;q=0.5", True),
        ("Application/JSON, text/html;q=0.9", True),
        ("application/json;q=0.5, text/html", False),
        ("application/*", True),
        ("text/html;q=0, */*", True),
        ("application/json;q=nonsense", False),
        ("," * 200, False),
    ],
)
def test_json_is_sent_only_if_it_weighs_more_than_a_page(accept: str, is_json: bool) -> None:  # noqa: FBT001
    request = Request({"type": "http", "headers": [(b"accept", accept.encode())]})
    assert prefers_json(request) == is_json


def test_the_declared_security_contact_is_stated_unless_a_setting_names_another(
    client: TestClient, house: House
) -> None:
    house.site.declarations.declare({"security_contact": "security@example.org"})
    assert client.get("/.well-known/security.txt").text.startswith("Contact: mailto:security@example.org\n")
    house.site.declarations.declare({"security_contact": "ask Erin"})
    assert client.get("/.well-known/security.txt").text.startswith("Contact: mailto:privacy@example.org\n")


def test_what_is_public_does_not_change_with_a_person(client: TestClient, house: House) -> None:
    before = {address: client.get(address).headers["ETag"] for address in ADDRESSES.values()}
    person = house.admit(jurisdiction="US-IL")
    assert before == {address: client.get(address).headers["ETag"] for address in ADDRESSES.values()}
    house.withdraw(person)
    assert before == {address: client.get(address).headers["ETag"] for address in ADDRESSES.values()}
    assert "Canary" not in json.dumps([client.get(address).json() for address in ADDRESSES.values()])
