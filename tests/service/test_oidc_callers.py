"""Callers with a token of an OpenID Connect issuer: the same table of roles, and no name in log or response."""

import json
from collections.abc import Callable, Iterator
from io import StringIO

import pytest
from house import House
from issuer import AUDIENCE, HouseIssuer, loopback_issuer, signer
from reading_log import opened
from starlette.testclient import TestClient

from tests.service.test_authorization import ASKED
from volens.service.http import ALLOWED_ROLES, AppState, IssuerCache, RateLimiter, application
from volens.service.oidc import Trust
from volens.service.process.service_log import log_to
from volens.store.programs import COUNTED, Role

Bearer = Callable[..., dict[str, str]]
SUBJECT = "canary-subject@example.org"


@pytest.fixture
def issuer() -> Iterator[HouseIssuer]:
    with loopback_issuer() as one:
        yield one


@pytest.fixture
def believing(app_state: AppState, issuer: HouseIssuer) -> AppState:
    trust = Trust(issuer.url, AUDIENCE, allow_private=True)
    app_state.issuer = IssuerCache(trust)  # the fixture `app_state` closes it
    return app_state


@pytest.fixture
def stream() -> StringIO:
    return StringIO()


@pytest.fixture
def client(believing: AppState, stream: StringIO) -> Iterator[TestClient]:
    with TestClient(application(believing, log=log_to(stream)), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def token(issuer: HouseIssuer, house: House) -> Bearer:
    """Let the issuer sign a token, and return its header."""

    def sign(role: object, zone: str | None = None, **more: object) -> dict[str, str]:
        now = house.clock().timestamp()
        reach = {"volens_role": role, "volens_zone": zone or ("lobby" if role is Role.DOOR else None)}
        return {"Authorization": f"Bearer {signer().token(issuer.claims(now, **(reach | more)))}"}

    return sign


def test_a_token_allows_what_a_credential_of_the_same_role_allows(client: TestClient, token: Bearer) -> None:
    statuses = {}
    for operation in ("identify", "enroll", "verify_log", "add_zone", "read_certificate"):
        method, path = ASKED[operation]
        for role in Role:
            statuses[operation, role] = client.request(method, path, headers=token(role)).status_code
    assert {key for key, status in statuses.items() if status != 403} == {
        (operation, role) for operation, role in statuses if role in ALLOWED_ROLES[operation]
    }
    assert set(statuses.values()) <= {200, 403, 404, 422}


def test_a_door_with_a_token_uses_its_own_zone_only(client: TestClient, token: Bearer) -> None:
    for zone, status in (("lab", 422), ("lobby", 403)):
        asked = client.post(f"/v1/zones/{zone}/identify", headers=token(Role.DOOR, "lab"), content=b"x")
        assert asked.status_code == status


@pytest.mark.parametrize("reach", [{"role": "admin"}, {"role": None}, {"role": Role.AUDITOR, "zone": "lobby"}])
def test_a_valid_token_with_an_unknown_role_is_refused(
    client: TestClient, token: Bearer, reach: dict[str, object]
) -> None:
    answer = client.get("/v1/log", headers=token(**reach))
    assert answer.status_code == 403
    assert answer.json()["type"] == "urn:volens:problem:role"


def test_an_invalid_token_is_refused_like_an_invalid_credential(
    client: TestClient, token: Bearer, house: House, issuer: HouseIssuer
) -> None:
    stranger = signer(kid="a stranger's").token(issuer.claims(house.clock().timestamp(), volens_role="auditor"))
    shown = [token(Role.AUDITOR, exp=1), {"Authorization": f"Bearer {stranger}"}, {"Authorization": "Bearer a.b.c"}]
    refused = [client.get("/v1/log", headers=one) for one in shown]
    assert [one.status_code for one in refused] == [401, 401, 401]
    assert len({one.json()["detail"] for one in refused}) == 1
    assert refused[0].headers["WWW-Authenticate"] == 'Bearer realm="volens"'
    house.clock.move(hours=3)
    assert client.get("/v1/log", headers=token(Role.AUDITOR)).status_code == 200


def test_our_own_credentials_stay_valid_without_a_request_to_the_issuer(
    client: TestClient, bearer: Bearer, issuer: HouseIssuer
) -> None:
    assert client.get("/v1/log", headers=bearer(Role.AUDITOR)).status_code == 200
    wrong = client.get("/v1/log", headers={"Authorization": f"Bearer volens_{'0' * 16}_{'A' * 43}"})
    assert wrong.status_code == 401
    assert issuer.asked == []


def test_a_service_without_an_issuer_refuses_every_token(
    app_state: AppState, token: Bearer, issuer: HouseIssuer
) -> None:
    with TestClient(application(app_state)) as client:
        assert client.get("/v1/log", headers=token(Role.AUDITOR)).status_code == 401
    assert issuer.asked == []


def test_while_the_issuer_is_down_tokens_get_503_with_retry_after(
    client: TestClient, token: Bearer, bearer: Bearer, issuer: HouseIssuer
) -> None:
    issuer.says = {"issuer": "https://another.example.org"}
    assert client.get("/readyz").status_code == 200
    answer = client.get("/v1/log", headers=token(Role.AUDITOR))
    assert answer.status_code == 503
    assert 1 <= int(answer.headers["Retry-After"]) <= 30
    assert answer.json()["type"] == "urn:volens:problem:issuer"
    assert "another.example.org" not in answer.text
    assert client.get("/v1/log", headers=bearer(Role.AUDITOR)).status_code == 200
    assert client.get("/readyz").status_code == 200


def test_the_log_identifies_the_caller_by_a_keyed_hash_only(
    client: TestClient, token: Bearer, stream: StringIO, house: House, issuer: HouseIssuer
) -> None:
    shown = token(Role.DOOR)
    client.post("/v1/zones/lobby/identify", headers=shown, content=b"x")
    client.get("/v1/log", headers=token(Role.AUDITOR, sub="another person"))
    client.get("/v1/log", headers=token("admin"))
    mine, other, anonymous = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert mine["credential_id"] == house.site.programs.credentials.name_for(issuer.url, SUBJECT)
    assert (mine["zone"], len(mine["credential_id"])) == ("lobby", len("oidc:") + 16)
    assert other["credential_id"] not in {mine["credential_id"], None}
    assert "credential_id" not in anonymous
    for part in (SUBJECT, "canary", *shown["Authorization"].split(" ")[1].split(".")):
        assert part not in stream.getvalue()


def test_the_audit_log_counts_the_caller_by_the_same_hash(
    client: TestClient, token: Bearer, believing: AppState, house: House, issuer: HouseIssuer
) -> None:
    client.get("/v1/log/now/checkpoint", headers=token(Role.AUDITOR))
    client.get("/v1/log/now/checkpoint", headers=token(Role.DESK))
    believing.decisions.write(everything=True)
    (counted,) = opened(house.store, COUNTED)
    assert counted["caller"] == house.site.programs.credentials.name_for(issuer.url, SUBJECT)
    assert (counted["answers_allowed"], counted["answers_forbidden"]) == (1, 1)


def test_each_caller_of_the_issuer_has_its_own_rate_limit(believing: AppState, token: Bearer) -> None:
    believing.caller_limiter = RateLimiter(1, 2, lambda: 0.0)
    with TestClient(application(believing)) as client:
        statuses = [client.get("/v1/log/now/checkpoint", headers=token(Role.AUDITOR)).status_code for _ in range(3)]
        other = client.get("/v1/log/now/checkpoint", headers=token(Role.AUDITOR, sub="another person"))
    assert statuses[2] == 429
    assert 429 not in {*statuses[:2], other.status_code}


def test_a_caller_id_depends_on_the_site_the_issuer_and_the_subject(house: House) -> None:
    name = house.site.programs.credentials.name_for
    names = [name("https://a", "b"), name("https://a", "c"), name("https://ab", ""), name("https://a", '","')]
    assert len(set(names)) == 4
    assert name("https://a", "b") == names[0]
    house.reopen()
    assert house.site.programs.credentials.name_for("https://a", "b") == names[0]
