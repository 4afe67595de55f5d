"""Newcomers at a desk: each gives consent, is enrolled, and withdraws, over HTTP, one after the other; all is timed."""

import http.client
import json
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Final

from benchmarks.load.run import BOUNDARY, Client, FixedPort, History, enrollment_form, give_consent
from benchmarks.matching.population import ZONE

_TIMEOUT_S: Final = 120.0


def come_and_go(
    port: int, desk_token: str, newcomers: Iterable[Sequence[bytes]], is_over: Callable[[], bool] = lambda: False
) -> dict[str, list[int]]:
    """Return the microseconds of each step of each newcomer; they come in turn until it is over, one at least.

    A newcomer is a few JPEG photos. Consent is two requests, the offer and the signed receipt; the person's signature
    between them is counted.

    Raises:
        RuntimeError: a step was refused.
    """
    client = Client(FixedPort(port), History(), _TIMEOUT_S)
    desk = {"Authorization": f"Bearer {desk_token}"}
    form_type = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    json_type = {"Content-Type": "application/json"}
    found: dict[str, list[int]] = {"consent_us": [], "enroll_us": [], "withdraw_us": []}

    def ask(what: str, path: str, body: bytes | None, headers: dict[str, str]) -> tuple[int, Any]:
        return client.ask(what, path, body, headers)[1:]

    _, notice = ask("notice", f"/v1/zones/{ZONE}/notice", None, desk)
    give = partial(give_consent, client, desk, "Newcomer", notice["sha256"], ZONE)
    for photos in newcomers:
        given = _timed(found["consent_us"], give, http.client.CREATED)
        form = enrollment_form(given["take_home"].encode(), list(photos))
        enroll = partial(ask, "enroll", f"/v1/zones/{ZONE}/enrollments", form, desk | form_type)
        _timed(found["enroll_us"], enroll, http.client.CREATED)
        receipt = json.dumps({"receipt": given["take_home"]}).encode()
        _timed(found["withdraw_us"], partial(ask, "withdraw", "/v1/withdrawals", receipt, json_type), http.client.OK)
        if is_over():
            break
    client.close()
    return found


def _timed(into: list[int], ask: Callable[[], tuple[int, Any]], expected: int) -> Any:  # noqa: ANN401  a JSON document
    began = time.perf_counter_ns()
    status, body = ask()
    into.append((time.perf_counter_ns() - began) // 1000)
    if status != expected:
        raise RuntimeError(f"a newcomer's request was answered with {status}: {body}")
    return body
