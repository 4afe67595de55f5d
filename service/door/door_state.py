"""Whether the door is open: a pure state machine, with the clock as an argument.

1. A match opens the door for `open_s`. Told again of the same passage, it stays open no longer; another passage begins
   the time anew. Times do not add up.
2. It closes by time.
3. When no decision could be got for `offline_after_s`, it is offline: it closes and stays closed (secure), or is
   released and stays open (safe), until a decision can be got again.
4. A clock that goes back stands still.
"""

from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, final

from volens.consent import InputError

_PASSAGES_KEPT: Final = 64


class Lock(StrEnum):
    """What the door does."""

    LOCKED = "locked"
    UNLOCKED = "unlocked"
    HELD_OPEN = "held_open"


class WhenOffline(StrEnum):
    """What a door does while nobody decides: keep people out, or let them out."""

    SECURE = "secure"
    SAFE = "safe"


@final
@dataclass(frozen=True, slots=True)
class DoorRules:
    """How a door behaves; seconds.

    Attributes:
        open_s: how long it opens for a passage, from 0.1 to 600.
        offline_after_s: after how long without a decision it is offline, from 1 to 3600.
        when_offline: what it does then.
    """

    open_s: float = 5.0
    offline_after_s: float = 10.0
    when_offline: WhenOffline = WhenOffline.SECURE

    def __post_init__(self) -> None:
        """Refuse times that no door has."""
        if not 0.1 <= self.open_s <= 600:  # noqa: PLR2004  said in the sentence
            raise InputError(f"got {self.open_s} s to keep a door open; expected 0.1 to 600; change --open-s")
        if not 1 <= self.offline_after_s <= 3600:  # noqa: PLR2004  as above
            raise InputError(
                f"got {self.offline_after_s} s until a door is offline; expected 1 to 3600; change --offline-after-s"
            )


@final
@dataclass(frozen=True, slots=True)
class Standing:
    """How a door stands at a moment.

    Attributes:
        open_until_s: until when it is unlocked; None if it is not.
    """

    lock: Lock
    offline: bool
    open_until_s: float | None = None


@final
class DoorState:
    """One door. Every method takes the time, in seconds of any clock that does not go back."""

    def __init__(self, rules: DoorRules, now_s: float) -> None:
        """Begin closed, and not offline yet."""
        self._rules = rules
        self._now_s = now_s
        self._able_s = now_s
        self._open_until_s = now_s
        self._passages: deque[str] = deque(maxlen=_PASSAGES_KEPT)

    def able(self, now_s: float) -> None:
        """Note that a decision could be got just now."""
        self._able_s = self._at(now_s)

    def matched(self, passage: str, now_s: float) -> bool:
        """Open for a passage, if it is a new one; that a decision could be got goes without saying.

        Returns:
            Whether it is new.
        """
        now_s = self._at(now_s)
        self.able(now_s)
        # 1.
        if passage in self._passages:
            return False
        self._passages.append(passage)
        self._open_until_s = now_s + self._rules.open_s
        return True

    def at(self, now_s: float) -> Standing:
        """Return how the door stands."""
        now_s = self._at(now_s)
        # 3.
        if now_s - self._able_s >= self._rules.offline_after_s:
            self._open_until_s = now_s
            return Standing(self.at_the_end(), offline=True)
        # 2.
        if now_s < self._open_until_s:
            return Standing(Lock.UNLOCKED, offline=False, open_until_s=self._open_until_s)
        return Standing(Lock.LOCKED, offline=False)

    def changes_in_s(self, now_s: float) -> float:
        """Return after how long `at` answers differently if nothing happens; infinity if it does not."""
        now_s = self._at(now_s)
        moments = (self._open_until_s, self._able_s + self._rules.offline_after_s)
        return min((moment - now_s for moment in moments if moment > now_s), default=float("inf"))

    def at_the_end(self) -> Lock:
        """Return how the door is left when the program ends: as if it were offline, for nobody decides any more."""
        return Lock.HELD_OPEN if self._rules.when_offline is WhenOffline.SAFE else Lock.LOCKED

    def _at(self, now_s: float) -> float:
        # 4.
        self._now_s = max(self._now_s, now_s)
        return self._now_s
