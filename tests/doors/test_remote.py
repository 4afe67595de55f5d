"""Asking a service for decisions: one that is well, slow, dying, lying, huge, busy, or not there."""

import json
import socket
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_service import MATCH, STRANGER, TOKEN, FakeService, Script, fake_service, hanging, obliging
from websockets.sync.server import ServerConnection

from tests.doors.conftest import Deciding, Heard, picture, until
from tests.webhooks.test_tls import certificate
from volens.consent import InputError, RefusedError
from volens.service.door.door_events import Decided, Factor, Looked, Lost, Ready, Shown, Unusable, Verdict
from volens.service.door.frame_queue import Frame
from volens.service.door.remote_decider import MAX_FRAME_BYTES, MAX_UNANSWERED, RemoteDecider
from volens.service.door.service_address import Service

Start = Callable[[RemoteDecider], Deciding]


def decider(service: FakeService, token: Path, *, answer_s: float = 10.0) -> RemoteDecider:
    # No jitter: pauses are as short as they can be.
    return RemoteDecider(Service.at(service.url, "lobby", token), "lobby", chance=lambda: 0.0, answer_s=answer_s)


def frame(shade: int = 90) -> Frame:
    return Frame(picture(shade), time.monotonic(), b"frame %d" % shade)


def test_frames_go_out_and_decisions_come_in(deciding: Start, heard: Heard, token: Path) -> None:
    with fake_service() as service:
        one = deciding(decider(service, token))
        one.put(frame(1))
        one.put(frame(2))
        one.end()
    assert service.frames == [b"frame 1", b"frame 2"]
    assert service.paths == ["/v1/zones/lobby/stream"]
    assert service.tokens == [f"Bearer {TOKEN}"]
    assert heard.events[0] == Ready("lobby", "made-up", None)
    (decided,) = heard.of(Decided)
    assert isinstance(decided, Decided)
    assert (decided.verdict, decided.passage, decided.subject_id) == (Verdict.MATCH, "0" * 15 + "1", "c0ffee" * 5)
    assert decided.asked_at_s is not None
    assert heard.of(Looked) == [Looked(1, 1), Looked(1, 1)]


def test_a_frame_without_bytes_goes_out_as_jpeg(deciding: Start, token: Path) -> None:
    with fake_service() as service:
        one = deciding(decider(service, token))
        one.put(Frame(picture(), 0.0))
        one.end()
    assert service.frames[0].startswith(b"\xff\xd8\xff")


def test_at_most_two_frames_are_unanswered_and_the_newest_of_the_others_waits(
    deciding: Start, heard: Heard, token: Path
) -> None:
    go_on = threading.Event()

    def slow(service: FakeService, line: ServerConnection) -> None:
        service.ready(line)
        for number in (1, 2):
            service.frame(line)
            if number == MAX_UNANSWERED:
                go_on.wait(20)
                service.answer(line, 1)
                service.answer(line, 2)
        service.frame(line)
        service.answer(line, 3)
        service.ended.wait(20)

    with fake_service(slow) as service:
        one = deciding(decider(service, token))
        for shade in (1, 2):
            one.frames.put(frame(shade))
            until(lambda shade=shade: len(service.frames) == shade, "the frame is sent")  # type: ignore[misc]  bound here
        for shade in (3, 4, 5):
            one.frames.put(frame(shade))
        time.sleep(0.3)
        assert len(service.frames) == MAX_UNANSWERED
        go_on.set()
        heard.wait_for(Looked, 3)
        one.end()
    assert service.frames == [b"frame 1", b"frame 2", b"frame 5"]


def test_a_frame_that_was_dropped_is_asked_again_and_does_not_count_as_looked_at(
    deciding: Start, heard: Heard, token: Path
) -> None:
    def busy(service: FakeService, line: ServerConnection) -> None:
        service.ready(line)
        service.frame(line)
        service.answer(line, 1, dropped=True)
        service.frame(line)
        service.answer(line, 2)
        service.ended.wait(20)

    with fake_service(busy) as service:
        deciding(decider(service, token)).put(frame(7))
    assert service.frames == [b"frame 7", b"frame 7"]
    assert [one.dropped for one in heard.of(Looked) if isinstance(one, Looked)] == [True, False]


def test_a_frame_that_is_no_image_to_the_service_is_given_up_and_proves_no_decision(
    deciding: Start, heard: Heard, token: Path
) -> None:
    def unreading(service: FakeService, line: ServerConnection) -> None:
        service.ready(line)
        service.frame(line)
        service.answer(line, 1, faces=0, matches=0, unreadable=True)
        service.ended.wait(20)

    with fake_service(unreading) as service:
        deciding(decider(service, token)).put(frame())
    assert len(heard.of(Unusable)) == 1
    assert heard.of(Looked) == [Looked(0, 0, dropped=True)]


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
        service.ended.wait(20)

    return say


def silent(service: FakeService, line: ServerConnection) -> None:
    del line
    service.ended.wait(20)


def early(service: FakeService, line: ServerConnection) -> None:
    service.answer(line, 1)
    service.ended.wait(20)


def made_up(number: int) -> str:
    return json.dumps({"type": "decision", "passage": "0" * 16, "frame": number} | MATCH)


ILL: dict[str, tuple[Script, str]] = {
    "ends because the credential ended": (closing(1008), "not in force"),
    "ends because a frame was too large": (closing(1009), "too large"),
    "has a bug": (closing(1011), "went wrong there"),
    "is ending": (closing(1012), "it is ending"),
    "is busy": (closing(1013), "it is busy"),
    "dies": (dying, "ended the session"),
    "says why it ends": (saying('{"type": "problem", "title": "No more"}'), "No more"),
    "lies about a frame that it was never sent": (saying(made_up(99)), "not sent"),
    "lies about frame 0": (saying(made_up(0)), "not sent"),
    "answers out of order": (saying('{"type": "frame", "number": 2}'), "out of their order"),
    "answers twice": (saying('{"type": "frame", "number": 1}', '{"type": "frame", "number": 1}'), "out of their order"),
    "answers in bytes": (saying(b"\x00"), "not JSON text"),
    "answers with a megabyte": (saying("x" * 2**20), "ended the session"),
    "never says that it is ready": (silent, "has not answered"),
    "answers before it is ready": (early, "ready first"),
    "hangs": (hanging, "has not answered"),
}


@pytest.mark.parametrize("name", ILL)
def test_a_session_ends_and_the_frame_is_asked_in_the_next_one_when_the_service(
    name: str, deciding: Start, heard: Heard, token: Path
) -> None:
    script, why = ILL[name]
    with fake_service(script, obliging) as service:
        one = deciding(decider(service, token, answer_s=0.5))
        one.put(frame(5))
        # Whoever answered the frame before it became strange is told of once there is a new session.
        heard.wait_for(Lost)
        until(lambda: service.sessions >= 2, "there is another session")
        one.put(frame(6))
        one.end()
    lost = heard.of(Lost)[0]
    assert isinstance(lost, Lost)
    assert why in lost.sentence
    assert TOKEN not in repr(heard.events)
    assert not [one for one in heard.of(Decided) if isinstance(one, Decided) and one.passage == "0" * 16]


def test_a_service_that_reads_nothing_holds_up_nobody(deciding: Start, heard: Heard, token: Path) -> None:
    def deaf(service: FakeService, line: ServerConnection) -> None:
        service.ready(line)
        line.recv_messages.pause()  # the buffers fill up
        service.ended.wait(20)
        line.recv_messages.resume()

    with fake_service(deaf, obliging) as service:
        one = deciding(decider(service, token, answer_s=0.5))
        for _ in range(3):
            one.frames.put(Frame(picture(), 0.0, bytes(8 * 2**20)))
            time.sleep(0.1)
        heard.wait_for(Lost)
        until(lambda: service.sessions >= 2, "there is another session")
        one.end()


@pytest.mark.parametrize("status", [401, 403])
def test_a_credential_that_is_refused_ends_the_door_with_a_sentence(
    status: int, deciding: Start, heard: Heard, token: Path
) -> None:
    with fake_service(refuse=[(status, {})]) as service:
        one = deciding(decider(service, token))
        one.thread.join(20)
    (error,) = one.raised
    assert isinstance(error, RefusedError)
    assert f"refuses this door's credential ({status}); issue one with" in str(error)
    assert TOKEN not in str(error)
    assert not heard.events


@pytest.mark.parametrize("status", [404, 429, 500, 503])
def test_other_refusals_are_asked_again(status: int, deciding: Start, heard: Heard, token: Path) -> None:
    with fake_service(refuse=[(status, {"Retry-After": "0"})]) as service:
        one = deciding(decider(service, token))
        one.put(frame())
        one.end()
    (lost,) = heard.of(Lost)
    assert isinstance(lost, Lost)
    assert str(status) in lost.sentence
    assert service.sessions == 1


def test_a_service_that_is_not_there_is_asked_until_it_is(deciding: Start, heard: Heard, token: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        one = deciding(RemoteDecider(Service.at(url, "lobby", token), "lobby", chance=lambda: 0.0))
        heard.wait_for(Lost, 2)
        one.end()
    assert not one.raised


def test_a_service_that_decides_about_another_zone_ends_the_door(deciding: Start, token: Path) -> None:
    with fake_service(zone="lab") as service:
        one = deciding(decider(service, token))
        one.thread.join(20)
    (error,) = one.raised
    assert isinstance(error, InputError)
    assert "'lab'; expected 'lobby'" in str(error)


def test_what_is_shown_goes_out_where_the_zone_asks_for_it_while_it_is_fresh(
    deciding: Start, heard: Heard, token: Path
) -> None:
    def asking(service: FakeService, line: ServerConnection) -> None:
        service.ready(line)
        service.frame(line)
        service.decide(line, 1, 1, STRANGER | {"decision": "factor_required"})
        service.answer(line, 1)
        service.frame(line)
        service.answer(line, 2)
        service.ended.wait(20)

    with fake_service(asking, factor="pin") as service:
        one = deciding(decider(service, token))
        one.put(frame())
        now = time.monotonic()
        one.decider.present(Shown(Factor.PIN, "1111", now - 60))
        one.decider.present(Shown(Factor.BADGE, "2222", now))
        one.decider.present(Shown(Factor.PIN, "3333", now))
        one.put(frame())
        one.end()
    assert [json.loads(text)["value"] for text in service.texts] == ["3333"]
    assert len(heard.of(Unusable)) == 1
    (decided,) = heard.of(Decided)
    assert isinstance(decided, Decided)
    assert decided.verdict is Verdict.FACTOR_REQUIRED
    assert not [value for value in ("1111", "2222", "3333") if value in repr(heard.events)]


def test_nothing_is_shown_to_a_zone_that_asks_for_a_face_only(deciding: Start, heard: Heard, token: Path) -> None:
    with fake_service() as service:
        one = deciding(decider(service, token))
        one.decider.present(Shown(Factor.PIN, "3333", time.monotonic()))
        one.put(frame())
        one.end()
    assert not service.texts
    assert len(heard.of(Unusable)) == 1


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://door.example:8470", "would show the token"),
        ("http://10.0.0.1", "would show the token"),
        ("http://localhost.example", "would show the token"),
        ("ftp://127.0.0.1", "expected --url"),
        ("https://", "expected --url"),
        ("https://a b/", "expected --url"),
        ("https://127.0.0.1/v1", "expected --url"),
        ("https://127.0.0.1:99999", "expected --url"),
        ("https://127.0.0.1/?token=x", "expected --url"),
        ("https://ada:secret@127.0.0.1", "a user's name in it"),
        ("", "expected --url"),
    ],
)
def test_an_address_that_would_not_do_is_refused(url: str, why: str, token: Path) -> None:
    with pytest.raises(InputError, match=why) as refused:
        Service.at(url, "lobby", token)
    assert "secret" not in str(refused.value)


def test_loopback_may_be_asked_in_the_clear_and_everybody_over_tls(token: Path) -> None:
    assert Service.at("http://[::1]:8470/", "lobby", token).url == "ws://[::1]:8470/v1/zones/lobby/stream"
    there = Service.at("https://door.example", "lobby", token)
    assert there.url == "wss://door.example/v1/zones/lobby/stream"
    assert there.tls is not None
    assert TOKEN not in repr(there)


def test_a_token_that_others_may_read_is_refused(token: Path) -> None:
    token.chmod(0o640)
    with pytest.raises(InputError, match="others may read the token"):
        Service.at("http://127.0.0.1:1", "lobby", token)
    token.chmod(0o600)
    for content in (b"", b"\n", b"two\nlines", "gr\u00fc\u00dfe".encode(), b"a\x1bb"):
        token.write_bytes(content)
        with pytest.raises(InputError, match="expected one line"):
            Service.at("http://127.0.0.1:1", "lobby", token)
    token.write_bytes(b"x" * 4096)
    with pytest.raises(InputError, match="more than 512 bytes"):
        Service.at("http://127.0.0.1:1", "lobby", token)


def test_authorities_that_are_none_are_refused(token: Path, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no")
    for ca in (tmp_path / "ca.pem", tmp_path / "none.pem"):
        with pytest.raises(InputError, match="expected a PEM file"):
            Service.at("https://127.0.0.1:1", "lobby", token, ca)
    with pytest.raises(InputError, match="--ca with an http address"):
        Service.at("http://127.0.0.1:1", "lobby", token, tmp_path / "ca.pem")


def test_a_service_is_believed_over_tls_only_with_a_certificate_of_its_authority(
    deciding: Start, heard: Heard, token: Path, tmp_path: Path
) -> None:
    (tmp_path / "ours").mkdir()
    ours, theirs = certificate(tmp_path / "ours", "localhost", 20), certificate(tmp_path, "localhost", 20)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(ours)
    with fake_service(tls=context) as service:
        wrong = deciding(RemoteDecider(Service.at(service.url, "lobby", token, theirs), "lobby", chance=lambda: 0.0))
        (lost, *_) = heard.wait_for(Lost)
        assert isinstance(lost, Lost)
        assert "TLS does not hold" in lost.sentence
        wrong.end()
        assert not service.tokens
        right = deciding(RemoteDecider(Service.at(service.url, "lobby", token, ours), "lobby"))
        right.put(frame(3))
        right.end()
    assert service.frames == [b"frame 3"]


def test_a_frame_that_is_larger_than_a_service_takes_is_not_sent(deciding: Start, token: Path) -> None:
    with fake_service() as service:
        one = deciding(decider(service, token))
        one.put(Frame(picture(), 0.0, bytes(MAX_FRAME_BYTES + 1)))
        one.put(frame(4))
        one.end()
    assert service.frames == [b"frame 4"]
