"""Badge number at an access panel: the number that the panel of the house knows a person by. Pure."""

import re
from dataclasses import dataclass
from typing import Final, final

from volens.consent.errors import InputError
from volens.consent.typed_text import parse_code

MOST_NUMBER: Final = 2**35 - 1
MOST_FACILITY: Final = 2**16 - 1
_WRITTEN: Final = re.compile(r"(?:([0-9]{1,5})-)?([0-9]{1,11})")


@final
@dataclass(frozen=True, slots=True)
class PanelBadge:
    """A facility code, if the format of the cards has one, and a card number. Neither is part of `repr`."""

    facility: int | None
    number: int

    def __repr__(self) -> str:
        return "PanelBadge(...)"

    @classmethod
    def parse(cls, text: str) -> "PanelBadge":
        """Read a badge number as it is printed on cards and shown by panels: ``FACILITY-NUMBER`` or ``NUMBER``.

        Raises:
            InputError: the text is not one. The message does not repeat it.
        """
        plain = parse_code(text, " ")
        found = _WRITTEN.fullmatch(plain)
        facility = int(found[1]) if found and found[1] else None
        if found is None or int(found[2]) > MOST_NUMBER or (facility or 0) > MOST_FACILITY:
            raise InputError(
                f"got a badge number of {len(plain)} characters that no card format holds; expected NUMBER or "
                f"FACILITY-NUMBER in digits, such as 118-1603, up to {MOST_FACILITY} and {MOST_NUMBER}"
            )
        return cls(facility, int(found[2]))

    @property
    def text(self) -> str:
        """The badge number as `parse` reads it."""
        return str(self.number) if self.facility is None else f"{self.facility}-{self.number}"
