"""Staff sign in at the house's issuer: code flow with PKCE, one answer for one browser, and what ends the session."""

from collections.abc import Iterator
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
from house import House
from httpx2 import Response
from issuer import AUDIENCE, HouseIssuer, loopback_issuer, signer
from staff_sign_in import own_headers
from starlette.testclient import TestClient

from volens.consent import InputError
from volens.consent.jws import b64url
from volens.service.http import AppState, application
from volens.service.oidc import Trust
from volens.service.oidc.code_flow import OidcClient, read_client_secret
from volens.service.web.web_routes import add_pages

SITE = "https://doors.example"
CLIENT = "volens-pages"


@pytest.fixture
def issuer() -> Iterator[HouseIssuer]:
    with loopback_issuer() as one:
        yield one


@pytest.fixture
def state(house: House, issuer: HouseIssuer) -> Iterator[AppState]:
    house.site.defaults.set(public_url=SITE)
    trust = Trust(issuer.url, AUDIENCE, allow_private=True)
    state = AppState(house.site, model_threads=1, waiting=4, trust=trust, client=OidcClient(trust, CLIENT, "s&cret"))
    yield state
    state.close()


@pytest.fixture
def client(state: AppState) -> TestClient:
    return TestClient(application(state, add_pages=add_pages), base_url=SITE, follow_redirects=False)


@pytest.fixture
def own(house: House, state: AppState) -> dict[str, str]:
    del state
    party = house.site.defaults.public_url()
    assert party is not None
    return own_headers(party)


def begin(client: TestClient, own: dict[str, str], issuer: HouseIssuer, **body: str) -> dict[str, str]:
    """Begin a sign-in, and return what the browser would send to the issuer."""
    issuer.signs_in("not yet")
    answer = client.post("/staff/oidc/begin", json=body, headers=own)
    assert answer.status_code == 200, answer.text
    parts = urlsplit(answer.json()["next"])
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == f"{issuer.url}/login"
    return dict(parse_qsl(parts.query))


def come_back(
    client: TestClient,
    own: dict[str, str],
    house: House,
    issuer: HouseIssuer,
    asked: dict[str, str],
    **claims: object,
) -> Response:
    """Let the issuer sign a token of these claims, and come back with a code."""
    good = {"aud": CLIENT, "nonce": asked["nonce"], "volens_role": "desk", "name": "Ada Example"}
    issuer.signs_in(signer().token(issuer.claims(house.clock().timestamp(), **(good | claims)), typ="JWT"))
    return client.post("/staff/oidc", json={"code": "c0de", "state": asked["state"]}, headers=own)


def test_a_member_signs_in_at_the_issuer(
    client: TestClient, own: dict[str, str], house: House, issuer: HouseIssuer
) -> None:
    asked = begin(client, own, issuer, next="/desk/people")
    assert asked["redirect_uri"] == f"{SITE}/staff/oidc"
    assert (asked["code_challenge_method"], asked["response_type"]) == ("S256", "code")
    answer = come_back(client, own, house, issuer, asked, volens_zone="lobby")
    assert (answer.status_code, answer.json()) == (200, {"next": "/desk/people"})
    ((form, authorization),) = issuer.forms
    assert b64url(sha256(form["code_verifier"].encode()).digest()) == asked["code_challenge"]
    assert (form["code"], form["client_id"]) == ("c0de", CLIENT)
    assert authorization == "Basic dm9sZW5zLXBhZ2VzOnMlMjZjcmV0"
    assert client.get("/v1/people", headers=own).status_code == 200
    assert client.get("/v1/requests", headers=own).status_code == 403


@pytest.mark.parametrize(
    ("claims", "status"),
    [
        ({"nonce": "another"}, 403),
        ({"nonce": None}, 403),
        ({"aud": AUDIENCE}, 401),
        ({"iss": "https://evil.example"}, 401),
        ({"exp": 1}, 401),
        ({"volens_role": "chief"}, 401),
        ({"volens_role": "door", "volens_zone": "lobby"}, 401),
        ({"volens_role": None}, 401),
    ],
)
def test_a_token_that_does_not_fit_signs_nobody_in(
    client: TestClient,
    own: dict[str, str],
    house: House,
    issuer: HouseIssuer,
    claims: dict[str, object],
    status: int,
) -> None:
    answer = come_back(client, own, house, issuer, begin(client, own, issuer), **claims)
    assert answer.status_code == status
    assert "Ada" not in answer.text
    assert client.get("/v1/people", headers=own).status_code == 401


def test_an_answer_counts_in_the_browser_that_asked_and_once(
    client: TestClient, own: dict[str, str], house: House, issuer: HouseIssuer
) -> None:
    asked = begin(client, own, issuer)
    assert come_back(client, own, house, issuer, asked | {"state": "of another browser"}).status_code == 403
    assert issuer.forms == [], "no code of another browser is exchanged"
    assert come_back(client, own, house, issuer, asked).status_code == 200
    assert come_back(client, own, house, issuer, asked).json()["type"].endswith(":session-ended")


def test_the_session_ends_when_a_token_would(
    client: TestClient, own: dict[str, str], house: House, issuer: HouseIssuer
) -> None:
    come_back(client, own, house, issuer, begin(client, own, issuer))
    house.clock.move(minutes=29)
    assert client.get("/v1/people", headers=own).status_code == 200
    house.clock.move(minutes=2)
    assert client.get("/v1/people", headers=own).status_code == 401, "no page was opened meanwhile"
    assert Trust(issuer.url, AUDIENCE, allow_private=True).max_lifetime == timedelta(hours=2)


def test_an_issuer_that_does_not_answer_is_said(
    client: TestClient, own: dict[str, str], house: House, issuer: HouseIssuer
) -> None:
    asked = begin(client, own, issuer)
    issuer.behaviour = lambda handler: handler.send_error(500)
    answer = come_back(client, own, house, issuer, asked)
    assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (503, "issuer")
    assert client.post("/staff/oidc/begin", json={}, headers=own).status_code == 503


def test_pages_of_other_sites_begin_and_end_no_sign_in(client: TestClient, own: dict[str, str]) -> None:
    foreign = own | {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    assert client.post("/staff/oidc/begin", json={}, headers=foreign).status_code == 403
    assert client.post("/staff/oidc", json={"code": "c", "state": "s"}, headers=foreign).status_code == 403


def test_without_a_client_there_is_no_such_page(house: House) -> None:
    house.site.defaults.set(public_url=SITE)
    state = AppState(house.site, model_threads=1, waiting=4)
    client = TestClient(application(state, add_pages=add_pages), base_url=SITE)
    assert client.get("/staff/oidc").status_code == 404
    assert "account of your house" not in client.get("/staff", headers={"Accept": "text/html"}).text
    state.close()


def test_the_secret_of_the_client_is_read_from_a_private_file(tmp_path: Path) -> None:
    file = tmp_path / "client.secret"
    file.write_text("s&cret\n")
    file.chmod(0o644)
    with pytest.raises(InputError, match="0600"):
        read_client_secret(file)
    file.chmod(0o600)
    assert read_client_secret(file) == "s&cret"
