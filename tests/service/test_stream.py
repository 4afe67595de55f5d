"""The WebSocket of a camera, with real models and a real server: frames in, one decision for each visit out."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from house import House
from patience import PATIENCE_S
from reading_log import opened
from starlette.testclient import TestClient
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.service.test_a_day import enroll, say_yes
from tests.service.test_connections import listening
from volens.service.http import MAX_FRAME_BYTES, MAX_STREAMS, AppState
from volens.store.people import MATCHED
from volens.store.programs import COUNTED, Role

Bearer = Callable[..., dict[str, str]]
Door = Callable[..., ClientConnection]


@pytest.fixture
def port(app_state: AppState) -> Iterator[int]:
    # Streams outlive the time limit of headers.
    with listening(app_state, 0.5) as port:
        yield port


@pytest.fixture
def door(port: int, bearer: Bearer, app_state: AppState) -> Iterator[Door]:
    """Open a stream; the zone identifies everyone who passes, where asking is not the subject."""
    kept: list[ClientConnection] = []
    House.of(app_state.site).let_pass()
    headers = bearer(Role.DOOR)

    def opened(zone: str = "lobby", shown: dict[str, str] | None = None, *, photos: bool = False) -> ClientConnection:
        shown = headers if shown is None else shown
        url = f"ws://127.0.0.1:{port}/v1/zones/{zone}/stream{'?photos=true' if photos else ''}"
        kept.append(connect(url, additional_headers=shown, open_timeout=PATIENCE_S, close_timeout=1))
        return kept[-1]

    yield opened
    for one in kept:
        one.close()


def said(one: ClientConnection) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(one.recv(timeout=PATIENCE_S))
    return message


def look(one: ClientConnection, frame: bytes) -> list[dict[str, Any]]:
    """Send a frame, and return all messages up to its response."""
    one.send(frame)
    found = [said(one)]
    while found[-1]["type"] != "frame":
        found.append(said(one))
    return found


def until_decided(one: ClientConnection, frame: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    """Send a frame again and again until a visit is decided; return the decision and the response to the frame."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        found = look(one, frame)
        if len(found) > 1:
            decision, response = found
            return decision, response
    raise AssertionError("no visit was decided")


def test_a_person_at_a_door_is_one_decision_until_they_withdraw(
    client: TestClient, app_state: AppState, bearer: Bearer, door: Door, views: list[bytes]
) -> None:
    desk = bearer(Role.DESK)
    *photos, frame = views
    given = say_yes(client, desk)
    enroll(client, desk, given["take_home"], photos)
    one = door()
    ready = said(one)
    assert (ready["type"], ready["zone"], ready["second_factor"]) == ("ready", "lobby", None)

    assert look(one, frame) == [{"type": "frame", "number": 1, "faces": 1, "matches": 0}], "one look decides nothing"
    decision, first = until_decided(one, frame)
    number = first["number"]
    later = [look(one, frame) for _ in range(3)]

    assert (decision["type"], decision["decision"], decision["frame"]) == ("decision", "match", number)
    assert (decision["subject_id"], decision["looks"]) == (given["subject_id"], 2)
    assert len(decision["passage"]) == 16
    assert first == {"type": "frame", "number": number, "faces": 1, "matches": 1}
    assert later == [[{"type": "frame", "number": number + more, "faces": 1, "matches": 1}] for more in (1, 2, 3)]

    (match,) = opened(app_state.site.installation.store, MATCHED)
    assert match["asked_by"] == next(
        one.credential_id for one in app_state.site.programs.credentials.list() if one.role is Role.DOOR
    )

    code = json.loads(given["take_home"])["withdrawal_code"]
    assert client.post("/v1/withdrawals", json={"code": code}).status_code == 200
    assert look(one, frame) == [{"type": "frame", "number": number + 4, "faces": 1, "matches": 0}]

    decision, _last = until_decided(one, frame)
    assert (decision["decision"], decision["subject_id"], decision["comparison_score"]) == ("no_match", None, None)
    assert decision["looks"] >= 2
    assert [message["type"] for _ in range(3) for message in look(one, frame)] == ["frame"] * 3
    app_state.decisions.write(everything=True)
    (counted,) = [each for each in opened(app_state.site.installation.store, COUNTED) if each["operation"] == "stream"]
    assert (counted["faces_match"], counted["faces_no_match"]) == (1, 1)


def test_a_photo_that_stands_alone_is_decided_by_one_look(
    client: TestClient, bearer: Bearer, door: Door, views: list[bytes]
) -> None:
    desk = bearer(Role.DESK)
    *photos, frame = views
    given = say_yes(client, desk)
    enroll(client, desk, given["take_home"], photos)
    one = door("lobby", photos=True)
    said(one)
    decision, response = look(one, frame)
    assert (decision["decision"], decision["subject_id"], decision["looks"]) == ("match", given["subject_id"], 1)
    assert response["matches"] == 1


def test_frames_that_come_too_fast_are_dropped_except_the_newest(door: Door, views: list[bytes]) -> None:
    one = door()
    said(one)
    for _ in range(200):
        one.send(views[3])

    answers = []
    while not answers or answers[-1]["number"] < 200:
        answers += [message for message in [said(one)] if message["type"] == "frame"]

    assert [message["number"] for message in answers] == list(range(1, 201))
    assert "dropped" not in answers[-1]
    dropped = sum(message.get("dropped", False) for message in answers)
    assert 0 < dropped < 200


def test_an_unreadable_frame_is_reported_and_the_next_is_processed(door: Door, views: list[bytes]) -> None:
    one = door()
    said(one)
    assert look(one, b"GIF89a no") == [{"type": "frame", "number": 1, "faces": 0, "matches": 0, "unreadable": True}]
    assert look(one, views[3][:-2000])[-1]["number"] == 2
    assert look(one, views[3])[-1]["faces"] == 1


@pytest.mark.parametrize("text", ["", "{", "[]", '{"type": "frame"}', '"' * 5000, "[" * 4000])
def test_an_invalid_text_message_ends_a_stream(door: Door, text: str) -> None:
    one = door()
    said(one)
    one.send(text)
    problem = said(one)
    assert (problem["type"], problem["status"]) == ("problem", 400)
    assert code_of(one) == 1008


def test_a_factor_in_a_zone_without_one_is_refused_without_being_repeated(
    door: Door,
) -> None:
    one = door()
    said(one)
    one.send(json.dumps({"type": "present", "factor": "pin", "value": "918273"}))
    problem = said(one)
    assert "no second factor" in problem["detail"]
    assert "918273" not in json.dumps(problem)
    assert code_of(one) == 1008


def test_a_frame_that_is_too_large_ends_a_stream(door: Door) -> None:
    one = door()
    said(one)
    one.send(bytes(MAX_FRAME_BYTES + 1))
    assert said(one)["status"] == 413
    assert code_of(one) == 1009


def test_a_frame_that_is_far_too_large_is_cut_off_before_its_end(door: Door) -> None:
    one = door()
    said(one)
    with suppress(ConnectionClosed):  # the end is noticed here or below
        one.send(bytes(8 * MAX_FRAME_BYTES))
    assert code_of(one) in {1006, 1009}


def test_in_a_zone_for_requests_a_face_is_compared_after_a_button_only(
    client: TestClient, app_state: AppState, bearer: Bearer, door: Door, views: list[bytes]
) -> None:
    desk = bearer(Role.DESK)
    *photos, frame = views
    enroll(client, desk, say_yes(client, desk)["take_home"], photos)
    app_state.site.zones.set_trigger("lobby", "request")
    one, extractor = door(), app_state.site.extractor
    assert said(one)["trigger"] == "request"
    before = extractor.embeddings_computed
    (silent,) = look(one, frame)
    assert (silent["faces"], silent["matches"], extractor.embeddings_computed) == (0, 0, before)

    one.send(json.dumps({"type": "ask"}))

    decision, answer = until_decided(one, frame)
    assert (decision["decision"], decision["looks"], answer["matches"]) == ("match", 2, 1)
    assert extractor.embeddings_computed >= before + 2


WRONG_RULES: dict[str, tuple[dict[str, Any], str]] = {
    "outside the frame": ({"region": [0, 0, 1, 1.5]}, "each from 0 to 1"),
    "reversed": ({"region": [0.9, 0, 0.1, 1]}, "left less than right"),
    "of three sides": ({"region": [0, 0, 1]}, "is not four of them"),
    "of texts": ({"region": ["0", 0, 1, 1]}, "is not four of them"),
    "negative": ({"dwell_s": -1}, "got a dwell of -1 s"),
    "true": ({"near": True}, "is not a number"),
    "huge": ({"near": 10**400}, "is not a number"),
}


def test_wrong_rules_are_refused_in_one_sentence_and_the_door_keeps_its_rule(
    app_state: AppState, door: Door, views: list[bytes]
) -> None:
    app_state.site.zones.set_trigger("lobby", "near")
    one = door()
    said(one)
    for members, why in WRONG_RULES.values():
        one.send(json.dumps({"type": "trigger"} | members))
        answer = said(one)
        assert (answer["type"], answer["accepted"], why in answer["detail"]) == ("trigger", False, True), answer
    assert look(one, views[-1])[-1]["faces"] == 0
    one.send(json.dumps({"type": "trigger", "near": 0.03, "region": [0, 0, 1, 1], "dwell_s": 0.3}))
    assert said(one) == {"type": "trigger", "accepted": True}
    until = time.monotonic() + PATIENCE_S
    while look(one, views[-1])[-1]["faces"] == 0:
        assert time.monotonic() < until


@pytest.mark.parametrize(
    ("shown", "zone", "status"),
    [
        (None, "lobby", 401),
        ("Bearer x", "lobby", 401),
        (Role.DESK, "lobby", 403),
        (Role.AUDITOR, "lobby", 403),
        (Role.DOOR, "lab", 403),
    ],
)
def test_a_stream_is_refused_with_an_ordinary_problem(
    door: Door, bearer: Bearer, shown: Role | str | None, zone: str, status: int
) -> None:
    headers = bearer(shown) if isinstance(shown, Role) else {} if shown is None else {"Authorization": shown}
    with pytest.raises(InvalidStatus) as refused:
        door(zone, headers)
    answer = refused.value.response
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert len(answer.headers["X-Request-Id"]) == 16
    assert json.loads(answer.body or b"")["status"] == status


def test_a_zone_that_asks_to_turn_the_head_has_no_stream_and_ends_one_that_is_open(
    door: Door, house: House, client: TestClient, bearer: Bearer, views: list[bytes]
) -> None:
    one = door()
    said(one)
    house.site.zones.set_liveness("lobby", "challenge")
    one.send(views[3])
    problem = said(one)
    assert (problem["type"], problem["status"], code_of(one)) == ("problem", 403, 1008)
    assert "asks each person to turn the head" in problem["detail"]
    with pytest.raises(InvalidStatus) as refused:
        door()
    assert refused.value.response.status_code == 403
    answer = client.post("/v1/zones/lobby/identify", content=views[3], headers=bearer(Role.DOOR))
    assert (answer.status_code, "asks each person to turn the head" in answer.json()["detail"]) == (403, True)


def test_revoking_a_credential_ends_its_idle_streams(door: Door, app_state: AppState) -> None:
    one = door()
    said(one)
    (credential,) = app_state.site.programs.credentials.list()
    app_state.site.programs.credentials.end(credential.credential_id)
    problem = said(one)
    assert (problem["type"], problem["status"]) == ("problem", 401)
    assert code_of(one) == 1008
    app_state.decisions.write(everything=True)
    (counted,) = [each for each in opened(app_state.site.installation.store, COUNTED) if each["operation"] == "stream"]
    assert (counted["caller"], counted["answers_unknown"]) == (credential.credential_id, 1)


def test_a_shutdown_closes_streams_with_the_code_for_reconnecting(door: Door, app_state: AppState) -> None:
    one = door()
    said(one)
    app_state.stopping.set()
    assert code_of(one) == 1012


def test_the_number_of_streams_of_a_credential_is_limited(door: Door, app_state: AppState) -> None:
    opened = [door() for _ in range(MAX_STREAMS)]
    for one in opened:
        said(one)
    with pytest.raises(InvalidStatus) as refused:
        door()
    assert refused.value.response.status_code == 429
    opened[0].close()
    until = time.monotonic() + PATIENCE_S
    while app_state.open_streams.total() == MAX_STREAMS and time.monotonic() < until:
        time.sleep(0.02)
    assert said(door())["type"] == "ready"


def test_a_door_that_does_not_read_blocks_no_other_door(
    client: TestClient, door: Door, bearer: Bearer, views: list[bytes]
) -> None:
    deaf = door()
    for _ in range(50):
        deaf.send(views[3])
    headers = bearer(Role.DOOR) | {"Content-Type": "image/jpeg"}
    answer = client.post("/v1/zones/lobby/identify", headers=headers, content=views[3])
    assert answer.status_code == 200


def test_a_stream_is_counted_when_it_ends(client: TestClient, door: Door, bearer: Bearer, app_state: AppState) -> None:
    one = door()
    said(one)
    one.close()
    counted, headers = 'volens_requests_total{operation="stream",status="1xx"} 1.0', bearer(Role.AUDITOR)
    until = time.monotonic() + PATIENCE_S
    while counted not in (numbers := client.get("/metrics", headers=headers).text):
        assert time.monotonic() < until
        time.sleep(0.02)
    assert not app_state.open_streams
    assert 'volens_request_seconds_count{operation="stream"}' not in numbers


def code_of(one: ClientConnection) -> int | None:
    with suppress(ConnectionClosed):
        while True:
            one.recv(timeout=PATIENCE_S)
    return one.close_code
