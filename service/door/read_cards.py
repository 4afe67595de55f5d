"""What a reader reads, as the text of a second factor: the number of a card, and the digits of a keypad. Pure."""

from typing import Final, final

from volens.service.door.wiegand import FORMATS, Card

_BY_LENGTH: Final = {26: "26", 34: "34", 35: "35", 37: "37-plain"}
_BITS: Final = range(8, 201)
_MAX_DIGITS: Final = 12
_ENTER: Final = 0x0D
_CLEAR: Final = 0x7F
_DIGITS: Final = range(0x30, 0x3A)


def card_number(length: int, data: bytes) -> str | None:
    """Return the number of a card as the badge number of a person is set; None if it cannot be one.

    In a known format this is the facility code and the number, each with all its digits: 26 bits with facility 118 and
    number 1603 are ``11801603``. Of 37 bits it is the whole number, because two formats share the length. Of other
    lengths it is W, the length, X, and the bits in hexadecimal digits.
    """
    if length not in _BITS or len(data) < (length + 7) // 8:
        return None
    card = Card(length, bytes(data[: (length + 7) // 8]))
    known = FORMATS.get(_BY_LENGTH.get(length, ""))
    badge = None if known is None else known.decode(card)
    if known is None or badge is None:
        return f"W{length}X{card.data.hex().upper()}"
    number = str(badge.number).zfill(len(str((1 << known.number_bits) - 1)))
    if badge.facility is None:
        return number
    return str(badge.facility).zfill(len(str((1 << known.facility_bits) - 1))) + number


@final
class KeypadDigits:
    """Collects the digits of a PIN until #; * begins anew."""

    def __init__(self) -> None:
        self._digits = ""

    def typed(self, keys: bytes) -> list[str]:
        """Take keys, and return the PINs that are complete."""
        complete = []
        for key in keys:
            if key == _ENTER:
                if self._digits:
                    complete.append(self._digits)
                self._digits = ""
            elif key == _CLEAR:
                self._digits = ""
            elif key in _DIGITS and len(self._digits) < _MAX_DIGITS:
                self._digits += chr(key)
        return complete
