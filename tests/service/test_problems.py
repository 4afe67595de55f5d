"""Errors and their problem documents."""

import asyncio
import threading
from collections.abc import Callable
from io import BytesIO

import pytest
from house import House
from patience import PATIENCE_S
from PIL import Image
from starlette.testclient import TestClient

from volens.consent import InputError, TamperError, UnavailableError
from volens.rights import PublishedLog
from volens.service.http import (
    MAX_CALLERS,
    MAX_FRAME_BYTES,
    Address,
    AppState,
    BusyError,
    RateLimiter,
    ThreadPool,
    application,
)
from volens.store.programs import Role

Bearer = Callable[..., dict[str, str]]
CANARY = "Canary-Example-4711"


def bomb() -> bytes:
    out = BytesIO()
    Image.new("1", (20_000, 20_000)).save(out, "PNG")
    return out.getvalue()


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"", 422, "is empty"),
        (b"no image", 422, "the frame is text; expected JPEG, PNG or WebP"),
        (b"\xff\xd8\xff\xe0 cut", 422, "the frame"),
        (bomb(), 422, "the frame"),
        (b"0" * (MAX_FRAME_BYTES + 1), 413, "larger than this address accepts"),
    ],
    ids=["empty", "text", "cut off", "decompression bomb", "too large"],
)
def test_an_invalid_frame_gets_one_sentence(
    client: TestClient, bearer: Bearer, body: bytes, status: int, said: str
) -> None:
    answer = client.post("/v1/zones/lobby/identify", headers=bearer(Role.DOOR), content=body)

    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert said in answer.json()["detail"]
    assert answer.json()["instance"] == f"urn:volens:request:{answer.headers['X-Request-Id']}"


@pytest.mark.parametrize(
    ("role", "path", "body"),
    [
        (None, "withdrawals", f'{{"code": "{CANARY}", "code": "x"}}'),
        (None, "access-requests", '{"receipt": "a", "receipt": "a"}'),
        (Role.DESK, "zones/lobby/consents", '{"name": "A", "signed": "a.b.c", "name": "B"}'),
        (Role.OPERATOR, "zones/lobby/notices", '{"language": "en", "text": "hello", "text": "hello"}'),
    ],
)
def test_a_body_with_a_member_twice_is_refused(
    client: TestClient, bearer: Bearer, role: Role | None, path: str, body: str
) -> None:
    headers = ({} if role is None else bearer(role)) | {"Content-Type": "application/json"}

    answer = client.post(f"/v1/{path}", headers=headers, content=body)

    assert (answer.status_code, answer.json()["type"]) == (422, "urn:volens:problem:shape")
    assert answer.json()["detail"].startswith("got a JSON object that has one member twice;")
    assert CANARY not in answer.text


@pytest.mark.parametrize(
    "body",
    [
        f'{{"name": {{"{CANARY}": 1}}}}',
        f'{{"{CANARY}": "{CANARY}", "name": "{CANARY}", "jurisdiction": 7}}',
        f'["{CANARY}"]',
        f'{{"name": "{CANARY}"',
        f'"{CANARY}"',
    ],
)
def test_invalid_input_is_never_repeated(client: TestClient, bearer: Bearer, body: str) -> None:
    headers = bearer(Role.DESK) | {"Content-Type": "application/json"}

    answer = client.post("/v1/zones/lobby/consents", headers=headers, content=body)

    assert answer.status_code in {400, 422}
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert CANARY not in answer.text


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            '{"zone": "lab", "custody": "operator", "retention_days": "90"}',
            "got a value that is not a whole number at retention_days",
        ),
        ('{"zone": "lab"}', "got nothing at custody"),
        ('{"zone": 7, "custody": "operator"}', "got a value that is not text at zone"),
        ("{zone", "got a body that is not JSON"),
        ("[]", "got a value that is not a JSON object"),
    ],
    ids=["text for a number", "a missing member", "a number for text", "not JSON", "a list"],
)
def test_a_validation_error_is_a_sentence(client: TestClient, bearer: Bearer, body: str, said: str) -> None:
    headers = bearer(Role.OPERATOR) | {"Content-Type": "application/json"}
    answer = client.post("/v1/zones", headers=headers, content=body)
    assert (answer.status_code, answer.json()["detail"]) == (422, f"{said}; see the description in /openapi.json")


@pytest.mark.parametrize(
    ("path", "said"),
    [("nothing", "does not match the described pattern"), ("0" * 31 + "x", "does not match the described pattern")],
)
def test_a_malformed_id_in_the_path_is_refused_in_words(
    client: TestClient, bearer: Bearer, path: str, said: str
) -> None:
    answer = client.get(f"/v1/jobs/{path}", headers=bearer(Role.OPERATOR))
    assert (answer.status_code, said in answer.json()["detail"]) == (422, True)


def test_a_credential_of_another_zone_gets_an_explanation(client: TestClient, bearer: Bearer) -> None:
    answer = client.post("/v1/zones/lab/identify", headers=bearer(Role.DOOR, "lobby"), content=b"a frame")
    assert (answer.status_code, "another role or zone" in answer.json()["detail"]) == (403, True)


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/v1/nothing", 404), ("PUT", "/v1/zones", 405)])
def test_an_unknown_address_gets_a_problem_too(client: TestClient, method: str, path: str, status: int) -> None:
    answer = client.request(method, path)
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/problem+json")


def test_a_bug_shows_its_type_and_no_data(
    client: TestClient, app_state: AppState, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise KeyError(CANARY)

    monkeypatch.setattr(type(app_state.site), "status", lambda _site: broken())
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["type"]) == (500, "urn:volens:problem:internal")
    assert CANARY not in answer.text
    assert "KeyError" in answer.json()["detail"]


@pytest.mark.parametrize(("error", "status"), [(TamperError("integrity: x"), 500), (UnavailableError("disk"), 503)])
def test_tampering_and_unavailability_get_different_statuses(
    client: TestClient, bearer: Bearer, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int
) -> None:
    headers = bearer(Role.AUDITOR)

    def broken(_log: object) -> None:
        raise error

    monkeypatch.setattr(PublishedLog, "verify", broken)
    answer = client.get("/v1/log", headers=headers)
    assert answer.status_code == status
    assert ("Retry-After" in answer.headers) == (status == 503)


def test_a_slow_body_gets_408(app_state: AppState, bearer: Bearer) -> None:
    headers = [(name.lower().encode(), value.encode()) for name, value in bearer(Role.DOOR).items()]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "path": "/v1/zones/lobby/identify",
        "raw_path": b"/v1/zones/lobby/identify",
        "query_string": b"",
        "root_path": "",
        "scheme": "http",
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
    }
    sent: list[dict[str, object]] = []

    async def dribble() -> dict[str, object]:
        await asyncio.sleep(0.02)
        return {"type": "http.request", "body": b"x", "more_body": True}

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    asyncio.run(application(app_state, body_timeout_s=0.1)(scope, dribble, send))  # type: ignore[arg-type]

    assert sent[0]["status"] == 408


@pytest.mark.parametrize("sent", ["ok-1", "two words", "x" * 65, ""])
def test_a_request_id_is_accepted_if_it_looks_like_one(client: TestClient, sent: str) -> None:
    answered = client.get("/healthz", headers={"X-Request-Id": sent}).headers["X-Request-Id"]
    assert (answered == sent) == (sent == "ok-1")
    assert answered


def test_responses_are_never_cached(client: TestClient) -> None:
    assert client.get("/healthz").headers["Cache-Control"] == "no-store"


def test_a_full_thread_pool_refuses_and_a_cancelled_call_keeps_its_place() -> None:
    begun, go = threading.Event(), threading.Event()

    def work() -> str:
        begun.set()
        go.wait(PATIENCE_S)
        return "done"

    async def run() -> None:
        pool = ThreadPool("test", workers=1, waiting=1)
        first = asyncio.create_task(pool.run(work))
        second = asyncio.create_task(pool.run(work))
        await asyncio.to_thread(begun.wait, PATIENCE_S)
        with pytest.raises(BusyError, match="retry"):
            await pool.run(work)
        first.cancel()  # the caller is cancelled; the thread cannot be
        await asyncio.sleep(0)
        assert pool.in_use == 2
        go.set()
        assert await second == "done"
        await asyncio.sleep(0)
        assert pool.in_use == 0
        pool.close()

    asyncio.run(run())


def test_a_rate_limit_allows_a_burst_and_then_returns_a_wait() -> None:
    now = [0.0]
    rates = RateLimiter(per_s=2, burst=3, clock=lambda: now[0])
    assert [rates.take("a") for _ in range(4)] == [0, 0, 0, 0.5]
    assert rates.take("b") == 0
    now[0] = 0.5
    assert [rates.take("a") for _ in range(2)] == [0, 0.5]


def test_the_table_of_rate_limits_is_bounded() -> None:
    limiter = RateLimiter(1, 1, lambda: 0.0)
    for number in range(MAX_CALLERS + 5):
        limiter.take(str(number))
    assert [limiter.take(str(number), count=False) for number in (4, 5)] == [0, 1]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "door.example.org"])  # noqa: S104  refused
def test_other_machines_need_tls_or_a_proxy(host: str) -> None:
    with pytest.raises(InputError, match="without TLS"):
        Address(host, 8470)
    assert Address(host, 8470, behind_proxy=True).host == host


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_loopback_needs_no_tls(host: str) -> None:
    assert Address(host, 8470).host == host


def test_a_misspelt_query_parameter_is_refused(client: TestClient, bearer: Bearer) -> None:
    answer = client.get("/v1/jobs?limt=Canary", headers=bearer(Role.AUDITOR))
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:volens:problem:shape")
    assert "Canary" not in answer.text


def test_405_lists_all_methods_of_the_address(client: TestClient) -> None:
    for path in ("/v1/zones", "/v1/jobs", f"/v1/requests/{'0' * 32}"):
        answer = client.delete(path)
        assert answer.status_code == 405
        assert answer.headers["Allow"] == ("GET" if path.startswith("/v1/requests") else "GET, POST")
    answer = client.get("/v1/people/search")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")


@pytest.mark.parametrize(
    ("path", "role", "photo"), [("enrollments", Role.DESK, "photos"), ("verify", Role.DOOR, "frame")]
)
def test_a_receipt_that_was_damaged_on_the_way_is_the_callers_mistake(
    client: TestClient, bearer: Bearer, house: House, path: str, role: Role, photo: str
) -> None:
    token = house.admit().take_home.receipt.token
    damaged = token[:-6] + ("A" if token[-6] != "A" else "B") + token[-5:]
    out = BytesIO()
    Image.new("RGB", (160, 160)).save(out, "PNG")
    files = [("receipt", ("r.json", damaged.encode())), (photo, ("a.png", out.getvalue()))]
    answer = client.post(f"/v1/zones/lobby/{path}", headers=bearer(role), files=files)
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:volens:problem:receipt-signature")
    assert "does not match its text" in answer.json()["detail"]
