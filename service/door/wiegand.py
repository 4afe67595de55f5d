"""Wiegand formats of access cards: a facility code and a card number as bits with parity. Pure.

| format | bits | facility | number | parity |
|---|---|---|---|---|
| `26` (H10301) | 26 | 8 | 16 | even over the first 13 bits, odd over the last 13 |
| `34` | 34 | 16 | 16 | even over the first 17 bits, odd over the last 17 |
| `35` (Corporate 1000) | 35 | 12 | 20 | two patterns of two of three bits, and odd over all |
| `37` (H10304) | 37 | 16 | 19 | even over the first 19 bits, odd over the last 19; the middle bit is in both |
| `37-plain` (H10302) | 37 | none | 35 | as `37` |

Bits are counted from the left, as they come over the wire. Sources: HID, "Understanding card data formats" (2006), and
the format tables of the Proxmark3 project (`wiegand_formats.c`). Not checked: formats that makers keep to themselves.
"""

from dataclasses import dataclass
from typing import Final, final

from volens.consent import InputError
from volens.consent.panel_badge import PanelBadge

_MAX_DIGITS: Final = 12


@final
@dataclass(frozen=True, slots=True)
class Card:
    """The bits of a card. The value is not part of `repr`.

    Attributes:
        length: how many bits.
        data: the bits in whole bytes, from the left; the rest of the last byte is 0.
    """

    length: int
    data: bytes

    def __repr__(self) -> str:
        return f"Card(length={self.length})"

    @property
    def value(self) -> int:
        """The bits as a number."""
        return int.from_bytes(self.data, "big") >> (-self.length % 8)

    @classmethod
    def of(cls, length: int, value: int) -> "Card":
        """Return the card with these bits."""
        return cls(length, (value << (-length % 8)).to_bytes((length + 7) // 8, "big"))


@final
@dataclass(frozen=True, slots=True)
class WiegandFormat:
    """A format; `FORMATS` has those that the door knows."""

    name: str
    length: int
    facility_bits: int
    number_bits: int

    def encode(self, badge: PanelBadge) -> Card:
        """Return the bits of a badge number.

        Raises:
            InputError: the badge number does not fit into the format. The message does not repeat it.
        """
        if (badge.facility is not None) != bool(self.facility_bits):
            needed = "a facility code and a number, FACILITY-NUMBER" if self.facility_bits else "a number alone"
            raise InputError(f"got a badge number that does not fit format {self.name}; expected {needed}")
        facility = badge.facility or 0
        parts = (("facility code", facility, self.facility_bits), ("card number", badge.number, self.number_bits))
        for what, value, bits in parts:
            if value >> bits:
                raise InputError(f"got a {what} that does not fit format {self.name}; expected 0 to {(1 << bits) - 1}")
        bits = (facility << self.number_bits | badge.number) << 1
        return Card.of(
            self.length, _with_corporate_parity(bits) if self.name == "35" else _with_parity(bits, self.length)
        )

    def badge_read(self, number: str) -> PanelBadge:
        """Return the badge number that a reader has read as digits (`read_cards.card_number`), or as it is printed.

        Raises:
            InputError: it is no number of this format. The message does not repeat it.
        """
        if "-" in number:
            return PanelBadge.parse(number)
        if not (number.isascii() and number.isdecimal()) or len(number) > _MAX_DIGITS:
            raise InputError(f"got a badge that is no number of format {self.name}; expected its digits")
        if not self.facility_bits:
            return PanelBadge(None, int(number))
        if self.name == "37":  # read as one number, because two formats share the length
            return PanelBadge(int(number) >> self.number_bits, int(number) & (1 << self.number_bits) - 1)
        digits = len(str((1 << self.number_bits) - 1))
        return PanelBadge(int(number[:-digits] or "0"), int(number[-digits:]))

    def decode(self, card: Card) -> PanelBadge | None:
        """Return the badge number of a card; None if its length or parity is another."""
        if card.length != self.length:
            return None
        lead = 2 if self.name == "35" else 1
        middle = card.value >> 1 & (1 << self.length - 1 - lead) - 1
        facility = middle >> self.number_bits if self.facility_bits else None
        badge = PanelBadge(facility, middle & (1 << self.number_bits) - 1)
        return badge if self.encode(badge) == card else None


FORMATS: Final = {
    one.name: one
    for one in (
        WiegandFormat("26", 26, 8, 16),
        WiegandFormat("34", 34, 16, 16),
        WiegandFormat("35", 35, 12, 20),
        WiegandFormat("37", 37, 16, 19),
        WiegandFormat("37-plain", 37, 0, 35),
    )
}


def format_named(name: str) -> WiegandFormat:
    """Return a format by its name.

    Raises:
        InputError: there is none of this name.
    """
    found = FORMATS.get(name)
    if found is None:
        raise InputError(f"got format={name[:20]!r} of an OSDP reader; expected one of {', '.join(FORMATS)}")
    return found


def _with_parity(bits: int, length: int) -> int:
    """Add the parity of both halves; of an odd number of bits the middle one is in both."""
    half = (length + 1) // 2
    first, last = bits >> length - half, bits & (1 << half) - 1
    return bits | _is_odd(first) << length - 1 | (not _is_odd(last))


def _with_corporate_parity(bits: int) -> int:
    """Add the parity of Corporate 1000: bit 2 even, bit 35 odd, then bit 1 odd over everything."""
    bits |= _is_odd(bits & _CORPORATE_EVEN) << 33
    bits |= not _is_odd(bits & _CORPORATE_ODD)
    return bits | (not _is_odd(bits)) << 34


def _is_odd(bits: int) -> bool:
    return bits.bit_count() % 2 == 1


# Bits 3, 4, 6, 7 and so on to 34 of 35; and bits 2, 3, 5, 6 and so on to 33.
_CORPORATE_EVEN: Final = sum(1 << 35 - at for at in range(3, 35) if at % 3 != 2)  # noqa: PLR2004
_CORPORATE_ODD: Final = sum(1 << 35 - at for at in range(2, 35) if at % 3 != 1)
