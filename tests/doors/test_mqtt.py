"""MQTT: broker addresses, topics and messages, Home Assistant discovery, and a real broker on loopback."""

import json
import re
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest
from broker import PASSWORD, LoopbackBroker, loopback_broker, subscriber
from command_line import run
from patience import PATIENCE_S

from tests.doors.conftest import until
from volens.consent import InputError, Purpose, UnavailableError
from volens.service.door import (
    Broker,
    DecisionReceived,
    DoorStatus,
    Health,
    Lock,
    OutputHealth,
    Topics,
    Verdict,
    removal_messages,
)
from volens.service.door.home_assistant import discovery_messages
from volens.service.door.mqtt_bridge import MAX_WAITING, Bridge
from volens.service.door.mqtt_messages import Message

TOPICS = Topics(Purpose("lobby"), "left")
AT = "2026-11-27T08:00:00Z"
UNTIL = "2026-11-27T08:00:05Z"
WHO = "c0ffee" * 5
DECIDED = DecisionReceived(Verdict.MATCH, "00112233445566ff", 1.0, WHO)


@pytest.fixture(scope="module")
def broker() -> Iterator[LoopbackBroker]:
    with loopback_broker() as one:
        yield one


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("mqtt://broker.example", "others on the network can read"),
        ("mqtt://10.0.0.1", "others on the network can read"),
        ("http://127.0.0.1", "expected --mqtt"),
        ("mqtts://", "expected --mqtt"),
        ("mqtts://a b", "expected --mqtt"),
        ("mqtts://broker.example/topic", "expected --mqtt"),
        ("mqtts://broker.example:99999", "expected --mqtt"),
        ("mqtts://ada:secret@broker.example", "a user name"),
    ],
)
def test_an_invalid_or_unsafe_broker_url_is_refused(url: str, why: str) -> None:
    with pytest.raises(InputError, match=why) as refused:
        Broker.from_url(url)
    assert "secret" not in str(refused.value)


def test_a_broker_needs_tls_unless_it_is_on_loopback_or_plaintext_is_allowed(
    tmp_path: Path,
) -> None:
    assert Broker.from_url("mqtt://localhost").port == 1883
    assert Broker.from_url("mqtt://10.0.0.1:1884", in_clear=True).port == 1884
    file = tmp_path / "password"
    file.write_text("hush\n")
    file.chmod(0o600)
    there = Broker.from_url("mqtts://broker.example", user="door", password_file=file)
    assert (there.port, there.user, there.password) == (8883, "door", "hush")
    assert there.tls is not None
    assert "hush" not in repr(there)
    file.chmod(0o644)
    with pytest.raises(InputError, match="other users can read the password"):
        Broker.from_url("mqtts://broker.example", user="door", password_file=file)
    with pytest.raises(InputError, match="without --mqtt-user"):
        Broker.from_url("mqtts://broker.example", password_file=file)


@pytest.mark.parametrize("door", ["", "Left", "a/b", "a+", "#", "-a", "a" * 33, "a\n"])
def test_a_door_name_that_is_no_topic_level_is_refused(door: str) -> None:
    with pytest.raises(InputError, match="change --door"):
        Topics(Purpose("lobby"), door)


def test_messages_contain_the_state_of_the_door_and_no_person() -> None:
    health = Health(
        12.34, 0.05, source_ok=True, decider_ok=False, outputs=(OutputHealth("console", is_ok=True),), version="1"
    )
    messages = [
        TOPICS.availability(online=True),
        TOPICS.state(DoorStatus(Lock.UNLOCKED, offline=False, open_until_s=9), AT, UNTIL),
        TOPICS.health(health, AT),
        TOPICS.decision(DECIDED, AT),
    ]
    assert [(one.topic, one.retained) for one in messages] == [
        ("volens/lobby/left/availability", True),
        ("volens/lobby/left/state", True),
        ("volens/lobby/left/health", True),
        ("volens/lobby/left/decision", False),
    ]
    assert messages[0].payload == "online"
    assert json.loads(messages[1].payload) == {
        "lock": "unlocked",
        "offline": False,
        "badges_only": False,
        "until": UNTIL,
        "at": AT,
    }
    assert json.loads(messages[2].payload)["frames_per_second"] == 12.3
    assert json.loads(messages[3].payload) == {"decision": "match", "passage": DECIDED.visit_id, "at": AT}
    with_id = json.loads(replace(TOPICS, with_subject_ids=True).decision(DECIDED, AT).payload)
    assert with_id == {"decision": "match", "passage": DECIDED.visit_id, "at": AT, "subject_id": WHO}


# The keys that Home Assistant's documentation requires or allows, for the components that are used.
KNOWN = {
    "binary_sensor": {"device_class", "payload_on", "payload_off"},
    "sensor": {"state_class", "unit_of_measurement"},
    "event": {"event_types"},
}
ALL = {
    "availability_topic", "payload_available", "payload_not_available", "device", "origin", "unique_id", "name",
    "state_topic", "value_template", "entity_category", "json_attributes_topic",
}  # fmt: skip


def test_discovery_messages_follow_the_documentation_of_home_assistant() -> None:
    messages = discovery_messages(TOPICS, "0.1.0")
    assert len({message.topic for message in messages}) == len(messages) == 5
    for message in messages:
        found = re.fullmatch(r"homeassistant/([a-z_]+)/([A-Za-z0-9_-]+)/config", message.topic)
        assert found is not None
        document = json.loads(message.payload)
        assert message.retained
        assert document["unique_id"] == found[2]
        assert set(document) <= ALL | KNOWN[found[1]]
        assert {"state_topic", "value_template", "availability_topic", "device", "origin", "name"} <= set(document)
        assert document["availability_topic"] == "volens/lobby/left/availability"
        assert (document["payload_available"], document["payload_not_available"]) == ("online", "offline")
        assert document["device"]["identifiers"] == ["volens_lobby_left"]
        assert document["origin"] == {"name": "volens", "sw_version": "0.1.0"}
        assert document["state_topic"].removeprefix("volens/lobby/left/") in {"state", "health", "decision"}
    classes = {json.loads(one.payload).get("device_class") for one in messages if "/binary_sensor/" in one.topic}
    assert classes == {"lock", "problem", "connectivity"}
    (event,) = [json.loads(one.payload) for one in messages if "/event/" in one.topic]
    assert event["event_types"] == [verdict.value for verdict in Verdict]
    assert {one.topic for one in removal_messages(TOPICS)} == {one.topic for one in messages}
    assert {one.payload for one in removal_messages(TOPICS)} == {""}


def test_templates_of_home_assistant_render_the_expected_values() -> None:
    from jinja2 import Environment  # noqa: PLC0415  only here

    def rendered(name: str, message: Message) -> str:
        (one,) = [json.loads(it.payload) for it in discovery_messages(TOPICS, "1") if f"_{name}/" in it.topic]
        return (
            Environment(autoescape=True)
            .from_string(one["value_template"])
            .render(value_json=json.loads(message.payload))
        )

    for lock, expected in ((Lock.LOCKED, "OFF"), (Lock.UNLOCKED, "ON"), (Lock.HELD_OPEN, "ON")):
        assert rendered("lock", TOPICS.state(DoorStatus(lock, offline=False), AT)) == expected
    assert rendered("problem", TOPICS.state(DoorStatus(Lock.LOCKED, offline=True), AT)) == "ON"
    event = rendered("decision", TOPICS.decision(DECIDED, AT))
    assert json.loads(unescape(event)) == {"event_type": "match", "passage": DECIDED.visit_id}


def bridge(broker: LoopbackBroker, door: str, *discovery: Message) -> tuple[Bridge, Topics]:
    topics = Topics(Purpose("lobby"), door)
    return Bridge(Broker.from_url(broker.url), topics, discovery, chance=lambda: 0.0), topics


def test_a_late_subscriber_gets_retained_messages_and_no_old_decisions(broker: LoopbackBroker) -> None:
    one, topics = bridge(broker, "late", *discovery_messages(Topics(Purpose("lobby"), "late"), "1"))
    one.start()
    with subscriber(broker.port, "volens/lobby/late/#") as early:
        one.publish(topics.state(DoorStatus(Lock.LOCKED, offline=False), AT))
        one.publish(topics.decision(DECIDED, AT))
        one.publish(topics.state(DoorStatus(Lock.UNLOCKED, offline=False, open_until_s=1), AT))
        early.wait_for("/state", payload=topics.state(DoorStatus(Lock.UNLOCKED, offline=False), AT).payload)
        early.wait_for("/decision")
        early.wait_for("/availability", payload="online")
    with subscriber(broker.port) as late:
        late.wait_for("/late/state")
        late.wait_for("/late/availability", payload="online")
        late.wait_for("volens_lobby_late_lock/config")
        assert all(retained for topic, _, retained in late.heard if "late" in topic)
        assert late.documents("/late/state")[-1]["lock"] == "unlocked"
        assert not late.payloads("/late/decision")
        assert one.end(PATIENCE_S)
        late.wait_for("/late/availability", payload="offline")


def test_door_forget_deletes_the_retained_messages_of_a_door(
    broker: LoopbackBroker, capsys: pytest.CaptureFixture[str]
) -> None:
    one, topics = bridge(broker, "gone", *discovery_messages(Topics(Purpose("lobby"), "gone"), "1"))
    one.start()
    one.publish(topics.state(DoorStatus(Lock.LOCKED, offline=False), AT))
    assert one.end(PATIENCE_S)
    assert run(["door", "forget", "--zone", "lobby", "--door", "gone", "--mqtt", broker.url, "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["forgotten"]) == 8
    last, topics = bridge(broker, "last")
    last.start()
    last.publish(topics.state(DoorStatus(Lock.LOCKED, offline=False), AT))
    assert last.end(PATIENCE_S)
    with subscriber(broker.port) as late:
        late.wait_for("/last/state")
        assert not [topic for topic, payload, _ in late.heard if "gone" in topic and payload]


def test_after_a_reconnect_the_retained_and_the_queued_messages_are_published() -> None:
    with loopback_broker() as broker:
        one, topics = bridge(broker, "door")
        one.start()
        one.publish(topics.state(DoorStatus(Lock.LOCKED, offline=False), AT))
        until(lambda: one.is_connected, "the broker is connected")
        broker.stop()
        until(lambda: not one.is_connected, "the lost connection is detected")
        one.publish(topics.state(DoorStatus(Lock.HELD_OPEN, offline=True), AT))
        for number in range(MAX_WAITING + 10):
            one.publish(topics.decision(DecisionReceived(Verdict.NO_MATCH, f"{number:016x}", None), AT))
        assert one.dropped >= 10
        broker.start()
        until(lambda: one.is_connected, "the broker is connected again")
        with subscriber(broker.port) as late:
            late.wait_for("/availability", payload="online")
            late.wait_for("/state")
            assert late.documents("/state")[0]["lock"] == "held_open"
            assert one.end(PATIENCE_S)
            late.wait_for("/availability", payload="offline")


def test_a_broker_that_refuses_or_does_not_respond_does_not_block(
    broker: LoopbackBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = "volens.service.door.mqtt_bridge.ANSWER_TIMEOUT_S"
    file = tmp_path / "password"
    file.write_text("wrong\n")
    file.chmod(0o600)
    refused = Bridge(Broker.from_url(broker.url, user="door", password_file=file), TOPICS)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        silent = Bridge(Broker.from_url(f"mqtt://127.0.0.1:{mute.getsockname()[1]}"), TOPICS)
        monkeypatch.setattr(limit, PATIENCE_S)
        silent.start()
        connection, _ = mute.accept()  # it waits for an answer from now on
        monkeypatch.setattr(limit, 0.5)
        refused.start()
        for one in (refused, silent):
            for _ in range(1000):
                one.publish(TOPICS.decision(DECIDED, AT))
        time.sleep(0.3)
        assert not refused.is_connected
        assert not silent.is_connected
        assert not silent.end(0.1)
        connection.close()
    assert refused.end(PATIENCE_S)
    file.write_text(PASSWORD)
    monkeypatch.setattr(limit, PATIENCE_S)
    admitted = Bridge(Broker.from_url(broker.url, user="door", password_file=file), TOPICS)
    admitted.start()
    until(lambda: admitted.is_connected, "the right password is accepted")
    assert admitted.end(PATIENCE_S)


def test_without_the_package_the_error_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "aiomqtt", None)  # cannot be imported
    with pytest.raises(UnavailableError, match="install the extra 'mqtt'"):
        Bridge(Broker("127.0.0.1", 1), TOPICS)
    assert run(["door", "forget", "--zone", "lobby", "--mqtt", "mqtt://127.0.0.1:1"]) == 6
    assert "pip install 'volens[mqtt]'" in capsys.readouterr().err


def test_door_forget_fails_if_the_broker_is_unreachable(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"mqtt://127.0.0.1:{taken.getsockname()[1]}"
        assert run(["door", "forget", "--zone", "lobby", "--mqtt", url]) == 6
    assert "the broker is unreachable or refuses" in capsys.readouterr().err
