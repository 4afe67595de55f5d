"""Clock offset of a door or node, from the four times of one question and its answer, as NTP does it (RFC 5905, 8).

The door takes the first and the last time from its own clock, the service the two in between::

    door      sent ----------------------- received
    service         arrived --- answered

Nothing is known about how the delay of the network is divided between the two ways, so half the round trip is the
uncertainty. All times come from the door, also those that the service told it before: this is a report, not a proof.
A node on another machine than its database asks the server for the time, which is both times in between.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, final

from volens.consent import InputError

MAX_MS: Final = 2**52
LONGEST_MS: Final = 60_000
"""A round trip that took longer says nothing useful about a clock."""


@final
@dataclass(frozen=True, slots=True)
class ClockOffset:
    """How far a clock is ahead of the other one, in milliseconds; it is behind if this is negative.

    Attributes:
        uncertainty_ms: the true offset differs from `offset_ms` by no more than this.
    """

    offset_ms: int
    uncertainty_ms: int

    @property
    def least_ms(self) -> int:
        """By how much the two clocks differ at least, whichever is ahead."""
        return max(0, abs(self.offset_ms) - self.uncertainty_ms)


@final
@dataclass(frozen=True, slots=True)
class ClockExchange:
    """The four times of a heartbeat, in milliseconds since 1970.

    Raises:
        InputError: one is out of range, an end is before its beginning, or the round trip took too long.
    """

    sent_ms: int
    arrived_ms: int
    answered_ms: int
    received_ms: int

    def __post_init__(self) -> None:
        """Check them."""
        times = (self.sent_ms, self.arrived_ms, self.answered_ms, self.received_ms)
        if not all(0 <= one <= MAX_MS for one in times):
            raise InputError("got a time of a heartbeat that is out of range; expected milliseconds since 1970")
        is_ordered = self.sent_ms <= self.received_ms and self.arrived_ms <= self.answered_ms
        if not is_ordered or not 0 <= self._travelled_ms <= LONGEST_MS:
            raise InputError(
                "got times of a heartbeat that do not fit together; send those of one heartbeat and its answer, which "
                f"took at most {LONGEST_MS // 1000} s"
            )

    def offset(self) -> ClockOffset:
        """Return the offset of the door's clock, and how uncertain it is; 1 ms more, because times are whole ones."""
        doubled = (self.sent_ms - self.arrived_ms) + (self.received_ms - self.answered_ms)
        return ClockOffset(round(doubled / 2), (self._travelled_ms + 1) // 2 + 1)

    @property
    def _travelled_ms(self) -> int:
        return (self.received_ms - self.sent_ms) - (self.answered_ms - self.arrived_ms)


def measure_offset(
    clock: Callable[[], datetime], monotonic: Callable[[], float], ask_ms: Callable[[], int]
) -> ClockOffset | None:
    """Return the offset of a clock from the one that `ask_ms` asks; None if the answer took too long.

    The round trip is measured with a monotonic clock, because the other one may be set meanwhile.
    """
    sent_ms, began = round(clock().timestamp() * 1000), monotonic()
    told_ms = ask_ms()
    received_ms = sent_ms + round((monotonic() - began) * 1000)
    try:
        return ClockExchange(sent_ms, told_ms, told_ms, received_ms).offset()
    except InputError:
        return None
