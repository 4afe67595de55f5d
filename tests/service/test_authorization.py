"""Authorization: every operation of the application with every role."""

import time
from collections.abc import Callable, Iterator

import pytest
from house import House
from starlette.testclient import TestClient

from volens.face import Extractor
from volens.service.http import ALLOWED_ROLES, PUBLIC_OPERATIONS, AppState, RateLimiter, application
from volens.store.programs import Role

Bearer = Callable[..., dict[str, str]]


STREAMS = {"stream"}
"""WebSockets, which OpenAPI does not describe; tests/service/test_stream.py tests them."""


def test_the_table_of_roles_has_exactly_the_operations(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    names = [operation["operationId"] for path in document["paths"].values() for operation in path.values()]

    assert len(names) == len(set(names))
    assert set(names) == (set(ALLOWED_ROLES) | PUBLIC_OPERATIONS) - STREAMS
    assert not set(ALLOWED_ROLES) & PUBLIC_OPERATIONS


ASKED = {
    "read_metrics": ("GET", "/metrics"),
    "read_fleet": ("GET", "/v1/fleet"),
    "report_door": ("POST", "/v1/doors/heartbeat"),
    "identify": ("POST", "/v1/zones/lobby/identify"),
    "verify": ("POST", "/v1/zones/lobby/verify"),
    "pass_door": ("POST", "/v1/zones/lobby/pass"),
    "ask_lease": ("POST", "/v1/leases"),
    "acknowledge_lease": ("POST", "/v1/leases/acknowledge"),
    "deliver_decisions": ("POST", "/v1/leases/decisions"),
    "set_factor": ("PUT", f"/v1/zones/lobby/consents/{'0' * 32}/factor"),
    "remove_factor": ("DELETE", f"/v1/zones/lobby/consents/{'0' * 32}/factor"),
    "list_zones": ("GET", "/v1/zones"),
    "add_zone": ("POST", "/v1/zones"),
    "rename_zone": ("PUT", "/v1/zones/lobby/title"),
    "set_zone_fpir": ("PUT", "/v1/zones/lobby/fpir"),
    "set_zone_trigger": ("PUT", "/v1/zones/lobby/trigger"),
    "set_zone_liveness": ("PUT", "/v1/zones/lobby/liveness"),
    "set_zone_lease": ("PUT", "/v1/zones/lobby/lease"),
    "set_zone_state": ("PUT", "/v1/zones/lobby/state"),
    "link_kiosk": ("POST", "/v1/zones/lobby/kiosks"),
    "list_credentials": ("GET", "/v1/credentials"),
    "end_credential": ("DELETE", f"/v1/credentials/{'0' * 16}"),
    "list_staff": ("GET", "/v1/staff"),
    "add_staff": ("POST", "/v1/staff"),
    "recover_staff": ("POST", f"/v1/staff/{'0' * 16}/recovery"),
    "read_notice": ("GET", "/v1/zones/lobby/notice"),
    "publish_notice": ("POST", "/v1/zones/lobby/notices"),
    "list_certificates": ("GET", "/v1/certificates"),
    "find_certificates": ("POST", "/v1/certificates/search"),
    "read_certificate": ("GET", f"/v1/certificates/{'0' * 32}"),
    "list_people": ("GET", "/v1/people"),
    "show_person": ("GET", f"/v1/people/{'0' * 43}"),
    "find_people": ("POST", "/v1/people/search"),
    "offer_consent": ("POST", "/v1/zones/lobby/consents/offers"),
    "give_consent": ("POST", "/v1/zones/lobby/consents"),
    "count_refusal": ("POST", "/v1/zones/lobby/refusals"),
    "enroll": ("POST", "/v1/zones/lobby/enrollments"),
    "invite": ("POST", "/v1/zones/lobby/invitations"),
    "list_invitations": ("GET", "/v1/zones/lobby/invitations"),
    "resend_invitation": ("POST", f"/v1/zones/lobby/invitations/{'0' * 32}/links"),
    "cancel_invitation": ("DELETE", f"/v1/zones/lobby/invitations/{'0' * 32}"),
    "import_invitations": ("POST", "/v1/zones/lobby/invitation-imports"),
    "restrict_consent": ("PUT", f"/v1/zones/lobby/consents/{'0' * 32}/restriction"),
    "resume_consent": ("POST", f"/v1/zones/lobby/consents/{'0' * 32}/restriction/lifting"),
    "offer_renewal": ("POST", f"/v1/zones/lobby/consents/{'0' * 32}/renewal/offers"),
    "renew_consent": ("POST", f"/v1/zones/lobby/consents/{'0' * 32}/renewal"),
    "correct_name": ("PUT", f"/v1/zones/lobby/consents/{'0' * 32}/name"),
    "reissue_code": ("POST", f"/v1/zones/lobby/consents/{'0' * 32}/code"),
    "change_photos": ("POST", "/v1/zones/lobby/photos"),
    "open_request": ("POST", "/v1/requests"),
    "list_requests": ("GET", "/v1/requests"),
    "read_request": ("GET", f"/v1/requests/{'0' * 32}"),
    "extend_request": ("POST", f"/v1/requests/{'0' * 32}/extension"),
    "answer_request": ("POST", f"/v1/requests/{'0' * 32}/answer"),
    "carry_out_request": ("POST", f"/v1/requests/{'0' * 32}/erasure"),
    "close_request": ("POST", f"/v1/requests/{'0' * 32}/closing"),
    "plan_order": ("POST", "/v1/orders/plans"),
    "propose_order": ("POST", "/v1/orders"),
    "list_orders": ("GET", "/v1/orders"),
    "read_order": ("GET", f"/v1/orders/{'0' * 32}"),
    "approve_order": ("POST", f"/v1/orders/{'0' * 32}/approval"),
    "list_unanswered": ("GET", "/v1/recipients/unanswered"),
    "retry_message": ("POST", f"/v1/messages/msg_{'0' * 32}/retry"),
    "read_dossier": ("GET", f"/v1/jobs/{'0' * 32}/dossier"),
    "begin_job": ("POST", "/v1/jobs"),
    "list_jobs": ("GET", "/v1/jobs"),
    "read_job": ("GET", f"/v1/jobs/{'0' * 32}"),
    "verify_log": ("GET", "/v1/log"),
    "read_checkpoint": ("GET", "/v1/log/now/checkpoint"),
    "read_entries": ("GET", "/v1/log/entries"),
    "prove_inclusion": ("GET", "/v1/log/now/inclusion?index=0&size=1"),
    "prove_consistency": ("GET", "/v1/log/now/consistency?old_size=1&size=2"),
}


def test_this_file_requests_every_operation_with_a_credential() -> None:
    assert set(ASKED) == set(ALLOWED_ROLES) - STREAMS


@pytest.fixture(scope="module")
def asked(
    tmp_path_factory: pytest.TempPathFactory, extractor: Extractor
) -> Iterator[tuple[TestClient, dict[Role, dict[str, str]]]]:
    """One service for the whole matrix, without rate limits, and a credential of each role."""
    house = House.build(tmp_path_factory.mktemp("matrix") / "home")
    house.reopen(lambda: extractor)
    issue = house.site.programs.credentials.issue
    tokens = {role: issue(label=role, role=role, zone="lobby" if role is Role.DOOR else None)[1] for role in Role}
    shown = {role: {"Authorization": f"Bearer {token.reveal()}"} for role, token in tokens.items()}
    fast = RateLimiter(1e6, 10**6, time.monotonic)
    app_state = AppState(house.site, 1, 4)
    app_state.caller_limiter = app_state.address_limiter = fast
    with TestClient(application(app_state), raise_server_exceptions=False) as client:
        yield client, shown
    app_state.close()
    house.site.close()


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("operation", sorted(ASKED))
def test_a_role_may_call_what_the_table_allows_and_nothing_else(
    asked: tuple[TestClient, dict[Role, dict[str, str]]], operation: str, role: Role
) -> None:
    client, shown = asked
    method, path = ASKED[operation]

    status = client.request(method, path, headers=shown[role]).status_code

    # An allowed caller learns that the empty body is invalid; others only get 403.
    assert (status != 403) == (role in ALLOWED_ROLES[operation])
    assert status in {200, 403, 404, 422}


@pytest.mark.parametrize("operation", sorted(ASKED))
@pytest.mark.parametrize("shown", [None, "Bearer ", "Bearer x", "Basic YTpi", f"Bearer volens_{'0' * 16}_{'A' * 43}"])
def test_without_a_credential_an_operation_is_refused_before_its_body_is_read(
    asked: tuple[TestClient, dict[Role, dict[str, str]]], operation: str, shown: str | None
) -> None:
    client, _ = asked
    method, path = ASKED[operation]
    headers = {"Content-Type": "application/json"} | ({} if shown is None else {"Authorization": shown})
    answer = client.request(method, path, headers=headers, content=b"{ not JSON")
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="volens"'
    assert answer.json()["type"] == "urn:volens:problem:credential"


def test_a_door_uses_its_own_zone_only(client: TestClient, bearer: Bearer) -> None:
    assert client.post("/v1/zones/lab/identify", headers=bearer(Role.DOOR, "lobby"), content=b"x").status_code == 403
    assert client.post("/v1/zones/lab/identify", headers=bearer(Role.DOOR, "lab"), content=b"x").status_code == 422


def test_a_revoked_credential_is_refused_at_once(client: TestClient, app_state: AppState, bearer: Bearer) -> None:
    headers = bearer(Role.AUDITOR)
    assert client.get("/v1/log", headers=headers).status_code == 200
    (credential,) = app_state.site.programs.credentials.list()

    app_state.site.programs.credentials.end(credential.credential_id)

    assert client.get("/v1/log", headers=headers).status_code == 401


def test_a_credential_expires(client: TestClient, house: House, bearer: Bearer) -> None:
    headers = bearer(Role.AUDITOR)
    house.clock.move(days=364)
    assert client.get("/v1/log", headers=headers).status_code == 200
    house.clock.move(days=2)
    assert client.get("/v1/log", headers=headers).status_code == 401


def test_guesses_are_rate_limited(client: TestClient, app_state: AppState) -> None:
    app_state.address_limiter = RateLimiter(1, 20, lambda: 0.0)
    statuses = [client.post("/v1/withdrawals", json={"code": "guess"}).status_code for _ in range(30)]
    assert set(statuses[:20]) == {422}
    assert 429 in statuses
    refused = client.get("/v1/log", headers={"Authorization": "Bearer guess"})
    assert refused.status_code == 429
    assert int(refused.headers["Retry-After"]) >= 1


def test_a_door_learns_nothing_about_a_receipt_of_another_zone(
    client: TestClient, house: House, bearer: Bearer, views: list[bytes]
) -> None:
    person = house.admit()
    shown = {"frame": views[3], "receipt": person.take_home.to_json()}

    def asked() -> tuple[int, str]:
        answer = client.post("/v1/zones/lab/verify", headers=bearer(Role.DOOR, "lab"), files=shown)
        return answer.status_code, answer.json()["detail"]

    in_force = asked()
    house.withdraw(person)
    assert asked() == in_force == (403, "this is for another zone; present the receipt or badge for this zone")
