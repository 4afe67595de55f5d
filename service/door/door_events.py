"""Events at a door, as values: from sources, deciders and factor inputs to the loop of the door."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Protocol, TypeAlias, final

from volens.consent.panel_badge import PanelBadge

MAX_FACTOR_CHARS: Final = 256
FACTOR_VALID_S: Final = 10.0


class Verdict(StrEnum):
    """Decision about one visit."""

    MATCH = "match"
    NO_MATCH = "no_match"
    FACTOR_REQUIRED = "factor_required"


class Factor(StrEnum):
    """Second factor: what a person presents in addition to the face."""

    BADGE = "badge"
    PIN = "pin"


@final
@dataclass(frozen=True, slots=True)
class FactorPresented:
    """A badge number or a PIN that was read at the door. It is not part of `repr`, and not stored.

    Attributes:
        at_s: when it was read, by `time.monotonic`.
    """

    factor: Factor
    value: str = field(repr=False)
    at_s: float

    def is_fresh(self, now_s: float) -> bool:
        """Return whether it is less than `FACTOR_VALID_S` old; an older one could be applied to the next person."""
        return now_s - self.at_s < FACTOR_VALID_S


@final
@dataclass(frozen=True, slots=True)
class RecognitionRequested:
    """A person pressed a button to be recognised.

    Attributes:
        at_s: when, by `time.monotonic`.
    """

    at_s: float

    def is_fresh(self, now_s: float) -> bool:
        """Return whether it is less than `FACTOR_VALID_S` old; an older one could be taken for the next person's."""
        return now_s - self.at_s < FACTOR_VALID_S


Presented: TypeAlias = FactorPresented | RecognitionRequested
"""What a person does at a door to be recognised."""


@final
@dataclass(frozen=True, slots=True)
class DeciderReady:
    """The decider accepts frames from now on.

    Attributes:
        second_factor: what people must present in addition to the face.
        trigger: what lets the door compare a face (`volens.consent.zone.Trigger`); None if a service does not say it.
    """

    zone: str
    model: str
    second_factor: Factor | None
    trigger: str | None = None


@final
@dataclass(frozen=True, slots=True)
class BadgesOnly:
    """There are no decisions, and the lease of the door has ended: badges are passed on to the panel of the house.

    It holds until the decider is ready again.
    """


@final
@dataclass(frozen=True, slots=True)
class FrameProcessed:
    """The decider has answered a frame.

    Attributes:
        matches: how many of the faces are people with a consent.
        dropped: the frame was not processed, because a newer one came or the decider was busy.
    """

    faces: int
    matches: int
    dropped: bool = False


@final
@dataclass(frozen=True, slots=True)
class DecisionReceived:
    """A decision about one visit, of a person with a consent or of a stranger.

    Attributes:
        visit_id: 16 hex digits, the same in all messages about one visit (`passage` in JSON).
        submitted_at_s: when the frame was handed to the decider, by `time.monotonic`; None if no longer known.
        subject_id: the person who matched. Only the MQTT option for subject ids uses it; the comparison score and the
            position in the frame are not passed on.
        reason: why the face was not compared (`volens.identify.REASONS`); None if it was.
        looks: how many looks the decision rests on, 1 for a photo; None if the service does not say.
        panel_badge: of the person who matched, if an output of this door sends it to a panel, and there is one.
    """

    verdict: Verdict
    visit_id: str
    submitted_at_s: float | None
    subject_id: str | None = field(default=None, repr=False)
    reason: str | None = None
    looks: int | None = None
    panel_badge: PanelBadge | None = field(default=None, repr=False)


@final
@dataclass(frozen=True, slots=True)
class DeciderLost:
    """There are no decisions until the next `DeciderReady`."""

    reason: str


@final
@dataclass(frozen=True, slots=True)
class SourceLost:
    """There are no frames until the next `SourceReady`."""

    reason: str


@final
@dataclass(frozen=True, slots=True)
class SourceReady:
    """The source delivers frames."""


@final
@dataclass(frozen=True, slots=True)
class InputRejected:
    """A frame, or a line of the factor input, that cannot be used; the reason does not repeat its content."""

    reason: str


@final
@dataclass(frozen=True, slots=True)
class DeviceReported:
    """What an OSDP device reports about itself, on change.

    Attributes:
        name: of the output, without secrets.
        tampered: its case is open, or it was taken off the wall.
        without_power: its power supply failed.
    """

    name: str
    tampered: bool
    without_power: bool


@final
@dataclass(frozen=True, slots=True)
class CardSent:
    """What became of a badge number for the panel.

    Attributes:
        was_sent: the panel fetched it; False if it did not in time, and then it was discarded.
    """

    name: str
    was_sent: bool


@final
@dataclass(frozen=True, slots=True)
class SourceEnded:
    """The source has no more frames."""


@final
@dataclass(frozen=True, slots=True)
class DoorFailed:
    """An error that a retry cannot fix; the door ends, and `Door.run` raises it."""

    error: Exception = field(repr=False)


@final
@dataclass(frozen=True, slots=True)
class StopRequested:
    """The operator, or a signal, stops the door."""


Event: TypeAlias = (
    DeciderReady
    | FrameProcessed
    | DecisionReceived
    | DeciderLost
    | SourceLost
    | SourceReady
    | SourceEnded
    | InputRejected
    | DoorFailed
    | StopRequested
    | FactorPresented
    | DeviceReported
    | CardSent
    | RecognitionRequested
    | BadgesOnly
)


class EventSink(Protocol):
    """Takes an event; thread-safe, does not block."""

    def __call__(self, event: Event, /) -> None:
        """Take one event."""
