"""How a door introduces itself to Home Assistant: one retained message for each entity. Pure.

Source: the MQTT integration's discovery messages, ``homeassistant/<component>/<unique id>/config``.
"""

import json
from typing import Any, Final

from volens.service.door.mqtt_messages import OFFLINE, ONLINE, Message, Topics

PREFIX: Final = "homeassistant"


def introductions(topics: Topics, version: str) -> list[Message]:
    """Return what makes the door's entities appear."""
    shared = _shared(topics, version)
    return [
        Message(_topic(topics, component, name), json.dumps(shared | _named(topics, name) | fields), retained=True)
        for component, name, fields in _entities(topics)
    ]


def farewells(topics: Topics) -> list[Message]:
    """Return what makes them disappear: empty retained messages."""
    return [Message(_topic(topics, component, name), "", retained=True) for component, name, _ in _entities(topics)]


def _topic(topics: Topics, component: str, name: str) -> str:
    return f"{PREFIX}/{component}/{_unique_id(topics, name)}/config"


def _unique_id(topics: Topics, name: str) -> str:
    return f"volens_{topics.zone}_{topics.door}_{name}"


def _named(topics: Topics, name: str) -> dict[str, Any]:
    return {"unique_id": _unique_id(topics, name)}


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
    return [
        (
            "binary_sensor",
            "lock",
            binary
            # Of a binary sensor of class lock, on means unlocked.
            | {
                "name": "Lock",
                "device_class": "lock",
                "state_topic": state,
                "value_template": "{{ 'OFF' if value_json.lock == 'locked' else 'ON' }}",
                "json_attributes_topic": state,
            },
        ),
        (
            "binary_sensor",
            "problem",
            binary
            | diagnostic
            | {
                "name": "No decisions",
                "device_class": "problem",
                "state_topic": state,
                "value_template": "{{ 'ON' if value_json.offline else 'OFF' }}",
            },
        ),
        (
            "binary_sensor",
            "connectivity",
            binary
            | diagnostic
            | {
                "name": "Decider",
                "device_class": "connectivity",
                "state_topic": health,
                "value_template": "{{ 'ON' if value_json.decider_ok and value_json.source_ok else 'OFF' }}",
            },
        ),
        (
            "sensor",
            "frames",
            diagnostic
            | {
                "name": "Frames",
                "state_topic": health,
                "state_class": "measurement",
                "unit_of_measurement": "fps",
                "value_template": "{{ value_json.frames_per_second }}",
            },
        ),
        (
            "event",
            "decision",
            {
                "name": "Decision",
                "state_topic": decision,
                "event_types": ["match", "no_match", "factor_required"],
                # Only these two: attributes of an event are kept in Home Assistant's own database.
                "value_template": "{{ {'event_type': value_json.decision, 'passage': value_json.passage} | tojson }}",
            },
        ),
    ]
