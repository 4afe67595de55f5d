"""What happens at a door, as values: what deciders tell, and what people show besides their face."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Protocol, TypeAlias, final

MAX_SHOWN_CHARS: Final = 256
SHOWN_S: Final = 10.0


class Verdict(StrEnum):
    """What was decided about one passage."""

    MATCH = "match"
    NO_MATCH = "no_match"
    FACTOR_REQUIRED = "factor_required"


class Factor(StrEnum):
    """What a person may show besides their face."""

    BADGE = "badge"
    PIN = "pin"


@final
@dataclass(frozen=True, slots=True)
class Shown:
    """A badge's number or a PIN, as it was read at the door. It is in no `repr`, and nobody here keeps it.

    Attributes:
        at_s: when it was read, by `time.monotonic`.
    """

    factor: Factor
    value: str = field(repr=False)
    at_s: float

    def is_fresh(self, now_s: float) -> bool:
        """Tell whether whoever showed it may still be there; later it would be held against somebody else."""
        return now_s - self.at_s < SHOWN_S


@final
@dataclass(frozen=True, slots=True)
class Ready:
    """Frames are decided about from now on.

    Attributes:
        zone: at which door.
        model: which embedding model looks.
        second_factor: what people must show besides; None if their face is enough.
    """

    zone: str
    model: str
    second_factor: Factor | None


@final
@dataclass(frozen=True, slots=True)
class Looked:
    """A frame was looked at.

    Attributes:
        faces: how many there were.
        matches: how many of them are people who agreed.
        dropped: nobody looked; a newer frame was there, or too many were waiting.
    """

    faces: int
    matches: int
    dropped: bool = False


@final
@dataclass(frozen=True, slots=True)
class Decided:
    """What was decided about one person's, or one stranger's, passage.

    Attributes:
        passage: 16 hex digits, the same for everything that is told of one passage.
        asked_at_s: when the frame that this is about was handed over, by `time.monotonic`; None if that is long ago.
        subject_id: of who matched. Who that is, is for the log of the site; a door needs it for nothing, and
            how like, and where in the frame, it is not even told.
    """

    verdict: Verdict
    passage: str
    asked_at_s: float | None
    subject_id: str | None = field(default=None, repr=False)


@final
@dataclass(frozen=True, slots=True)
class Lost:
    """Nobody decides until the next `Ready`; the sentence says why."""

    sentence: str


@final
@dataclass(frozen=True, slots=True)
class SourceBroken:
    """No frames come until the next `SourceWell`; the sentence says why."""

    sentence: str


@final
@dataclass(frozen=True, slots=True)
class SourceWell:
    """Frames come."""


@final
@dataclass(frozen=True, slots=True)
class Unusable:
    """A frame or a line that was shown is no such thing; the sentence says why, and does not repeat it."""

    sentence: str


@final
@dataclass(frozen=True, slots=True)
class SourceEnded:
    """There are no more frames, and there will be none."""


@final
@dataclass(frozen=True, slots=True)
class Broken:
    """Something that trying again does not mend: the door ends, and whoever runs it is told."""

    error: Exception = field(repr=False)


@final
@dataclass(frozen=True, slots=True)
class Stop:
    """Somebody asked the door to end."""


Event: TypeAlias = (
    Ready | Looked | Decided | Lost | SourceBroken | SourceWell | SourceEnded | Unusable | Broken | Stop | Shown
)


class Tell(Protocol):
    """Takes what happened; from any thread, and never waits."""

    def __call__(self, event: Event, /) -> None:
        """Take one event."""
