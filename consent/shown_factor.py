"""The second factor that a person shows at a door besides their face: the number of a badge, or a PIN."""

from itertools import pairwise
from typing import Final, Self, final

from volens.consent.errors import InputError
from volens.consent.in_process import WipedBuffer
from volens.consent.reason import Reason
from volens.consent.typed_text import parse_code
from volens.consent.zone import SecondFactor

BADGE_LENGTH: Final = range(4, 65)
PIN_LENGTH: Final = range(4, 13)
_BETWEEN: Final = " -:"
_YEARS: Final = (b"19", b"20")


@final
class ShownFactor(WipedBuffer):
    """The characters that the person showed. Use it as a context manager, or call `wipe` after use."""

    __slots__ = ("kind",)

    def __init__(self, kind: SecondFactor, plain: bytes | bytearray) -> None:
        """Copy parsed characters; call `badge` or `pin` instead."""
        super().__init__(plain)
        self.kind = kind

    @classmethod
    def badge(cls, text: str) -> Self:
        """Read a badge number as a reader or a person types it: any case, with or without hyphens, colons and spaces.

        Raises:
            InputError: the text is not a badge number. The message does not repeat it.
        """
        plain = parse_code(text, _BETWEEN)
        if len(plain) not in BADGE_LENGTH or not plain.isascii() or not plain.isalnum():
            raise InputError(
                f"got a badge number of {len(plain)} characters; expected {BADGE_LENGTH[0]} to {BADGE_LENGTH[-1]} "
                "letters and digits, as the reader reads them",
                reason=Reason.BADGE_LENGTH,
            )
        return cls(SecondFactor.BADGE, plain.upper().encode("ascii"))

    @classmethod
    def pin(cls, text: str) -> Self:
        """Read a PIN.

        Raises:
            InputError: the text is not a PIN. The message does not repeat it.
        """
        plain = parse_code(text, "")
        if len(plain) not in PIN_LENGTH or not plain.isascii() or not plain.isdigit():
            raise InputError(
                f"got a PIN of {len(plain)} characters; expected {PIN_LENGTH[0]} to {PIN_LENGTH[-1]} digits",
                reason=Reason.PIN_LENGTH,
            )
        return cls(SecondFactor.PIN, plain.encode("ascii"))

    @classmethod
    def of(cls, kind: SecondFactor, text: str) -> Self:
        """Read a second factor of one kind, badge or PIN.

        Raises:
            InputError: the text is not one. The message does not repeat it.
        """
        return {SecondFactor.BADGE: cls.badge, SecondFactor.PIN: cls.pin}[kind](text)

    @property
    def buffer(self) -> bytearray:
        """The factor's own buffer, not a copy.

        Raises:
            ValueError: it was wiped.
        """
        if not self._buffer:
            raise ValueError("this second factor was wiped after use; show it again")
        return self._buffer

    def copy(self) -> Self:
        """Return a copy, to be wiped separately."""
        return type(self)(self.kind, self.buffer)

    def refuse_if_obvious(self) -> None:
        """Refuse an easily guessed PIN before it is set.

        These are one digit or group repeated (1111, 1212), runs (1234, 9876, 7890), and years of four digits.

        Raises:
            InputError: the PIN is one of these.
        """
        if self.kind is SecondFactor.PIN and _is_obvious(bytes(self.buffer)):
            raise InputError(
                "got a PIN that is easily guessed; choose one that is not a run, a repetition or a year",
                reason=Reason.PIN_GUESSED,
            )

    def wipe(self) -> None:
        """Overwrite the characters with zeros and drop their number."""
        super().wipe()
        self._buffer.clear()


def check_kind(required: SecondFactor, shown: ShownFactor | None) -> None:
    """Refuse a second factor that the zone does not require. No factor is valid: a door decides on the face first.

    Raises:
        InputError: a badge number although the zone requires a PIN, or the reverse, or any factor if it requires none.
    """
    if shown is None or shown.kind is required:
        return
    names = {SecondFactor.NONE: "the face alone", SecondFactor.BADGE: "a badge number", SecondFactor.PIN: "a PIN"}
    raise InputError(
        f"got {names[shown.kind]}, but this zone requires {names[required]}; show that", reason=Reason.OTHER_FACTOR
    )


def _is_obvious(digits: bytes) -> bool:
    steps = {(later - earlier) % 10 for earlier, later in pairwise(digits)}
    is_run = len(steps) == 1 and steps <= {0, 1, 9}
    groups = (digits[:size] * (len(digits) // size) for size in range(1, len(digits) // 2 + 1))
    return is_run or digits in groups or (len(digits) == len("2001") and digits.startswith(_YEARS))
