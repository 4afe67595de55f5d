"""Which decisions at a door are told to recipients who asked for them: one for each person and passage."""

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final, final

from consent import Purpose, ReceiptId, UnavailableError
from index import Identification
from store import MessageKind, Outbox

PASSAGE_S: Final = 10.0
"""Who was seen less than so long ago is still passing."""
ASKED_AGAIN_S: Final = 5.0
"""How old the knowledge may be whether anybody wants to be told."""


@final
class Told:
    """Puts decisions into the outbox, before the door is answered. For several threads."""

    def __init__(self, outbox: Outbox, clock: Callable[[], float]) -> None:
        """Tell nothing yet; `clock` is in seconds, never back."""
        self._outbox = outbox
        self._clock = clock
        self._lock = threading.Lock()
        self._wanted: dict[Purpose, tuple[float, bool]] = {}
        self._seen: dict[ReceiptId, float] = {}

    def tell(self, found: Identification) -> None:
        """Tell of who was known in a frame, if anybody wants to know. A busy store keeps no door shut."""
        matched = [face.match.receipt_id for face in found.faces if face.match is not None]
        if not matched or not self._is_wanted(found.purpose):
            return
        now = self._clock()
        with self._lock:
            self._seen = {one: at for one, at in self._seen.items() if now - at < PASSAGE_S}
            new = [one for one in matched if one not in self._seen]
            self._seen |= dict.fromkeys(matched, now)
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
