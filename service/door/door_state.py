"""State machine of a door: open, closed or offline. Pure: the time is an argument.

1. A match opens the door for `open_s`. Repeated reports of the same visit do not extend the opening; another visit
   restarts the timer. Times are not added.
2. The door closes when the time is over.
3. Without a decision for `offline_after_s` the door is offline: it closes and stays closed (secure), or is held open
   (safe), until decisions are available again.
4. If the clock goes back, the last time is used.
"""

from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, final

from volens.consent import InputError

_VISITS_KEPT: Final = 64


class Lock(StrEnum):
    """State of the lock."""

    LOCKED = "locked"
    UNLOCKED = "unlocked"
    HELD_OPEN = "held_open"


class WhenOffline(StrEnum):
    """What a door does without decisions: stay closed (fail-secure) or be held open (fail-safe)."""

    SECURE = "secure"
    SAFE = "safe"


@final
@dataclass(frozen=True, slots=True)
class DoorRules:
    """Rules of a door; times in seconds.

    Attributes:
        open_s: how long the door opens for a visit, from 0.1 to 600.
        offline_after_s: the door is offline after this time without a decision, from 1 to 3600.
        matches_to_panel: whether a match sends its badge number to an OSDP panel; a service tells it to no door.
    """

    open_s: float = 5.0
    offline_after_s: float = 10.0
    when_offline: WhenOffline = WhenOffline.SECURE
    matches_to_panel: bool = True

    def __post_init__(self) -> None:
        """Refuse times out of range."""
        if not 0.1 <= self.open_s <= 600:  # noqa: PLR2004  limits are in the message
            raise InputError(f"got an opening time of {self.open_s} s; expected 0.1 to 600; change --open-s")
        if not 1 <= self.offline_after_s <= 3600:  # noqa: PLR2004  as above
            raise InputError(
                f"got {self.offline_after_s} s until the door is offline; expected 1 to 3600; change --offline-after-s"
            )


@final
@dataclass(frozen=True, slots=True)
class DoorStatus:
    """State of a door at one time.

    Attributes:
        open_until_s: when the opening ends; None if the door is not unlocked.
        badges_only: no face is compared, and badges are passed on to the panel of the house.
    """

    lock: Lock
    offline: bool
    open_until_s: float | None = None
    badges_only: bool = False


@final
class DoorState:
    """State of one door. Every method takes the time, in seconds of any clock that does not go back."""

    def __init__(self, rules: DoorRules, now_s: float) -> None:
        """Start closed and not offline."""
        self._rules = rules
        self._now_s = now_s
        self._available_at_s = now_s
        self._open_until_s = now_s
        self._visits: deque[str] = deque(maxlen=_VISITS_KEPT)

    def note_available(self, now_s: float) -> None:
        """Note that decisions are available at this time."""
        self._available_at_s = self._at(now_s)

    def note_match(self, visit_id: str, now_s: float) -> bool:
        """Open the door for a new visit; this also notes that decisions are available.

        Returns:
            Whether the visit is new.
        """
        now_s = self._at(now_s)
        self.note_available(now_s)
        # 1.
        if visit_id in self._visits:
            return False
        self._visits.append(visit_id)
        self._open_until_s = now_s + self._rules.open_s
        return True

    def status_at(self, now_s: float) -> DoorStatus:
        """Return the state at a time."""
        now_s = self._at(now_s)
        # 3.
        if now_s - self._available_at_s >= self._rules.offline_after_s:
            self._open_until_s = now_s
            return DoorStatus(self.final_lock(), offline=True)
        # 2.
        if now_s < self._open_until_s:
            return DoorStatus(Lock.UNLOCKED, offline=False, open_until_s=self._open_until_s)
        return DoorStatus(Lock.LOCKED, offline=False)

    def seconds_until_change(self, now_s: float) -> float:
        """Return the time until `status_at` changes if no event comes; infinity if it never does."""
        now_s = self._at(now_s)
        moments = (self._open_until_s, self._available_at_s + self._rules.offline_after_s)
        return min((moment - now_s for moment in moments if moment > now_s), default=float("inf"))

    def final_lock(self) -> Lock:
        """Return the state in which the program leaves the door when it ends: the same as offline."""
        return Lock.HELD_OPEN if self._rules.when_offline is WhenOffline.SAFE else Lock.LOCKED

    def _at(self, now_s: float) -> float:
        # 4.
        self._now_s = max(self._now_s, now_s)
        return self._now_s
