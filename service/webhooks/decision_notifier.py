"""Which decisions at a door are told to recipients who asked for them: one for each person and passage."""

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final, final

from volens.consent import Purpose, UnavailableError
from volens.identify import Identification
from volens.service.door_passages import Passages
from volens.store.programs import MessageKind, Outbox

ASKED_AGAIN_S: Final = 5.0
"""How old the knowledge may be whether anybody wants to be told."""


@final
class DecisionNotifier:
    """Puts decisions into the outbox, before the door is answered. For several threads."""

    def __init__(self, outbox: Outbox, clock: Callable[[], float]) -> None:
        """Tell nothing yet; `clock` is in seconds, never back."""
        self._outbox = outbox
        self._clock = clock
        self._lock = threading.Lock()
        self._wanted: dict[Purpose, tuple[float, bool]] = {}
        self._passages = Passages()

    def tell(self, found: Identification) -> None:
        """Tell of who was known in a frame, if anybody wants to know. A busy store keeps no door shut."""
        if not any(face.match for face in found.faces) or not self._is_wanted(found.purpose):
            return
        with self._lock:
            new = [face.match.receipt_id for face in self._passages.begun(found, self._clock()) if face.match]
        if new:
            with suppress(UnavailableError):
                self._outbox.decided(new)

    def _is_wanted(self, zone: Purpose) -> bool:
        now = self._clock()
        asked_at, wanted = self._wanted.get(zone, (-ASKED_AGAIN_S, False))
        if now - asked_at >= ASKED_AGAIN_S:
            wanted = self._outbox.wanted(zone, MessageKind.DOOR_DECISION)
            self._wanted[zone] = now, wanted
        return wanted
