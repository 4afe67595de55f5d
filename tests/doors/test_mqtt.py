"""What a broker is told: by the rules for its address, in topics, to Home Assistant, and by a real one on loopback."""

import builtins
import json
import re
import socket
import sys
import time
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from types import ModuleType

import pytest
from broker import PASSWORD, LoopbackBroker, loopback_broker, subscriber

from tests.doors.conftest import until
from volens.consent import InputError, Purpose, UnavailableError
from volens.service.cli.app import run
from volens.service.door.door_events import Decided, Verdict
from volens.service.door.door_state import Lock, Standing
from volens.service.door.home_assistant import farewells, introductions
from volens.service.door.mqtt_bridge import MAX_WAITING, Bridge
from volens.service.door.mqtt_broker import Broker
from volens.service.door.mqtt_messages import Health, Message, Topics
from volens.service.door.output_threads import OutputHealth

TOPICS = Topics(Purpose("lobby"), "left")
AT = "2026-11-27T08:00:00Z"
WHO = "c0ffee" * 5
DECIDED = Decided(Verdict.MATCH, "00112233445566ff", 1.0, WHO)


@pytest.fixture(scope="module")
def broker() -> Iterator[LoopbackBroker]:
    with loopback_broker() as one:
        yield one


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("mqtt://broker.example", "reads and writes along"),
        ("mqtt://10.0.0.1", "reads and writes along"),
        ("http://127.0.0.1", "expected --mqtt"),
        ("mqtts://", "expected --mqtt"),
        ("mqtts://a b", "expected --mqtt"),
        ("mqtts://broker.example/topic", "expected --mqtt"),
        ("mqtts://broker.example:99999", "expected --mqtt"),
        ("mqtts://ada:secret@broker.example", "a user in it"),
    ],
)
def test_a_broker_that_would_not_do_is_refused(url: str, why: str) -> None:
    with pytest.raises(InputError, match=why) as refused:
        Broker.at(url)
    assert "secret" not in str(refused.value)


def test_a_broker_is_reached_in_the_clear_on_loopback_or_if_that_was_said_and_over_tls_elsewhere(
    tmp_path: Path,
) -> None:
    assert Broker.at("mqtt://localhost").port == 1883
    assert Broker.at("mqtt://10.0.0.1:1884", in_clear=True).port == 1884
    file = tmp_path / "password"
    file.write_text("hush\n")
    file.chmod(0o600)
    there = Broker.at("mqtts://broker.example", user="door", password_file=file)
    assert (there.port, there.user, there.password) == (8883, "door", "hush")
    assert there.tls is not None
    assert "hush" not in repr(there)
    file.chmod(0o644)
    with pytest.raises(InputError, match="others may read the password"):
        Broker.at("mqtts://broker.example", user="door", password_file=file)
    with pytest.raises(InputError, match="without --mqtt-user"):
        Broker.at("mqtts://broker.example", password_file=file)


@pytest.mark.parametrize("door", ["", "Left", "a/b", "a+", "#", "-a", "a" * 33, "a\n"])
def test_a_door_whose_name_would_be_no_level_of_a_topic_is_refused(door: str) -> None:
    with pytest.raises(InputError, match="change --door"):
        Topics.of(Purpose("lobby"), door)


def test_messages_say_how_a_door_stands_and_not_who_passed() -> None:
    health = Health(
        12.34, 0.05, source_ok=True, decider_ok=False, outputs=(OutputHealth("console", is_well=True),), version="1"
    )
    said = [
        TOPICS.availability(online=True),
        TOPICS.state(Standing(Lock.UNLOCKED, offline=False, open_until_s=9), AT),
        TOPICS.health(health, AT),
        TOPICS.decision(DECIDED, AT),
    ]
    assert [(one.topic, one.retained) for one in said] == [
        ("volens/lobby/left/availability", True),
        ("volens/lobby/left/state", True),
        ("volens/lobby/left/health", True),
        ("volens/lobby/left/decision", False),
    ]
    assert said[0].payload == "online"
    assert json.loads(said[1].payload) == {"lock": "unlocked", "offline": False, "at": AT}
    assert json.loads(said[2].payload)["frames_per_second"] == 12.3
    assert json.loads(said[3].payload) == {"decision": "match", "passage": DECIDED.passage, "at": AT}
    with_id = json.loads(TOPICS.decision(DECIDED, AT, with_subject_id=True).payload)
    assert with_id == {"decision": "match", "passage": DECIDED.passage, "at": AT, "subject_id": WHO}


# What Home Assistant's documentation requires or knows, for the components that are used.
KNOWN = {
    "binary_sensor": {"device_class", "payload_on", "payload_off"},
    "sensor": {"state_class", "unit_of_measurement"},
    "event": {"event_types"},
}
ALL = {
    "availability_topic", "payload_available", "payload_not_available", "device", "origin", "unique_id", "name",
    "state_topic", "value_template", "entity_category", "json_attributes_topic",
}  # fmt: skip


def test_a_door_introduces_itself_as_home_assistant_documents_it() -> None:
    messages = introductions(TOPICS, "0.1.0")
    assert len({message.topic for message in messages}) == len(messages) == 5
    for message in messages:
        found = re.fullmatch(r"homeassistant/([a-z_]+)/([A-Za-z0-9_-]+)/config", message.topic)
        assert found is not None
        said = json.loads(message.payload)
        assert message.retained
        assert said["unique_id"] == found[2]
        assert set(said) <= ALL | KNOWN[found[1]]
        assert {"state_topic", "value_template", "availability_topic", "device", "origin", "name"} <= set(said)
        assert said["availability_topic"] == "volens/lobby/left/availability"
        assert (said["payload_available"], said["payload_not_available"]) == ("online", "offline")
        assert said["device"]["identifiers"] == ["volens_lobby_left"]
        assert said["origin"] == {"name": "volens", "sw_version": "0.1.0"}
        assert said["state_topic"].removeprefix("volens/lobby/left/") in {"state", "health", "decision"}
    classes = {json.loads(one.payload).get("device_class") for one in messages if "/binary_sensor/" in one.topic}
    assert classes == {"lock", "problem", "connectivity"}
    (event,) = [json.loads(one.payload) for one in messages if "/event/" in one.topic]
    assert event["event_types"] == [verdict.value for verdict in Verdict]
    assert {one.topic for one in farewells(TOPICS)} == {one.topic for one in messages}
    assert {one.payload for one in farewells(TOPICS)} == {""}


def test_templates_of_home_assistant_say_what_they_are_meant_to() -> None:
    from jinja2 import Environment  # noqa: PLC0415  only here

    def rendered(name: str, message: Message) -> str:
        (one,) = [json.loads(it.payload) for it in introductions(TOPICS, "1") if f"_{name}/" in it.topic]
        return (
            Environment(autoescape=True)
            .from_string(one["value_template"])
            .render(value_json=json.loads(message.payload))
        )

    for lock, expected in ((Lock.LOCKED, "OFF"), (Lock.UNLOCKED, "ON"), (Lock.HELD_OPEN, "ON")):
        assert rendered("lock", TOPICS.state(Standing(lock, offline=False), AT)) == expected
    assert rendered("problem", TOPICS.state(Standing(Lock.LOCKED, offline=True), AT)) == "ON"
    said = rendered("decision", TOPICS.decision(DECIDED, AT))
    assert json.loads(unescape(said)) == {"event_type": "match", "passage": DECIDED.passage}


def bridge(broker: LoopbackBroker, door: str, *introduced: Message) -> tuple[Bridge, Topics]:
    topics = Topics(Purpose("lobby"), door)
    return Bridge(Broker.at(broker.url), topics, introduced, chance=lambda: 0.0), topics


def test_who_subscribes_late_hears_the_retained_truth_and_no_old_decisions(broker: LoopbackBroker) -> None:
    one, topics = bridge(broker, "late", *introductions(Topics(Purpose("lobby"), "late"), "1"))
    one.start()
    with subscriber(broker.port, "volens/lobby/late/#") as early:
        one.tell(topics.state(Standing(Lock.LOCKED, offline=False), AT))
        one.tell(topics.decision(DECIDED, AT))
        one.tell(topics.state(Standing(Lock.UNLOCKED, offline=False, open_until_s=1), AT))
        early.wait_for("/state", payload=topics.state(Standing(Lock.UNLOCKED, offline=False), AT).payload)
        early.wait_for("/decision")
        early.wait_for("/availability", payload="online")
    with subscriber(broker.port) as late:
        late.wait_for("/late/state")
        late.wait_for("/late/availability", payload="online")
        late.wait_for("volens_lobby_late_lock/config")
        assert all(retained for topic, _, retained in late.heard if "late" in topic)
        assert late.documents("/late/state")[-1]["lock"] == "unlocked"
        assert not late.payloads("/late/decision")
        assert one.end()
        late.wait_for("/late/availability", payload="offline")


def test_a_door_that_is_no_more_is_forgotten_by_the_broker(
    broker: LoopbackBroker, capsys: pytest.CaptureFixture[str]
) -> None:
    one, topics = bridge(broker, "gone", *introductions(Topics(Purpose("lobby"), "gone"), "1"))
    one.start()
    one.tell(topics.state(Standing(Lock.LOCKED, offline=False), AT))
    assert one.end(20)
    assert run(["door", "forget", "--zone", "lobby", "--door", "gone", "--mqtt", broker.url, "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["forgotten"]) == 8
    last, topics = bridge(broker, "last")
    last.start()
    last.tell(topics.state(Standing(Lock.LOCKED, offline=False), AT))
    assert last.end(20)
    with subscriber(broker.port) as late:
        late.wait_for("/last/state")
        assert not [topic for topic, payload, _ in late.heard if "gone" in topic and payload]


def test_a_broker_that_comes_back_is_told_the_truth_again_and_what_happened_as_far_as_there_was_room() -> None:
    with loopback_broker() as broker:
        one, topics = bridge(broker, "door")
        one.start()
        one.tell(topics.state(Standing(Lock.LOCKED, offline=False), AT))
        until(lambda: one.is_connected, "the broker is there")
        broker.stop()
        until(lambda: not one.is_connected, "that the broker is gone is noticed")
        one.tell(topics.state(Standing(Lock.HELD_OPEN, offline=True), AT))
        for number in range(MAX_WAITING + 10):
            one.tell(topics.decision(Decided(Verdict.NO_MATCH, f"{number:016x}", None), AT))
        assert one.dropped >= 10
        broker.start()
        until(lambda: one.is_connected, "the broker is there again")
        with subscriber(broker.port) as late:
            late.wait_for("/availability", payload="online")
            late.wait_for("/state")
            assert late.documents("/state")[0]["lock"] == "held_open"
            assert one.end()
            late.wait_for("/availability", payload="offline")


def test_a_broker_that_refuses_or_says_nothing_holds_up_nobody(
    broker: LoopbackBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("volens.service.door.mqtt_bridge.ANSWER_S", 0.5)
    file = tmp_path / "password"
    file.write_text("wrong\n")
    file.chmod(0o600)
    refused = Bridge(Broker.at(broker.url, user="door", password_file=file), TOPICS)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        silent = Bridge(Broker.at(f"mqtt://127.0.0.1:{mute.getsockname()[1]}"), TOPICS)
        for one in (refused, silent):
            one.start()
            for _ in range(1000):
                one.tell(TOPICS.decision(DECIDED, AT))
        time.sleep(0.3)
        assert not refused.is_connected
        assert not silent.is_connected
        assert not silent.end(0.1)
    assert refused.end(20)
    file.write_text(PASSWORD)
    admitted = Bridge(Broker.at(broker.url, user="door", password_file=file), TOPICS)
    admitted.start()
    until(lambda: admitted.is_connected, "the right password is taken")
    assert admitted.end()


def test_without_the_package_the_sentence_says_which_extra(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    imported = builtins.__import__

    def missing(name: str, *rest: object) -> ModuleType:
        if name == "aiomqtt":
            raise ImportError(name)
        return imported(name, *rest)  # type: ignore[arg-type]  handed through

    monkeypatch.delitem(sys.modules, "aiomqtt", raising=False)
    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(UnavailableError, match="with the extra 'mqtt'"):
        Bridge(Broker("127.0.0.1", 1), TOPICS)
    assert run(["door", "forget", "--zone", "lobby", "--mqtt", "mqtt://127.0.0.1:1"]) == 6
    assert "pip install 'volens[mqtt]'" in capsys.readouterr().err


def test_a_broker_that_is_not_there_cannot_forget(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"mqtt://127.0.0.1:{taken.getsockname()[1]}"
        assert run(["door", "forget", "--zone", "lobby", "--mqtt", url]) == 6
    assert "the broker is not there or refuses" in capsys.readouterr().err
