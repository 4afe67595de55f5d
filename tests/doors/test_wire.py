"""Parsing of the messages of a service, valid and malformed."""

import json
from typing import Any

import pytest

from volens.identify import AskRules
from volens.service.door import DeciderReady, Factor, FactorPresented, Verdict
from volens.service.door.stream_messages import (
    MAX_MESSAGE_BYTES,
    DecisionMessage,
    FrameMessage,
    ProblemMessage,
    ServiceError,
    TriggerMessage,
    ask_message,
    parse,
    present_message,
    printable,
    trigger_message,
)

READY = {"type": "ready", "zone": "lobby", "model": "sface", "second_factor": None}
FRAME = {"type": "frame", "number": 3, "faces": 2, "matches": 1}
DECISION = {
    "type": "decision",
    "decision": "match",
    "passage": "00112233445566ff",
    "subject_id": "a" * 32,
    "comparison_score": 0.71,
    "frame": 3,
    "box": [1, 2.5, 30, 40],
}


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (READY, DeciderReady("lobby", "sface", None)),
        (READY | {"second_factor": "pin"}, DeciderReady("lobby", "sface", Factor.PIN)),
        (FRAME, FrameMessage(3, 2, 1, dropped=False, unreadable=False)),
        ({"type": "frame", "number": 4, "dropped": True}, FrameMessage(4, 0, 0, dropped=True, unreadable=False)),
        (FRAME | {"unreadable": True}, FrameMessage(3, 2, 1, dropped=False, unreadable=True)),
        (
            FRAME | {"refused_code": "another zone\x1b"},
            FrameMessage(3, 2, 1, dropped=False, unreadable=False, refused_code="another zone"),
        ),
        (
            DECISION,
            DecisionMessage(Verdict.MATCH, "00112233445566ff", 3, "a" * 32, 0.71, (1.0, 2.5, 30.0, 40.0)),
        ),
        (
            DECISION | {"decision": "no_match", "subject_id": None, "comparison_score": None, "box": None},
            DecisionMessage(Verdict.NO_MATCH, "00112233445566ff", 3, None, None, None),
        ),
        (
            DECISION | {"decision": "no_match", "subject_id": None, "reason": "turned"},
            DecisionMessage(Verdict.NO_MATCH, "00112233445566ff", 3, None, 0.71, (1.0, 2.5, 30.0, 40.0), "turned"),
        ),
        (
            DECISION | {"reason": "\x1b[8mof a later version"},
            DecisionMessage(Verdict.MATCH, "00112233445566ff", 3, "a" * 32, 0.71, (1.0, 2.5, 30.0, 40.0), None),
        ),
        (
            DECISION | {"looks": 2},
            DecisionMessage(Verdict.MATCH, "00112233445566ff", 3, "a" * 32, 0.71, (1.0, 2.5, 30.0, 40.0), looks=2),
        ),
        ({"type": "problem", "title": "Gone", "status": 401}, ProblemMessage("Gone")),
        ({"type": "problem", "title": "\x1b[31mred\n"}, ProblemMessage("[31mred")),
        ({"type": "weather"}, None),
        (READY | {"trigger": "near"}, DeciderReady("lobby", "sface", None, "near")),
        (READY | {"trigger": "of a later version"}, DeciderReady("lobby", "sface", None)),
        ({"type": "trigger", "accepted": True}, TriggerMessage(True, "no reason given")),
        ({"type": "trigger", "accepted": False, "detail": "\x1b[1mno"}, TriggerMessage(False, "[1mno")),
    ],
)
def test_a_valid_message_is_parsed(message: dict[str, Any], expected: object) -> None:
    assert parse(json.dumps(message)) == expected


STRANGE: dict[str, str | bytes] = {
    "bytes": b"{}",
    "nothing": "",
    "no JSON": "{",
    "a list": "[]",
    "a number that JSON does not have": '{"type": "frame", "number": NaN}',
    "deep": "[" * 60_000,
    "long": '"' + "a" * MAX_MESSAGE_BYTES + '"',
    "a trigger without an answer": '{"type": "trigger", "accepted": 1}',
    "no type": "{}",
    "a type that is not text": '{"type": 1}',
    **{
        name: json.dumps(message)
        for name, message in {
            "ready without a zone": {"type": "ready", "model": "m"},
            "ready with a long name": READY | {"model": "m" * 500},
            "an unknown factor": READY | {"second_factor": "voice"},
            "a frame without a number": {"type": "frame"},
            "a frame with a number in text": FRAME | {"number": "3"},
            "a negative number of faces": FRAME | {"faces": -1},
            "faces that are a boolean": FRAME | {"faces": True},
            "a million faces": FRAME | {"faces": 10**6},
            "an unknown decision": DECISION | {"decision": "maybe"},
            "a passage in capitals": DECISION | {"passage": "00112233445566FF"},
            "a passage with a line after it": DECISION | {"passage": "00112233445566ff\n"},
            "a passage that is a path": DECISION | {"passage": "../../../../etc"},
            "a subject id that is long": DECISION | {"subject_id": "a" * 101},
            "a subject id that is a number": DECISION | {"subject_id": 7},
            "a score above one": DECISION | {"comparison_score": 71},
            "a score in text": DECISION | {"comparison_score": "0.7"},
            "looks in text": DECISION | {"looks": "2"},
            "a box of three": DECISION | {"box": [1, 2, 3]},
            "a box of text": DECISION | {"box": ["1", "2", "3", "4"]},
            "a box that is text": DECISION | {"box": "1234"},
            "no frame": {name: value for name, value in DECISION.items() if name != "frame"},
        }.items()
    },
}


@pytest.mark.parametrize("name", STRANGE)
def test_a_malformed_message_is_refused_without_being_repeated(name: str) -> None:
    with pytest.raises(ServiceError, match=r"the service sent .*; check that --url") as refused:
        parse(STRANGE[name])
    assert "aaaa" not in str(refused.value)


def test_a_factor_is_sent_as_the_service_expects_and_is_in_no_repr() -> None:
    one = FactorPresented(Factor.PIN, "918273", 1.0)
    assert json.loads(present_message(one.factor, one.value)) == {"type": "present", "factor": "pin", "value": "918273"}
    assert "918273" not in repr(one)


def test_a_button_and_the_rules_are_sent_as_the_service_expects() -> None:
    assert json.loads(ask_message()) == {"type": "ask"}
    assert json.loads(trigger_message(AskRules(near=0.1, region=(0.0, 0.0, 0.5, 1.0), dwell_s=2.0))) == {
        "type": "trigger",
        "near": 0.1,
        "region": [0.0, 0.0, 0.5, 1.0],
        "dwell_s": 2.0,
        "timeout_s": 10.0,
    }


def test_text_from_outside_is_made_safe_for_a_terminal() -> None:
    assert printable("Grüße\x07\r\n\x1b]0;x" + "y" * 500) == "Gre]0;x" + "y" * (200 - 13)
