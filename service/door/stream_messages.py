"""What a service says in a stream of frames, read: JSON text, bounded, and nothing believed that does not fit.

The service says ``ready`` first, then one ``frame`` for each frame in the order in which they were sent, a ``decision``
for each passage, and ``problem`` before it ends the session for a reason.
"""

import json
import math
import re
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, final

from volens.consent import UnavailableError
from volens.service.door.door_events import Factor, Verdict

Box: TypeAlias = tuple[float, float, float, float]

MAX_MESSAGE_BYTES: Final = 64 * 2**10

_PASSAGE: Final = re.compile(r"[0-9a-f]{16}")
_PLAIN: Final = re.compile(r"[\x20-\x7e]*")


class ServiceError(UnavailableError):
    """The service is not there, not well, or says what no service says."""


@final
@dataclass(frozen=True, slots=True)
class ReadyMessage:
    """The first message."""

    zone: str
    model: str
    second_factor: Factor | None


@final
@dataclass(frozen=True, slots=True)
class FrameMessage:
    """One frame was looked at, or dropped, or is no image to the service."""

    number: int
    faces: int
    matches: int
    dropped: bool
    unreadable: bool


@final
@dataclass(frozen=True, slots=True)
class DecisionMessage:
    """What was decided about a passage, and in which frame."""

    verdict: Verdict
    passage: str
    frame: int
    subject_id: str | None
    comparison_score: float | None
    box: Box | None


@final
@dataclass(frozen=True, slots=True)
class ProblemMessage:
    """Why the session ends; the title is text of the service, made plain and short."""

    title: str


Said: TypeAlias = ReadyMessage | FrameMessage | DecisionMessage | ProblemMessage


def parse(message: str | bytes) -> Said | None:
    """Read one message. None: a type that this version does not know, and may overlook.

    Raises:
        ServiceError: it is no message of a service.
    """
    if isinstance(message, bytes) or len(message) > MAX_MESSAGE_BYTES:
        raise _strange("a message that is not JSON text")
    try:
        document = json.loads(message, parse_constant=_no_such_number)
    except (ValueError, RecursionError):
        raise _strange("a message that is no JSON") from None
    if not isinstance(document, dict):
        raise _strange("a message that is no object")
    return _read(document)


def shown(factor: Factor, value: str) -> str:
    """Write what a person showed besides the face, as the service takes it."""
    return json.dumps({"type": "present", "factor": factor.value, "value": value})


def plain(text: object, limit: int = 200) -> str:
    """Return text of somebody else so that it can be shown on a terminal."""
    return "".join(one for one in str(text)[:limit] if _PLAIN.fullmatch(one))


def _read(document: dict[str, Any]) -> Said | None:
    match document:
        case {"type": "ready", "zone": str(zone), "model": str(model)} if len(zone) + len(model) <= 400:  # noqa: PLR2004
            factor = document.get("second_factor")
            return ReadyMessage(plain(zone), plain(model), None if factor is None else _one_of(Factor, factor))
        case {"type": "frame", "number": int(number)}:
            faces, matches = _count(document.get("faces", 0)), _count(document.get("matches", 0))
            dropped, unreadable = document.get("dropped") is True, document.get("unreadable") is True
            return FrameMessage(number, faces, matches, dropped=dropped, unreadable=unreadable)
        case {"type": "decision", "decision": str(verdict), "passage": str(passage), "frame": int(frame)}:
            if not _PASSAGE.fullmatch(passage):
                raise _strange("a passage that is not 16 hex digits")
            known = _one_of(Verdict, verdict)
            subject_id, score = document.get("subject_id"), document.get("comparison_score")
            if not (subject_id is None or (isinstance(subject_id, str) and len(subject_id) <= 100)):  # noqa: PLR2004
                raise _strange("a subject id that is none")
            return DecisionMessage(known, passage, frame, subject_id, _score(score), _box(document.get("box")))
        case {"type": "problem"}:
            return ProblemMessage(plain(document.get("title") or document.get("detail") or "no reason given"))
        case {"type": str(kind)} if kind not in {"ready", "frame", "decision"}:
            return None
        case _:
            raise _strange("a message without what its type needs")


def _one_of(kind: type[Any], value: object) -> Any:  # noqa: ANN401  a member of the enumeration
    try:
        return kind(value)
    except ValueError:
        raise _strange(f"a {kind.__name__.lower()} that this version does not know") from None


def _count(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 10_000:  # noqa: PLR2004  more faces than a frame has pixels for
        return value
    raise _strange("a count that is none")


def _score(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, int | float) and not isinstance(value, bool) and -1.01 <= value <= 1.01:  # noqa: PLR2004  a cosine
        return float(value)
    raise _strange("a score that is no cosine")


def _box(value: object) -> Box | None:
    if value is None:
        return None
    sides = [float(side) for side in value if isinstance(side, int | float)] if isinstance(value, list) else []
    if len(sides) != 4 or not all(math.isfinite(side) for side in sides):  # noqa: PLR2004  left, top, right, bottom
        raise _strange("a box that is none")
    return sides[0], sides[1], sides[2], sides[3]


def _no_such_number(name: str) -> float:
    raise ValueError(name)


def _strange(what: str) -> ServiceError:
    return ServiceError(f"the service sent {what}; see whether --url leads to 'volens serve' of this version")
