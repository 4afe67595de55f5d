"""What goes wrong, and what is said of it."""

import asyncio
import threading
from collections.abc import Callable
from io import BytesIO

import pytest
from PIL import Image
from starlette.testclient import TestClient

from volens.consent import InputError, TamperError, UnavailableError
from volens.rights import PublishedLog
from volens.service.http.app_state import AppState
from volens.service.http.bodies import MAX_FRAME_BYTES
from volens.service.http.http_app import application
from volens.service.http.rate_limits import MAX_CALLERS, RateLimiter
from volens.service.http.server import Address
from volens.service.http.thread_pool import BusyError, ThreadPool
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
        (b"no image", 422, "no image that can be read"),
        (b"\xff\xd8\xff\xe0 cut", 422, "the frame"),
        (bomb(), 422, "the frame"),
        (b"0" * (MAX_FRAME_BYTES + 1), 413, "larger than this address takes"),
    ],
    ids=["empty", "text", "cut off", "decompression bomb", "too large"],
)
def test_a_bad_frame_is_one_sentence(client: TestClient, bearer: Bearer, body: bytes, status: int, said: str) -> None:
    answer = client.post("/v1/zones/lobby/identify", headers=bearer(Role.DOOR), content=body)

    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert said in answer.json()["detail"]
    assert answer.json()["instance"] == f"urn:volens:request:{answer.headers['X-Request-Id']}"


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
def test_what_does_not_fit_is_never_repeated(client: TestClient, bearer: Bearer, body: str) -> None:
    headers = bearer(Role.DESK) | {"Content-Type": "application/json"}

    answer = client.post("/v1/zones/lobby/consents", headers=headers, content=body)

    assert answer.status_code in {400, 422}
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert CANARY not in answer.text


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('{"zone": "lab", "custody": "operator", "retention_days": "90"}', "got no whole number at retention_days"),
        ('{"zone": "lab"}', "got nothing at custody"),
        ('{"zone": 7, "custody": "operator"}', "got no text at zone"),
        ("{zone", "got a body that is no JSON"),
        ("[]", "got no JSON object"),
    ],
    ids=["text for a number", "a member is missing", "a number for text", "no JSON", "a list"],
)
def test_what_does_not_fit_is_told_in_words(client: TestClient, bearer: Bearer, body: str, said: str) -> None:
    headers = bearer(Role.OPERATOR) | {"Content-Type": "application/json"}
    answer = client.post("/v1/zones", headers=headers, content=body)
    assert (answer.status_code, answer.json()["detail"]) == (422, f"{said}; see the description in /openapi.json")


@pytest.mark.parametrize(("path", "said"), [("nothing", "another form"), ("0" * 31 + "x", "another form")])
def test_a_number_of_another_form_is_told_in_words(client: TestClient, bearer: Bearer, path: str, said: str) -> None:
    answer = client.get(f"/v1/jobs/{path}", headers=bearer(Role.OPERATOR))
    assert (answer.status_code, said in answer.json()["detail"]) == (422, True)


def test_a_credential_of_another_zone_is_told_so(client: TestClient, bearer: Bearer) -> None:
    answer = client.post("/v1/zones/lab/identify", headers=bearer(Role.DOOR, "lobby"), content=b"a frame")
    assert (answer.status_code, "another role or zone" in answer.json()["detail"]) == (403, True)


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/v1/nothing", 404), ("PUT", "/v1/zones", 405)])
def test_an_unknown_address_is_a_problem_too(client: TestClient, method: str, path: str, status: int) -> None:
    answer = client.request(method, path)
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/problem+json")


def test_a_bug_says_what_it_is_and_nothing_it_knows(
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
def test_the_machine_s_troubles_are_told_apart(
    client: TestClient, bearer: Bearer, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int
) -> None:
    headers = bearer(Role.AUDITOR)

    def broken(_log: object) -> None:
        raise error

    monkeypatch.setattr(PublishedLog, "verify", broken)
    answer = client.get("/v1/log", headers=headers)
    assert answer.status_code == status
    assert ("Retry-After" in answer.headers) == (status == 503)


def test_a_body_that_dribbles_is_not_waited_for(app_state: AppState, bearer: Bearer) -> None:
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
def test_a_request_id_is_taken_over_if_it_looks_like_one(client: TestClient, sent: str) -> None:
    answered = client.get("/healthz", headers={"X-Request-Id": sent}).headers["X-Request-Id"]
    assert (answered == sent) == (sent == "ok-1")
    assert answered


def test_no_cache_keeps_a_decision(client: TestClient) -> None:
    assert client.get("/healthz").headers["Cache-Control"] == "no-store"


def test_a_full_workroom_sends_away_and_a_place_is_free_only_when_its_thread_is() -> None:
    begun, go = threading.Event(), threading.Event()

    def work() -> str:
        begun.set()
        go.wait(10)
        return "done"

    async def run() -> None:
        room = ThreadPool("test", workers=1, waiting=1)
        first = asyncio.create_task(room.do(work))
        second = asyncio.create_task(room.do(work))
        await asyncio.to_thread(begun.wait, 10)
        with pytest.raises(BusyError, match="ask again"):
            await room.do(work)
        first.cancel()  # the caller goes; the thread cannot
        await asyncio.sleep(0)
        assert room.taken == 2
        go.set()
        assert await second == "done"
        await asyncio.sleep(0)
        assert room.taken == 0
        room.close()

    asyncio.run(run())


def test_a_caller_may_ask_so_often_and_then_has_to_wait() -> None:
    now = [0.0]
    rates = RateLimiter(per_s=2, burst=3, clock=lambda: now[0])
    assert [rates.take("a") for _ in range(4)] == [0, 0, 0, 0.5]
    assert rates.take("b") == 0
    now[0] = 0.5
    assert [rates.take("a") for _ in range(2)] == [0, 0.5]


def test_many_callers_are_not_remembered_for_ever() -> None:
    rates = RateLimiter(1, 1, lambda: 0.0)
    for number in range(MAX_CALLERS + 5):
        rates.take(str(number))
    assert len(rates._buckets) == MAX_CALLERS


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "door.example.org"])  # noqa: S104  refused
def test_beyond_this_machine_nothing_goes_in_the_clear(host: str) -> None:
    with pytest.raises(InputError, match="without TLS"):
        Address(host, 8470)
    assert Address(host, 8470, behind_proxy=True).host == host


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_on_this_machine_it_may(host: str) -> None:
    assert Address(host, 8470).host == host


def test_a_misspelt_parameter_is_no_answer_to_another_question(client: TestClient, bearer: Bearer) -> None:
    answer = client.get("/v1/jobs?limt=Canary", headers=bearer(Role.AUDITOR))
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:volens:problem:shape")
    assert "Canary" not in answer.text


def test_an_address_names_all_its_methods(client: TestClient) -> None:
    for path in ("/v1/zones", "/v1/jobs", f"/v1/requests/{'0' * 32}"):
        answer = client.delete(path)
        assert answer.status_code == 405
        assert answer.headers["Allow"] == ("GET" if path.startswith("/v1/requests") else "GET, POST")
