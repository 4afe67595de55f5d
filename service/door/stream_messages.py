"""Messages of a service in a stream of frames, parsed strictly: JSON text, limited in size.

The service sends ``ready`` first, then one ``frame`` for each frame in the order in which they were sent, one
``decision`` for each visit, ``trigger`` when it was told what counts as asking, and ``problem`` before it ends the
session for a reason.
"""

import json
import math
import re
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, final

from volens.consent import UnavailableError
from volens.consent.json_reader import JsonError, read_json
from volens.consent.zone import Trigger
from volens.identify import REASONS, AskRules
from volens.service.door.door_events import DeciderReady, Factor, Verdict

Box: TypeAlias = tuple[float, float, float, float]

MAX_MESSAGE_BYTES: Final = 64 * 2**10

_VISIT_ID: Final = re.compile(r"[0-9a-f]{16}")
_PLAIN: Final = re.compile(r"[\x20-\x7e]*")


class ServiceError(UnavailableError):
    """The service is unreachable, fails, or sends malformed messages."""


@final
@dataclass(frozen=True, slots=True)
class FrameMessage:
    """One frame was processed, or dropped, or is not an image for the service.

    Attributes:
        refused_code: why a QR code in it, or a button, cannot be used at this door; empty if there is nothing to say.
    """

    number: int
    faces: int
    matches: int
    dropped: bool
    unreadable: bool
    refused_code: str = ""


@final
@dataclass(frozen=True, slots=True)
class DecisionMessage:
    """A decision about a visit, and the number of its frame."""

    verdict: Verdict
    visit_id: str
    frame: int
    subject_id: str | None
    comparison_score: float | None
    box: Box | None
    reason: str | None = None
    looks: int | None = None


@final
@dataclass(frozen=True, slots=True)
class ProblemMessage:
    """The reason for the end of the session; the title is text of the service, made printable and short."""

    title: str


@final
@dataclass(frozen=True, slots=True)
class TriggerMessage:
    """Whether the service uses the rules of this door; if not, why."""

    accepted: bool
    detail: str


ServiceMessage: TypeAlias = DeciderReady | FrameMessage | DecisionMessage | ProblemMessage | TriggerMessage


def parse(message: str | bytes) -> ServiceMessage | None:
    """Parse one message. None: its type is unknown and is ignored, so that newer services work.

    Raises:
        ServiceError: the message is malformed.
    """
    if isinstance(message, bytes) or len(message) > MAX_MESSAGE_BYTES:
        raise _malformed("a message that is not JSON text")
    try:
        document = read_json(message)
    except JsonError:
        raise _malformed("a message that is not JSON") from None
    if not isinstance(document, dict):
        raise _malformed("a message that is not an object")
    return _read(document)


def present_message(factor: Factor, value: str) -> str:
    """Return the message that presents a second factor to the service."""
    return json.dumps({"type": "present", "factor": factor.value, "value": value})


def ask_message() -> str:
    """Return the message of a button."""
    return json.dumps({"type": "ask"})


def trigger_message(rules: AskRules) -> str:
    """Return the message that tells the service what counts as asking at this door."""
    members = {"near": rules.near, "region": rules.region, "dwell_s": rules.dwell_s, "timeout_s": rules.timeout_s}
    return json.dumps({"type": "trigger"} | members)


def printable(text: object, limit: int = 200) -> str:
    """Return text from outside without the characters that could control a terminal."""
    return "".join(one for one in str(text)[:limit] if _PLAIN.fullmatch(one))


def _read(document: dict[str, Any]) -> ServiceMessage | None:
    match document:
        case {"type": "ready", "zone": str(zone), "model": str(model)} if len(zone) + len(model) <= 400:  # noqa: PLR2004
            factor = document.get("second_factor")
            kind = None if factor is None else _one_of(Factor, factor)
            trigger = next((one.value for one in Trigger if document.get("trigger") == one.value), None)
            return DeciderReady(printable(zone), printable(model), kind, trigger)
        case {"type": "frame", "number": int(number)}:
            faces, matches = _count(document.get("faces", 0)), _count(document.get("matches", 0))
            dropped, unreadable = document.get("dropped") is True, document.get("unreadable") is True
            refused = printable(document.get("refused_code") or "")
            return FrameMessage(number, faces, matches, dropped=dropped, unreadable=unreadable, refused_code=refused)
        case {"type": "decision", "decision": str(verdict), "passage": str(visit_id), "frame": int(frame)}:
            if not _VISIT_ID.fullmatch(visit_id):
                raise _malformed("a visit id that is not 16 hex digits")
            known = _one_of(Verdict, verdict)
            subject_id, score = document.get("subject_id"), document.get("comparison_score")
            if not (subject_id is None or (isinstance(subject_id, str) and len(subject_id) <= 100)):  # noqa: PLR2004
                raise _malformed("an invalid subject id")
            reason = next((one for one in REASONS if document.get("reason") == one), None)
            looks = None if document.get("looks") is None else _count(document["looks"])
            box = _box(document.get("box"))
            return DecisionMessage(known, visit_id, frame, subject_id, _score(score), box, reason, looks)
        case {"type": "trigger", "accepted": bool(accepted)}:
            return TriggerMessage(accepted, printable(document.get("detail") or "no reason given", 400))
        case {"type": "problem"}:
            return ProblemMessage(printable(document.get("title") or document.get("detail") or "no reason given"))
        case {"type": str(kind)} if kind not in {"ready", "frame", "decision", "trigger"}:
            return None
        case _:
            raise _malformed("a message with missing or invalid members")


def _one_of(kind: type[Any], value: object) -> Any:  # noqa: ANN401  a member of the enumeration
    try:
        return kind(value)
    except ValueError:
        raise _malformed(f"a {kind.__name__.lower()} that this version does not know") from None


def _count(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 10_000:  # noqa: PLR2004  more faces than a frame can show
        return value
    raise _malformed("an invalid count")


def _score(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, int | float) and not isinstance(value, bool) and -1.01 <= value <= 1.01:  # noqa: PLR2004  a cosine
        return float(value)
    raise _malformed("a score that is not a cosine")


def _box(value: object) -> Box | None:
    if value is None:
        return None
    sides = [float(side) for side in value if isinstance(side, int | float)] if isinstance(value, list) else []
    if len(sides) != 4 or not all(math.isfinite(side) for side in sides):  # noqa: PLR2004  left, top, right, bottom
        raise _malformed("an invalid box")
    return sides[0], sides[1], sides[2], sides[3]


def _malformed(what: str) -> ServiceError:
    return ServiceError(f"the service sent {what}; check that --url is the address of 'volens serve' of this version")
