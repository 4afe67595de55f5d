"""Callers with a token of the house's issuer: the same table of roles, and no name in log or answer."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from io import StringIO

import pytest
from house import House
from issuer import AUDIENCE, HouseIssuer, loopback_issuer, signer
from reading_log import opened
from starlette.testclient import TestClient

from tests.service.test_who_may_what import ASKED
from volens.service.http.access import WHO_MAY
from volens.service.http.app_state import AppState
from volens.service.http.http_app import application
from volens.service.http.issuer_cache import Issuer
from volens.service.http.rate_limits import RateLimiter
from volens.service.oidc.issuer_trust import Trust
from volens.service.process.service_log import log_to
from volens.store.programs import Role
from volens.store.programs.decision_counts import COUNTED

Bearer = Callable[..., dict[str, str]]
SUBJECT = "canary-subject@example.org"


@pytest.fixture
def issuer() -> Iterator[HouseIssuer]:
    with loopback_issuer() as one:
        yield one


@pytest.fixture
def believing(app_state: AppState, issuer: HouseIssuer) -> Iterator[AppState]:
    trust = Trust(issuer.url, AUDIENCE, allow_private=True)
    one = replace(app_state, issuer=Issuer(trust))
    yield one
    assert one.issuer is not None
    one.issuer.close()


@pytest.fixture
def stream() -> StringIO:
    return StringIO()


@pytest.fixture
def client(believing: AppState, stream: StringIO) -> Iterator[TestClient]:
    with TestClient(application(believing, log=log_to(stream)), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def token(issuer: HouseIssuer, house: House) -> Bearer:
    """Let the issuer sign a token, and return the header that shows it."""

    def sign(role: object, zone: str | None = None, **more: object) -> dict[str, str]:
        now = house.clock().timestamp()
        reach = {"volens_role": role, "volens_zone": zone or ("lobby" if role is Role.DOOR else None)}
        return {"Authorization": f"Bearer {signer().token(issuer.claims(now, **(reach | more)))}"}

    return sign


def test_a_role_may_do_what_it_may_with_a_credential_of_ours(client: TestClient, token: Bearer) -> None:
    statuses = {}
    for operation in ("identify", "enroll", "verify_log", "add_zone", "read_certificate"):
        method, path = ASKED[operation]
        for role in Role:
            statuses[operation, role] = client.request(method, path, headers=token(role)).status_code
    assert {key for key, status in statuses.items() if status != 403} == {
        (operation, role) for operation, role in statuses if role in WHO_MAY[operation]
    }
    assert set(statuses.values()) <= {200, 403, 404, 422}


def test_a_door_of_the_issuer_sees_its_own_zone_only(client: TestClient, token: Bearer) -> None:
    for zone, status in (("lab", 422), ("lobby", 403)):
        asked = client.post(f"/v1/zones/{zone}/identify", headers=token(Role.DOOR, "lab"), content=b"x")
        assert asked.status_code == status


@pytest.mark.parametrize("reach", [{"role": "admin"}, {"role": None}, {"role": Role.AUDITOR, "zone": "lobby"}])
def test_who_is_vouched_for_and_has_no_role_of_ours_may_nothing(
    client: TestClient, token: Bearer, reach: dict[str, object]
) -> None:
    answer = client.get("/v1/log", headers=token(**reach))
    assert answer.status_code == 403
    assert answer.json()["type"] == "urn:volens:problem:role"


def test_a_token_that_is_not_in_force_is_refused_as_a_wrong_credential_is(
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


def test_credentials_of_ours_are_good_as_before_and_ask_the_issuer_nothing(
    client: TestClient, bearer: Bearer, issuer: HouseIssuer
) -> None:
    assert client.get("/v1/log", headers=bearer(Role.AUDITOR)).status_code == 200
    wrong = client.get("/v1/log", headers={"Authorization": f"Bearer volens_{'0' * 16}_{'A' * 43}"})
    assert wrong.status_code == 401
    assert issuer.asked == []


def test_a_service_that_believes_nobody_refuses_every_token(
    app_state: AppState, token: Bearer, issuer: HouseIssuer
) -> None:
    with TestClient(application(app_state)) as client:
        assert client.get("/v1/log", headers=token(Role.AUDITOR)).status_code == 401
    assert issuer.asked == []


def test_with_the_issuer_down_the_service_runs_and_says_when_to_come_again(
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


def test_the_log_knows_the_caller_by_a_keyed_hash_and_by_nothing_else(
    client: TestClient, token: Bearer, stream: StringIO, house: House, issuer: HouseIssuer
) -> None:
    shown = token(Role.DOOR)
    client.post("/v1/zones/lobby/identify", headers=shown, content=b"x")
    client.get("/v1/log", headers=token(Role.AUDITOR, sub="somebody else"))
    client.get("/v1/log", headers=token("admin"))
    mine, other, nobody = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert mine["credential_id"] == house.site.credentials.name_for(issuer.url, SUBJECT)
    assert (mine["zone"], len(mine["credential_id"])) == ("lobby", len("oidc:") + 16)
    assert other["credential_id"] not in {mine["credential_id"], None}
    assert "credential_id" not in nobody
    for part in (SUBJECT, "canary", *shown["Authorization"].split(" ")[1].split(".")):
        assert part not in stream.getvalue()


def test_the_audit_log_counts_the_caller_by_the_same_hash(
    client: TestClient, token: Bearer, believing: AppState, house: House, issuer: HouseIssuer
) -> None:
    client.get("/v1/log/checkpoint", headers=token(Role.AUDITOR))
    client.get("/v1/log/checkpoint", headers=token(Role.DESK))
    believing.decisions.write(everything=True)
    (counted,) = opened(house.store, COUNTED)
    assert counted["caller"] == house.site.credentials.name_for(issuer.url, SUBJECT)
    assert (counted["answers_allowed"], counted["answers_forbidden"]) == (1, 1)


def test_each_caller_of_the_issuer_has_a_rate_of_their_own(believing: AppState, token: Bearer) -> None:
    slow = replace(believing, credential_rates=RateLimiter(1, 2, lambda: 0.0))
    with TestClient(application(slow)) as client:
        statuses = [client.get("/v1/log/checkpoint", headers=token(Role.AUDITOR)).status_code for _ in range(3)]
        other = client.get("/v1/log/checkpoint", headers=token(Role.AUDITOR, sub="somebody else"))
    assert statuses[2] == 429
    assert 429 not in {*statuses[:2], other.status_code}


def test_the_name_of_a_caller_is_of_this_site_and_tells_issuer_and_subject_apart(house: House) -> None:
    name = house.site.credentials.name_for
    names = [name("https://a", "b"), name("https://a", "c"), name("https://ab", ""), name("https://a", '","')]
    assert len(set(names)) == 4
    assert name("https://a", "b") == names[0]
    house.reopen()
    assert house.site.credentials.name_for("https://a", "b") == names[0]
