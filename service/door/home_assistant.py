"""Home Assistant discovery: one retained MQTT message for each entity of a door. Pure.

Source: the MQTT integration's discovery messages, ``homeassistant/<component>/<unique id>/config``.
"""

import json
from typing import Any, Final

from volens.service.door.mqtt_messages import OFFLINE, ONLINE, Message, Topics

PREFIX: Final = "homeassistant"


def discovery_messages(topics: Topics, version: str) -> list[Message]:
    """Return the messages that create the door's entities."""
    shared = _shared(topics, version)
    return [
        Message(
            _topic(topics, component, name),
            json.dumps(shared | {"unique_id": _unique_id(topics, name)} | fields),
            retained=True,
        )
        for component, name, fields in _entities(topics)
    ]


def removal_messages(topics: Topics) -> list[Message]:
    """Return the messages that remove the entities: empty and retained."""
    return [Message(_topic(topics, component, name), "", retained=True) for component, name, _ in _entities(topics)]


def _topic(topics: Topics, component: str, name: str) -> str:
    return f"{PREFIX}/{component}/{_unique_id(topics, name)}/config"


def _unique_id(topics: Topics, name: str) -> str:
    return f"volens_{topics.zone}_{topics.door}_{name}"


def _shared(topics: Topics, version: str) -> dict[str, Any]:
    return {
        "availability_topic": f"{topics.base}/availability",
        "payload_available": ONLINE,
        "payload_not_available": OFFLINE,
        "device": {
            "identifiers": [f"volens_{topics.zone}_{topics.door}"],
            "name": f"{topics.zone} {topics.door}",
            "manufacturer": "Volens",
            "model": "door",
            "sw_version": version,
        },
        "origin": {"name": "volens", "sw_version": version},
    }


def _entities(topics: Topics) -> list[tuple[str, str, dict[str, Any]]]:
    state, health, decision = (f"{topics.base}/{name}" for name in ("state", "health", "decision"))
    binary = {"payload_on": "ON", "payload_off": "OFF"}
    diagnostic = {"entity_category": "diagnostic"}
    lock = {
        "name": "Lock",
        "device_class": "lock",
        "state_topic": state,
        # In a binary sensor of class lock, on means unlocked.
        "value_template": "{{ 'OFF' if value_json.lock == 'locked' else 'ON' }}",
        "json_attributes_topic": state,
    }
    problem = {
        "name": "No decisions",
        "device_class": "problem",
        "state_topic": state,
        "value_template": "{{ 'ON' if value_json.offline else 'OFF' }}",
    }
    connectivity = {
        "name": "Decider",
        "device_class": "connectivity",
        "state_topic": health,
        "value_template": "{{ 'ON' if value_json.decider_ok and value_json.source_ok else 'OFF' }}",
    }
    frames = {
        "name": "Frames",
        "state_topic": health,
        "state_class": "measurement",
        "unit_of_measurement": "fps",
        "value_template": "{{ value_json.frames_per_second }}",
    }
    decisions = {
        "name": "Decision",
        "state_topic": decision,
        "event_types": ["match", "no_match", "factor_required"],
        # Only these two, because Home Assistant stores the attributes of events in its own database.
        "value_template": "{{ {'event_type': value_json.decision, 'passage': value_json.passage} | tojson }}",
    }
    return [
        ("binary_sensor", "lock", binary | lock),
        ("binary_sensor", "problem", binary | diagnostic | problem),
        ("binary_sensor", "connectivity", binary | diagnostic | connectivity),
        ("sensor", "frames", diagnostic | frames),
        ("event", "decision", decisions),
    ]
