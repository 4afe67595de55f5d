"""WebSocket client of a service that is well, slow, dying, malicious, huge, busy or unreachable."""

import json
import socket
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_service import MATCH, STRANGER, TOKEN, FakeService, Script, fake_service, hanging, obliging
from patience import PATIENCE_S
from websockets.sync.server import ServerConnection

from tests.doors.conftest import DeciderThread, RecordedEvents, picture, until
from tests.webhooks.test_tls import certificate
from volens.consent import InputError, RefusedError
from volens.identify import AskRules
from volens.service.door import (
    DeciderLost,
    DeciderReady,
    DecisionReceived,
    Factor,
    FactorPresented,
    Frame,
    FrameProcessed,
    InputRejected,
    RecognitionRequested,
    ServiceAddress,
    Verdict,
)
from volens.service.door.remote_decider import MAX_FRAME_BYTES, MAX_UNANSWERED, RemoteDecider

Start = Callable[[RemoteDecider], DeciderThread]


def decider(service: FakeService, token: Path, *, answer_timeout_s: float = PATIENCE_S) -> RemoteDecider:
    # No jitter: the pauses are as short as possible.
    return RemoteDecider(
        ServiceAddress.from_url(service.url, "lobby", token),
        "lobby",
        chance=lambda: 0.0,
        answer_timeout_s=answer_timeout_s,
    )


def frame(shade: int = 90) -> Frame:
    return Frame(picture(shade), time.monotonic(), b"frame %d" % shade)


def test_frames_are_sent_and_decisions_received(start_decider: Start, recorded: RecordedEvents, token: Path) -> None:
    with fake_service() as service:
        one = start_decider(decider(service, token))
        one.put(frame(1))
        one.put(frame(2))
        one.end()
    assert service.frames == [b"frame 1", b"frame 2"]
    assert service.paths == ["/v1/zones/lobby/stream"]
    assert service.tokens == [f"Bearer {TOKEN}"]
    assert recorded.events[0] == DeciderReady("lobby", "made-up", None)
    (decision,) = recorded.of(DecisionReceived)
    assert isinstance(decision, DecisionReceived)
    assert (decision.verdict, decision.visit_id, decision.subject_id) == (Verdict.MATCH, "0" * 15 + "1", "c0ffee" * 5)
    assert decision.submitted_at_s is not None
    assert recorded.of(FrameProcessed) == [FrameProcessed(1, 1), FrameProcessed(1, 1)]


def test_a_door_tells_the_service_its_rules_first_and_when_a_button_is_pressed(
    start_decider: Start, recorded: RecordedEvents, token: Path
) -> None:
    def objecting(service: FakeService, line: ServerConnection) -> None:
        service.ready(line)
        service.frame(line)
        service.say(line, type="trigger", accepted=False, detail="got region 9,0,1,1")
        service.answer(line, 1)
        service.frame(line)
        service.answer(line, 2)
        service.ended.wait(PATIENCE_S)

    with fake_service(objecting) as service:
        rules = AskRules(near=0.1)
        own = RemoteDecider(ServiceAddress.from_url(service.url, "lobby", token), "lobby", rules=rules)
        one = start_decider(own)
        one.put(frame(1))
        own.present(RecognitionRequested(time.monotonic() - 60))  # too old: it was another person
        own.present(RecognitionRequested(time.monotonic()))
        one.put(frame(2))
        one.end()
    assert [json.loads(text)["type"] for text in service.texts] == ["trigger", "ask"]
    assert json.loads(service.texts[0])["near"] == 0.1
    assert recorded.of(InputRejected) == [InputRejected("the service keeps its rule for asking: got region 9,0,1,1")]


def test_a_frame_without_an_encoded_image_is_sent_as_jpeg(start_decider: Start, token: Path) -> None:
    with fake_service() as service:
        one = start_decider(decider(service, token))
        one.put(Frame(picture(), 0.0))
        one.end()
    assert service.frames[0].startswith(b"\xff\xd8\xff")


def test_at_most_two_frames_are_unanswered_and_the_newest_one_waits(
    start_decider: Start, recorded: RecordedEvents, token: Path
) -> None:
    go_on = threading.Event()

    def slow(service: FakeService, line: ServerConnection) -> None:
        service.ready(line)
        for number in (1, 2):
            service.frame(line)
            if number == MAX_UNANSWERED:
                go_on.wait(PATIENCE_S)
                service.answer(line, 1)
                service.answer(line, 2)
        service.frame(line)
        service.answer(line, 3)
        service.ended.wait(PATIENCE_S)

    with fake_service(slow) as service:
        one = start_decider(decider(service, token))
        for shade in (1, 2):
            one.frames.put(frame(shade))
            until(lambda shade=shade: len(service.frames) == shade, "the frame is sent")  # type: ignore[misc]  bound here
        for shade in (3, 4, 5):
            one.frames.put(frame(shade))
        time.sleep(0.3)
        assert len(service.frames) == MAX_UNANSWERED
        go_on.set()
        recorded.wait_for(FrameProcessed, 3)
        one.end()
    assert service.frames == [b"frame 1", b"frame 2", b"frame 5"]


def test_a_dropped_frame_is_sent_again_and_does_not_count_as_processed(
    start_decider: Start, recorded: RecordedEvents, token: Path
) -> None:
    def busy(service: FakeService, line: ServerConnection) -> None:
        service.ready(line)
        service.frame(line)
        service.answer(line, 1, dropped=True)
        service.frame(line)
        service.answer(line, 2)
        service.ended.wait(PATIENCE_S)

    with fake_service(busy) as service:
        start_decider(decider(service, token)).put(frame(7))
    assert service.frames == [b"frame 7", b"frame 7"]
    assert [one.dropped for one in recorded.of(FrameProcessed) if isinstance(one, FrameProcessed)] == [True, False]


def test_an_unreadable_frame_is_given_up_and_does_not_count_as_a_decision(
    start_decider: Start, recorded: RecordedEvents, token: Path
) -> None:
    def unreading(service: FakeService, line: ServerConnection) -> None:
        service.ready(line)
        service.frame(line)
        service.answer(line, 1, faces=0, matches=0, unreadable=True)
        service.ended.wait(PATIENCE_S)

    with fake_service(unreading) as service:
        start_decider(decider(service, token)).put(frame())
    assert len(recorded.of(InputRejected)) == 1
    assert recorded.of(FrameProcessed) == [FrameProcessed(0, 0, dropped=True)]


def test_why_a_code_cannot_be_used_is_told_by_the_door(
    start_decider: Start, recorded: RecordedEvents, token: Path
) -> None:
    def refusing(service: FakeService, line: ServerConnection) -> None:
        service.ready(line)
        service.frame(line)
        service.answer(line, 1, faces=0, matches=0, refused_code="this code is for another zone")
        service.ended.wait(PATIENCE_S)

    with fake_service(refusing) as service:
        start_decider(decider(service, token)).put(frame())
        recorded.wait_for(FrameProcessed)
    assert recorded.of(InputRejected) == [InputRejected("this code is for another zone")]
    assert recorded.of(FrameProcessed) == [FrameProcessed(0, 0)]


def closing(code: int) -> Script:
    def close(service: FakeService, line: ServerConnection) -> None:
        service.ready(line)
        service.frame(line)
        line.close(code)

    return close


def dying(service: FakeService, line: ServerConnection) -> None:
    service.ready(line)
    service.frame(line)
    line.socket.shutdown(socket.SHUT_RDWR)


def saying(*messages: str | bytes) -> Script:
    def say(service: FakeService, line: ServerConnection) -> None:
        service.ready(line)
        service.frame(line)
        for message in messages:
            line.send(message)
        service.ended.wait(PATIENCE_S)

    return say


def silent(service: FakeService, line: ServerConnection) -> None:
    del line
    service.ended.wait(PATIENCE_S)


def early(service: FakeService, line: ServerConnection) -> None:
    service.answer(line, 1)
    service.ended.wait(PATIENCE_S)


def made_up(number: int) -> str:
    return json.dumps({"type": "decision", "passage": "0" * 16, "frame": number} | MATCH)


ILL: dict[str, tuple[Script, str]] = {
    "ends because the credential was revoked": (closing(1008), "not valid any more"),
    "ends because a frame was too large": (closing(1009), "too large"),
    "has a bug": (closing(1011), "internal error"),
    "is shutting down": (closing(1012), "it is shutting down"),
    "is busy": (closing(1013), "it is busy"),
    "dies": (dying, "ended the session"),
    "sends a reason before it ends": (saying('{"type": "problem", "title": "No more"}'), "No more"),
    "decides about a frame that was never sent": (saying(made_up(99)), "not sent"),
    "decides about frame 0": (saying(made_up(0)), "not sent"),
    "answers out of order": (saying('{"type": "frame", "number": 2}'), "out of order"),
    "answers twice": (saying('{"type": "frame", "number": 1}', '{"type": "frame", "number": 1}'), "out of order"),
    "answers in bytes": (saying(b"\x00"), "not JSON text"),
    "answers with a megabyte": (saying("x" * 2**20), "ended the session"),
    "never sends 'ready'": (silent, "has not answered"),
    "answers before it is ready": (early, "did not send 'ready' first"),
    "hangs": (hanging, "has not answered"),
}


@pytest.mark.parametrize("name", ILL)
def test_the_session_ends_and_the_next_one_gets_the_frame_when_the_service(
    name: str, start_decider: Start, recorded: RecordedEvents, token: Path
) -> None:
    script, why = ILL[name]
    with fake_service(script, obliging) as service:
        one = start_decider(decider(service, token, answer_timeout_s=0.5 if why == "has not answered" else PATIENCE_S))
        one.put(frame(5))
        # A service that answered the frame before the fault is reported as lost all the same.
        recorded.wait_for(DeciderLost)
        until(lambda: service.sessions >= 2, "there is another session")
        one.put(frame(6))
        one.end()
    lost = recorded.of(DeciderLost)[0]
    assert isinstance(lost, DeciderLost)
    assert why in lost.reason
    assert TOKEN not in repr(recorded.events)
    assert not [
        one for one in recorded.of(DecisionReceived) if isinstance(one, DecisionReceived) and one.visit_id == "0" * 16
    ]


def test_a_service_that_does_not_read_does_not_block_the_client(
    start_decider: Start, recorded: RecordedEvents, token: Path
) -> None:
    def deaf(service: FakeService, line: ServerConnection) -> None:
        service.ready(line)
        line.recv_messages.pause()  # the buffers fill up
        service.ended.wait(PATIENCE_S)
        line.recv_messages.resume()

    with fake_service(deaf, obliging) as service:
        one = start_decider(decider(service, token, answer_timeout_s=0.5))
        for _ in range(3):
            one.frames.put(Frame(picture(), 0.0, bytes(8 * 2**20)))
            time.sleep(0.1)
        recorded.wait_for(DeciderLost)
        until(lambda: service.sessions >= 2, "there is another session")
        one.end()


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_credential_ends_the_door_with_an_error(
    status: int, start_decider: Start, recorded: RecordedEvents, token: Path
) -> None:
    with fake_service(refuse=[(status, {})]) as service:
        one = start_decider(decider(service, token))
        one.thread.join(PATIENCE_S)
    (error,) = one.raised
    assert isinstance(error, RefusedError)
    assert f"refuses this door's credential ({status}); create one with" in str(error)
    assert TOKEN not in str(error)
    assert not recorded.events


@pytest.mark.parametrize("status", [404, 429, 500, 503])
def test_other_refusals_are_retried(status: int, start_decider: Start, recorded: RecordedEvents, token: Path) -> None:
    with fake_service(refuse=[(status, {"Retry-After": "0"})]) as service:
        one = start_decider(decider(service, token))
        one.put(frame())
        one.end()
    (lost,) = recorded.of(DeciderLost)
    assert isinstance(lost, DeciderLost)
    assert str(status) in lost.reason
    assert service.sessions == 1


def test_an_unreachable_service_is_retried(start_decider: Start, recorded: RecordedEvents, token: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        one = start_decider(RemoteDecider(ServiceAddress.from_url(url, "lobby", token), "lobby", chance=lambda: 0.0))
        recorded.wait_for(DeciderLost, 2)
        one.end()
    assert not one.raised


def test_a_service_that_decides_about_another_zone_ends_the_door(start_decider: Start, token: Path) -> None:
    with fake_service(zone="lab") as service:
        one = start_decider(decider(service, token))
        one.thread.join(PATIENCE_S)
    (error,) = one.raised
    assert isinstance(error, InputError)
    assert "'lab'; expected 'lobby'" in str(error)


def test_only_a_fresh_factor_of_the_zones_kind_is_sent(
    start_decider: Start, recorded: RecordedEvents, token: Path
) -> None:
    def asking(service: FakeService, line: ServerConnection) -> None:
        service.ready(line)
        service.frame(line)
        service.decide(line, 1, 1, STRANGER | {"decision": "factor_required"})
        service.answer(line, 1)
        service.frame(line)
        service.answer(line, 2)
        service.ended.wait(PATIENCE_S)

    with fake_service(asking, factor="pin") as service:
        one = start_decider(decider(service, token))
        one.put(frame())
        now = time.monotonic()
        one.decider.present(FactorPresented(Factor.PIN, "1111", now - 60))
        one.decider.present(FactorPresented(Factor.BADGE, "2222", now))
        one.decider.present(FactorPresented(Factor.PIN, "3333", now))
        one.put(frame())
        one.end()
    assert [json.loads(text)["value"] for text in service.texts] == ["3333"]
    assert len(recorded.of(InputRejected)) == 1
    (decision,) = recorded.of(DecisionReceived)
    assert isinstance(decision, DecisionReceived)
    assert decision.verdict is Verdict.FACTOR_REQUIRED
    assert not [value for value in ("1111", "2222", "3333") if value in repr(recorded.events)]


def test_no_factor_is_sent_in_a_zone_without_a_second_factor(
    start_decider: Start, recorded: RecordedEvents, token: Path
) -> None:
    with fake_service() as service:
        one = start_decider(decider(service, token))
        one.decider.present(FactorPresented(Factor.PIN, "3333", time.monotonic()))
        one.put(frame())
        one.end()
    assert not service.texts
    assert len(recorded.of(InputRejected)) == 1


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://door.example:8470", "would reveal the token"),
        ("http://10.0.0.1", "would reveal the token"),
        ("http://localhost.example", "would reveal the token"),
        ("ftp://127.0.0.1", "expected --url"),
        ("https://", "expected --url"),
        ("https://a b/", "expected --url"),
        ("https://127.0.0.1/v1", "expected --url"),
        ("https://127.0.0.1:99999", "expected --url"),
        ("https://127.0.0.1/?token=x", "expected --url"),
        ("https://ada:secret@127.0.0.1", "a URL with a user name"),
        ("", "expected --url"),
    ],
)
def test_an_invalid_or_unsafe_service_url_is_refused(url: str, why: str, token: Path) -> None:
    with pytest.raises(InputError, match=why) as refused:
        ServiceAddress.from_url(url, "lobby", token)
    assert "secret" not in str(refused.value)


def test_loopback_may_use_http_and_other_hosts_need_tls(token: Path) -> None:
    assert ServiceAddress.from_url("http://[::1]:8470/", "lobby", token).url == "ws://[::1]:8470/v1/zones/lobby/stream"
    there = ServiceAddress.from_url("https://door.example", "lobby", token)
    assert there.url == "wss://door.example/v1/zones/lobby/stream"
    assert there.tls is not None
    assert TOKEN not in repr(there)


def test_a_token_file_that_other_users_can_read_is_refused(token: Path) -> None:
    token.chmod(0o640)
    with pytest.raises(InputError, match="its group can read the token"):
        ServiceAddress.from_url("http://127.0.0.1:1", "lobby", token)
    token.chmod(0o600)
    for content in (b"", b"\n", b"two\nlines", "gr\u00fc\u00dfe".encode(), b"a\x1bb"):
        token.write_bytes(content)
        with pytest.raises(InputError, match="expected one line"):
            ServiceAddress.from_url("http://127.0.0.1:1", "lobby", token)
    token.write_bytes(b"x" * 4096)
    with pytest.raises(InputError, match="more than 512 bytes"):
        ServiceAddress.from_url("http://127.0.0.1:1", "lobby", token)


def test_a_ca_file_without_certificates_is_refused(token: Path, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no")
    for ca in (tmp_path / "ca.pem", tmp_path / "none.pem"):
        with pytest.raises(InputError, match="expected a PEM file"):
            ServiceAddress.from_url("https://127.0.0.1:1", "lobby", token, ca)
    with pytest.raises(InputError, match="--ca with an http URL"):
        ServiceAddress.from_url("http://127.0.0.1:1", "lobby", token, tmp_path / "ca.pem")


def test_a_tls_service_is_trusted_only_with_a_certificate_of_the_given_ca(
    start_decider: Start, recorded: RecordedEvents, token: Path, tmp_path: Path
) -> None:
    (tmp_path / "ours").mkdir()
    ours, theirs = certificate(tmp_path / "ours", "localhost", 20), certificate(tmp_path, "localhost", 20)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(ours)
    with fake_service(tls=context) as service:
        wrong = start_decider(
            RemoteDecider(ServiceAddress.from_url(service.url, "lobby", token, theirs), "lobby", chance=lambda: 0.0)
        )
        (lost, *_) = recorded.wait_for(DeciderLost)
        assert isinstance(lost, DeciderLost)
        assert "TLS connection to the service failed" in lost.reason
        wrong.end()
        assert not service.tokens
        right = start_decider(RemoteDecider(ServiceAddress.from_url(service.url, "lobby", token, ours), "lobby"))
        right.put(frame(3))
        right.end()
    assert service.frames == [b"frame 3"]


def test_a_frame_above_the_size_limit_of_the_service_is_not_sent(start_decider: Start, token: Path) -> None:
    with fake_service() as service:
        one = start_decider(decider(service, token))
        one.put(Frame(picture(), 0.0, bytes(MAX_FRAME_BYTES + 1)))
        one.put(frame(4))
        one.end()
    assert service.frames == [b"frame 4"]
