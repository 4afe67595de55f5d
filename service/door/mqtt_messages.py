"""MQTT messages of a door: topics and JSON. Pure. They identify no person, unless subject ids are enabled.

Below ``volens/<zone>/<door>/``: ``availability`` (retained, and the last will), ``state`` (retained), ``health``
(retained), ``decision`` (not retained, because it is about one moment).
"""

import json
import re
from dataclasses import dataclass
from typing import Final, final

from volens.consent import InputError, Purpose
from volens.service.door.door_events import DecisionReceived
from volens.service.door.door_state import DoorStatus
from volens.service.door.output_threads import OutputHealth

ONLINE: Final = "online"
OFFLINE: Final = "offline"
_DOOR: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")


@final
@dataclass(frozen=True, slots=True)
class Message:
    """One MQTT message.

    Attributes:
        retained: the broker keeps the newest message of a topic for later subscribers.
    """

    topic: str
    payload: str
    retained: bool


@final
@dataclass(frozen=True, slots=True)
class Health:
    """Health of a door."""

    frames_per_second: float
    last_frame_age_s: float | None
    source_ok: bool
    decider_ok: bool
    outputs: tuple[OutputHealth, ...]
    version: str
    messages_dropped: int = 0

    @property
    def flags(self) -> tuple[bool, ...]:
        """The flags whose change is published at once; numbers are published at intervals."""
        return (self.source_ok, self.decider_ok, *(one.is_ok for one in self.outputs))


@final
@dataclass(frozen=True, slots=True)
class Topics:
    """The topics of one door, and their messages; decisions have the subject id only with `with_subject_ids`.

    Raises:
        InputError: the name of the door is not valid as a topic level.
    """

    zone: Purpose
    door: str
    with_subject_ids: bool = False

    def __post_init__(self) -> None:
        """Check the name of the door."""
        if not _DOOR.fullmatch(self.door):
            raise InputError(
                f"got door {self.door[:40]!r}; expected 1 to 32 characters of a-z, 0-9, '_' and '-', beginning with a "
                "letter or digit; change --door"
            )

    @property
    def base(self) -> str:
        """The prefix of all topics."""
        return f"volens/{self.zone}/{self.door}"

    def availability(self, *, online: bool) -> Message:
        """Return the message whether the door's program is online."""
        return Message(f"{self.base}/availability", ONLINE if online else OFFLINE, retained=True)

    def state(self, status: DoorStatus, at: str, until: str | None = None) -> Message:
        """Return the message about the state of the door, and until when it is open, if it closes by itself.

        The message is retained: a subscriber that reads it after `until` must not take the door for open, because this
        program may have ended meanwhile.
        """
        flags = {"offline": status.offline, "badges_only": status.badges_only}
        document = {"lock": status.lock.value, **flags, "until": until, "at": at}
        return Message(f"{self.base}/state", json.dumps(document), retained=True)

    def health(self, health: Health, at: str) -> Message:
        """Return the message about the health of the door."""
        age = health.last_frame_age_s
        document = {
            "frames_per_second": round(health.frames_per_second, 1),
            "last_frame_age_s": None if age is None else round(age, 1),
            "source_ok": health.source_ok,
            "decider_ok": health.decider_ok,
            "outputs": [{"name": one.name, "ok": one.is_ok} for one in health.outputs],
            "messages_dropped": health.messages_dropped,
            "version": health.version,
            "at": at,
        }
        return Message(f"{self.base}/health", json.dumps(document), retained=True)

    def decision(self, decision: DecisionReceived, at: str) -> Message:
        """Return the message about a decision; with the subject id only if it is enabled, never with the score."""
        document: dict[str, str | None] = {"decision": decision.verdict.value, "passage": decision.visit_id, "at": at}
        if self.with_subject_ids:
            document |= {"subject_id": decision.subject_id}
        return Message(f"{self.base}/decision", json.dumps(document), retained=False)

    def clear_messages(self) -> list[Message]:
        """Return empty retained messages, with which the broker deletes those of this door."""
        return [Message(f"{self.base}/{name}", "", retained=True) for name in ("state", "health", "availability")]
