"""Liveness: presentation attack detection (PAD, ISO/IEC 30107-1) as an interface, and what it finds.

What is built in: `volens.face.head_turn`. What a site may add: a model of its own, `volens.face.liveness_pack`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Protocol, final

from volens.consent.zone import LivenessLevel
from volens.face.detector import DetectedFace
from volens.face.image import RgbImage


class NotLive(StrEnum):
    """Why a presentation does not count as a live person."""

    UNFINISHED = "unfinished"
    TIME_OVER = "time_over"
    OTHER_PERSON = "other_person"
    NOT_COMPARED = "not_compared"
    LOW_SCORE = "low_score"


SENTENCES: Final = {
    NotLive.UNFINISHED: "the head was not turned to both sides as asked; follow what is asked, and look ahead at last",
    NotLive.TIME_OVER: "the head was not turned in time; try again, and turn as soon as it is asked",
    NotLive.OTHER_PERSON: "the face changed while the head turned; one person alone turns the head, slowly",
    NotLive.NOT_COMPARED: "the looks were not compared with each other; ask again, and send the looks that were asked",
    NotLive.LOW_SCORE: "the liveness model does not take this for a live face; face the camera in good light",
}


@final
@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """One face of one frame, and when it was taken, in seconds of any clock that does not go back."""

    image: RgbImage = field(repr=False)
    face: DetectedFace = field(repr=False)
    at_s: float


@final
@dataclass(frozen=True, slots=True)
class LivenessEvidence:
    """The result for one presentation: at which level it was examined, and why it failed, or None. No pixels."""

    level: LivenessLevel
    reason: NotLive | None = None

    @property
    def passed(self) -> bool:
        """Whether the presentation counts as a live person."""
        return self.reason is None

    @property
    def sentence(self) -> str:
        """The result in words, for the person who looks into the camera."""
        return "passed" if self.reason is None else SENTENCES[self.reason]


class Liveness(Protocol):
    """Interface of a presentation attack detector."""

    @property
    def level(self) -> LivenessLevel:
        """The level of a zone that it serves."""
        ...

    @property
    def detector_id(self) -> str:
        """Which detector it is, with all settings that decide: two with the same id decide alike."""
        ...

    def examine(self, looks: Sequence[Look]) -> LivenessEvidence:
        """Decide whether some looks at one person, in the order of their times, show a live one. Nothing is kept."""
        ...
