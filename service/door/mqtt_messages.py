"""What a broker is told, as topics and JSON. Pure. Nobody's id is in it unless that was asked for.

Below ``volens/<zone>/<door>/``: ``availability`` (retained, and the last will), ``state`` (retained), ``health``
(retained), ``decision`` (not retained: it is about a moment).
"""

import json
import re
from dataclasses import dataclass
from typing import Final, final

from volens.consent import InputError, Purpose
from volens.service.door.door_events import Decided
from volens.service.door.door_state import Standing
from volens.service.door.output_threads import OutputHealth

ONLINE: Final = "online"
OFFLINE: Final = "offline"
_DOOR: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")


@final
@dataclass(frozen=True, slots=True)
class Message:
    """One message.

    Attributes:
        retained: the broker keeps it for who comes later; the newest of a topic is the truth.
    """

    topic: str
    payload: str
    retained: bool


@final
@dataclass(frozen=True, slots=True)
class Health:
    """How a door does."""

    frames_per_second: float
    last_frame_age_s: float | None
    source_ok: bool
    decider_ok: bool
    outputs: tuple[OutputHealth, ...]
    version: str
    messages_dropped: int = 0

    @property
    def signs(self) -> tuple[bool, ...]:
        """What is told at once when it changes; the numbers are told now and then."""
        return (self.source_ok, self.decider_ok, *(one.is_well for one in self.outputs))


@final
@dataclass(frozen=True, slots=True)
class Topics:
    """The topics of one door, and what is said in them."""

    zone: Purpose
    door: str

    @classmethod
    def of(cls, zone: Purpose, door: str) -> "Topics":
        """Name a door.

        Raises:
            InputError: the name would be no level of a topic.
        """
        if not _DOOR.fullmatch(door):
            raise InputError(
                f"got door {door[:40]!r}; expected 1 to 32 characters of a-z, 0-9, '_' and '-', beginning with a "
                "letter or digit; change --door"
            )
        return cls(zone, door)

    @property
    def base(self) -> str:
        """What all topics begin with."""
        return f"volens/{self.zone}/{self.door}"

    def availability(self, *, online: bool) -> Message:
        """Say whether somebody tells the truth of this door at all."""
        return Message(f"{self.base}/availability", ONLINE if online else OFFLINE, retained=True)

    def state(self, standing: Standing, at: str) -> Message:
        """Say how the door stands, since when."""
        document = {"lock": standing.lock.value, "offline": standing.offline, "at": at}
        return Message(f"{self.base}/state", json.dumps(document), retained=True)

    def health(self, health: Health, at: str) -> Message:
        """Say how it does."""
        age = health.last_frame_age_s
        document = {
            "frames_per_second": round(health.frames_per_second, 1),
            "last_frame_age_s": None if age is None else round(age, 1),
            "source_ok": health.source_ok,
            "decider_ok": health.decider_ok,
            "outputs": [{"name": one.name, "ok": one.is_well} for one in health.outputs],
            "messages_dropped": health.messages_dropped,
            "version": health.version,
            "at": at,
        }
        return Message(f"{self.base}/health", json.dumps(document), retained=True)

    def decision(self, decided: Decided, at: str, *, with_subject_id: bool = False) -> Message:
        """Say what was decided; who it was only if that was asked for, the score never."""
        document: dict[str, str | None] = {"decision": decided.verdict.value, "passage": decided.passage, "at": at}
        if with_subject_id:
            document |= {"subject_id": decided.subject_id}
        return Message(f"{self.base}/decision", json.dumps(document), retained=False)

    def forgotten(self) -> list[Message]:
        """Say that there is no such door any more: brokers drop what they retained when it becomes empty."""
        return [Message(f"{self.base}/{name}", "", retained=True) for name in ("state", "health", "availability")]
