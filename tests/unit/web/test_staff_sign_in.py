"""Sign-in of staff: who gets in and who does not, what a session may do, when it ends, and where it leads."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from fastapi import APIRouter, FastAPI, Request
from house import House
from signing import PRESENT, make_passkey
from staff_sign_in import add_member, own_headers, sign_in, signed_challenge, signed_in
from starlette.testclient import TestClient

from volens.service.http import AppState, application
from volens.service.web.staff_session import DeskPageRoute, Staff
from volens.service.web.web_routes import add_pages
from volens.store.programs import Role

SITE = "https://doors.example"
HTML = {"Accept": "text/html"}


@pytest.fixture
def state(house: House) -> Iterator[AppState]:
    house.site.defaults.set(public_url=SITE)
    state = AppState(house.site, model_threads=1, waiting=4)
    yield state
    state.close()


@pytest.fixture
def app(state: AppState) -> FastAPI:
    app = application(state, add_pages=add_pages)
    router = APIRouter(route_class=DeskPageRoute)

    @router.get("/desk/test-of-the-route")
    async def page(request: Request, staff: Staff) -> dict[str, str]:
        del request
        return {"label": staff.label}

    app.include_router(router)
    return app


@pytest.fixture
def client(app: FastAPI) -> TestClient:
    return TestClient(app, base_url=SITE, follow_redirects=False)


def test_a_member_signs_in_and_out(house: House, client: TestClient) -> None:
    answer = sign_in(client, add_member(house.site, Role.DESK))
    assert (answer.status_code, answer.json()) == (200, {"next": "/staff/home"})
    cookie = answer.headers["Set-Cookie"]
    for part in ("__Host-volens_staff=", "HttpOnly", "Secure", "SameSite=strict"):
        assert part in cookie
    assert client.get("/staff/home", headers=HTML).headers["Location"] == "/desk"
    assert client.get("/desk/test-of-the-route").json() == {"label": "reception"}
    client.post("/staff/sign-out", headers=own_headers(house.site.defaults.public_url()))
    assert client.get("/desk/test-of-the-route").status_code == 401


@pytest.mark.parametrize(
    "changed",
    [
        {"challenge": "A" * 43},
        {"origin": "https://doors.example.evil.example"},
        {"type": "webauthn.create"},
        {"crossOrigin": True},
    ],
)
def test_a_signature_for_something_else_signs_nobody_in(
    house: House, client: TestClient, changed: dict[str, object]
) -> None:
    member = add_member(house.site, Role.DESK)
    member.passkey.client = changed
    answer = sign_in(client, member)
    assert answer.status_code == 401
    assert answer.json()["type"].endswith(":credential")
    assert client.get("/staff/home").headers["Location"] == "/staff"


def test_an_unverified_or_unknown_or_wrong_key_signs_nobody_in(house: House, client: TestClient) -> None:
    unverified = add_member(house.site, Role.DESK, label="a")
    unverified.passkey.flags = PRESENT
    unknown = add_member(house.site, Role.DESK, label="b")
    unknown.passkey_id = "bm9ib2R5"
    other_key = add_member(house.site, Role.DESK, label="c")
    party = other_key.passkey.party
    other_key.passkey = make_passkey()
    other_key.passkey.party = party
    ended = add_member(house.site, Role.DESK, label="d")
    house.site.programs.credentials.end(ended.credential.credential_id)
    answers = [sign_in(client, one) for one in (unverified, unknown, other_key, ended)]
    assert {one.status_code for one in answers} == {401}
    assert len({one.json()["detail"] for one in answers}) == 1, "nothing tells which passkeys exist"


def test_a_signature_counts_once_for_its_own_challenge(house: House, client: TestClient) -> None:
    member = add_member(house.site, Role.DESK)
    headers = own_headers(member.passkey.party)
    first = client.post("/staff/sign-in/begin", json={}, headers=headers).json()["challenge"]
    body = {"id": member.passkey_id, **signed_challenge(member.passkey, first).to_json()}
    assert client.post("/staff/sign-in", json=body, headers=headers).status_code == 200
    late = client.post("/staff/sign-in", json=body, headers=headers)
    assert (late.status_code, late.json()["type"].rpartition(":")[2]) == (403, "session-ended")
    client.post("/staff/sign-in/begin", json={}, headers=headers)
    assert client.post("/staff/sign-in", json=body, headers=headers).status_code == 401


def test_a_session_ends_when_nobody_works_and_after_a_day(house: House, client: TestClient) -> None:
    signed_in(client, house.site, Role.DESK)
    for _ in range(20):
        house.clock.move(minutes=29)
        assert client.get("/desk/test-of-the-route").status_code == 200
    house.clock.move(minutes=29)  # 10 hours and 9 minutes
    assert client.get("/desk/test-of-the-route").status_code == 401
    signed_in(client, house.site, Role.DESK)
    house.clock.move(minutes=31)
    assert client.get("/desk/test-of-the-route").status_code == 401


def test_the_end_of_the_credential_ends_every_session(house: House, client: TestClient) -> None:
    member = signed_in(client, house.site, Role.DESK)
    house.site.programs.staff.recover(member.credential.credential_id)
    assert client.get("/desk/test-of-the-route").status_code == 401


def test_a_page_needs_its_role_and_leads_back_to_itself(house: House, client: TestClient) -> None:
    sent = client.get("/desk/test-of-the-route", headers=HTML)
    assert sent.headers["Location"] == "/staff?next=%2Fdesk%2Ftest-of-the-route"
    signed_in(client, house.site, Role.OPERATOR)
    assert client.get("/desk/test-of-the-route", headers=HTML).status_code == 403
    member = add_member(house.site, Role.DESK)
    assert sign_in(client, member, next="/desk/people/x").json() == {"next": "/desk/people/x"}


@pytest.mark.parametrize(
    "elsewhere", ["https://evil.example", "//evil.example", "/desk/../me", "/desk//evil.example", "/me", "/desk?x=1"]
)
def test_the_sign_in_leads_to_no_other_page(house: House, client: TestClient, elsewhere: str) -> None:
    assert sign_in(client, add_member(house.site, Role.DESK), next=elsewhere).json() == {"next": "/staff/home"}
    assert "evil" not in client.get("/staff", params={"next": elsewhere}, headers=HTML).text


def test_operations_accept_the_session_with_the_same_roles_and_zones(house: House, client: TestClient) -> None:
    house.declare("vault")
    assert client.get("/v1/people").status_code == 401
    member = signed_in(client, house.site, Role.DESK, "lobby")
    own = own_headers(member.passkey.party)
    assert client.get("/v1/people", headers=own).status_code == 200
    assert client.get("/v1/people?zone=vault", headers=own).status_code == 403
    assert client.get("/v1/requests", headers=own).status_code == 403


@pytest.mark.parametrize(
    "foreign",
    [
        {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "https://sub.doors.example", "Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {},
    ],
)
def test_a_page_of_another_site_uses_no_session(house: House, client: TestClient, foreign: dict[str, str]) -> None:
    member = signed_in(client, house.site, Role.DESK)
    assert client.get("/v1/people", headers=foreign).status_code == 403
    assert client.post("/v1/people/search", json={"name": "a"}, headers=foreign).status_code == 403
    assert client.get("/v1/people", headers=own_headers(member.passkey.party)).status_code == 200


def test_wrong_sign_ins_and_links_are_limited_by_address(house: House, client: TestClient, state: AppState) -> None:
    own = own_headers(house.site.defaults.public_url())
    answers = [client.post("/staff/link", json={"token": "volens_x"}, headers=own).status_code for _ in range(30)]
    assert answers[0] == 403
    assert answers[-1] == 429
    assert sign_in(client, add_member(house.site, Role.DESK)).status_code == 429
    del state


def test_without_a_public_address_the_page_says_so(
    house: House, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(house.site.defaults, "public_url", lambda: None)
    own = {"Origin": SITE, "Sec-Fetch-Site": "same-origin"}
    assert client.post("/staff/sign-in/begin", json={}, headers=own).status_code == 422
    assert "no public address" in client.get("/staff", headers=HTML).text


def test_the_session_of_a_person_or_kiosk_is_none_of_staff(house: House, client: TestClient) -> None:
    seals = house.site.programs.sessions
    text, _ = seals.seal("me", {"passkey": "x", "since": "2099-03-01T00:00:00Z"}, timedelta(hours=1))
    client.cookies.set("__Host-volens_staff", text)
    assert client.get("/v1/people", headers=own_headers(house.site.defaults.public_url())).status_code == 401
