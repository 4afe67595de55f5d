"""OSDP reader: this door is the peripheral of the panel that a house already has, over the secure channel.

A match sends the person's badge number, and the panel decides and opens, as after any card.

1. A card is sent only while the panel polls in the secure channel, and for at most `CARD_VALID_S`: a later one could
   open the door to another person. What became of it is logged.
2. The library does not say whether the panel got a card, and forgets the card when the answer is lost. The channel
   knows (`osdp_channel`), and a card that was lost is sent again within its time.
3. A panel may set a new key over the secure channel. It is in the key file before the panel gets the confirmation.
"""

import time
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from typing import Final, final

from volens.consent import UnavailableError, VolensError
from volens.consent.panel_badge import PanelBadge
from volens.service.door.door_events import CardSent, EventSink, Verdict
from volens.service.door.osdp_channel import Line, LineChannel
from volens.service.door.osdp_key import OsdpKey
from volens.service.door.osdp_library import Message, OsdpLibrary, PeripheralContext
from volens.service.door.osdp_link import OsdpLink
from volens.service.door.wiegand import Card, WiegandFormat

CARD_VALID_S: Final = 5.0
PANEL_SILENT_S: Final = 3.0


class _Sending:
    """A card on its way."""

    def __init__(self, card: Card, until_s: float) -> None:
        self.card = card
        self.until_s = until_s
        self.is_queued = False


@final
class OsdpReader:
    """The reader, as an output of the door. It drives no lock: the panel does."""

    def __init__(
        self,
        open_line: Callable[[], Line],
        *,
        address: int,
        key_file: Path,
        card_format: WiegandFormat,
        name: str = "osdp-reader",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare the reader; `poll` opens the line.

        Raises:
            InputError: the key file is no key, or other users can read it.
            UnavailableError: it cannot be read, or `libosdp` is not installed.
        """
        self.name = name
        self._library = OsdpLibrary()
        self._key_file = key_file
        OsdpKey.read(key_file).wipe()
        self._address = address
        self._format = card_format
        self._clock = clock
        self._emit: EventSink | None = None
        self._cards: SimpleQueue[_Sending] = SimpleQueue()
        self._sending: _Sending | None = None
        self._received = 0
        self._heard_at_s: float | None = None
        self._is_secure = False
        self._link: OsdpLink[PeripheralContext] = OsdpLink(name, address, open_line, self._make, self._step)

    def listen(self, emit: EventSink) -> None:
        """Send reports about cards to the door."""
        self._emit = emit

    def send_badge(self, badge: PanelBadge) -> None:
        """Send a badge number to the panel. Thread-safe, does not block.

        Raises:
            InputError: it does not fit the format of the panel's cards.
        """
        card = self._format.encode(badge)
        self._link.start()
        self._cards.put(_Sending(card, self._clock() + CARD_VALID_S))

    def pass_on(self, number: str) -> None:
        """Send the number of a badge that was read at this door. Thread-safe, does not block.

        Raises:
            InputError: it does not fit the format of the panel's cards.
        """
        self.send_badge(self._format.badge_read(number))

    def open_for(self, seconds: float) -> None:
        """Do nothing: the panel opens after it got the card."""

    def keep_closed(self) -> None:
        """Do nothing: the panel keeps the door closed."""
        self._link.start()

    def hold_open(self) -> None:
        """Do nothing: what happens without decisions is the panel's rule."""
        self._link.start()

    def show(self, verdict: Verdict) -> None:
        """Do nothing: the panel's LED commands are for its own reader."""

    def poll(self) -> None:
        """Check that the panel polls.

        Raises:
            UnavailableError: it does not, or not in the secure channel.
        """
        self._link.start()
        if self._link.problem:
            raise UnavailableError(self._link.problem)
        heard = self._heard_at_s
        if heard is None or self._clock() - heard > PANEL_SILENT_S:
            raise UnavailableError(
                f"the panel does not poll the OSDP reader at address {self._address}; check the address, the baud rate "
                "and the cable"
            )
        if not self._is_secure:
            raise UnavailableError(
                f"the panel polls, but not with the key in {self._key_file}; pair it with 'volens door pair'"
            )

    def close(self) -> None:
        """Close the line."""
        self._link.close()

    # The methods below run in the thread of the link.

    def _make(self, channel: LineChannel) -> PeripheralContext:
        self._received, self._is_secure = 0, False
        if self._sending is not None:
            self._sending.is_queued = False
        with OsdpKey.read(self._key_file) as key:
            return self._library.peripheral(channel, self._address, bytes(key.buffer), self._obey)

    def _obey(self, command: Message) -> bool:
        key = self._library.new_key_of(command)
        if key is None:
            return True  # light and sound of the panel
        # 3.
        try:
            with OsdpKey(key) as new:
                new.write(self._key_file, replace=True)
        except VolensError:
            return False
        return True

    def _step(self, context: PeripheralContext, channel: LineChannel) -> None:
        now = self._clock()
        if channel.received != self._received:
            self._received, self._heard_at_s = channel.received, now
        self._is_secure = context.is_sc_active()
        if self._is_secure:
            self._link.succeeded()
        while not self._cards.empty():  # only this thread takes
            newer = self._cards.get()
            self._finish(context, channel, was_sent=False)
            self._sending = newer
        one = self._sending
        if one is None:
            return
        # 2.
        if one.is_queued and channel.fetched is not None:
            if channel.fetched:
                self._finish(context, channel, was_sent=True)
                return
            one.is_queued, channel.fetched = False, None
        # 1.
        if now >= one.until_s:
            self._finish(context, channel, was_sent=False)
        elif self._is_secure and not one.is_queued:
            one.is_queued = context.submit_event(self._library.card_event(one.card.length, one.card.data))

    def _finish(self, context: PeripheralContext, channel: LineChannel, *, was_sent: bool) -> None:
        if self._sending is None:
            return
        context.flush_events()
        channel.fetched = None
        self._sending = None
        if self._emit is not None:
            self._emit(CardSent(self.name, was_sent=was_sent))
