"""What somebody shows at a door besides their face: the number of a badge, or a PIN."""

from itertools import pairwise
from typing import Final, NoReturn, Self, final

from volens.consent.errors import InputError
from volens.consent.zone import SecondFactor

BADGE_LENGTH: Final = range(4, 65)
PIN_LENGTH: Final = range(4, 13)
_BETWEEN: Final = str.maketrans("", "", " -:")
_YEARS: Final = (b"19", b"20")


@final
class ShownFactor:
    """The characters that were shown. Use it as a context manager, or call `wipe` when it was used.

    Attributes:
        kind: what they are.
    """

    __slots__ = ("_buffer", "kind")

    def __init__(self, kind: SecondFactor, plain: bytes | bytearray) -> None:
        """Copy what is parsed already; use `badge` or `pin`."""
        self.kind = kind
        self._buffer = bytearray(plain)

    @classmethod
    def badge(cls, text: str) -> Self:
        """Read the number of a badge, as a reader or a person types it: in any case, with or without - : and blanks.

        Raises:
            InputError: it is none. The message does not repeat it.
        """
        plain = text.strip().translate(_BETWEEN)
        if len(plain) not in BADGE_LENGTH or not plain.isascii() or not plain.isalnum():
            raise InputError(
                f"got a badge number of {len(plain)} characters; expected {BADGE_LENGTH[0]} to {BADGE_LENGTH[-1]} "
                "letters and digits, as the reader reads them"
            )
        return cls(SecondFactor.BADGE, plain.upper().encode("ascii"))

    @classmethod
    def pin(cls, text: str) -> Self:
        """Read a PIN.

        Raises:
            InputError: it is none. The message does not repeat it.
        """
        plain = text.strip()
        if len(plain) not in PIN_LENGTH or not plain.isascii() or not plain.isdigit():
            raise InputError(
                f"got a PIN of {len(plain)} characters; expected {PIN_LENGTH[0]} to {PIN_LENGTH[-1]} digits"
            )
        return cls(SecondFactor.PIN, plain.encode("ascii"))

    @classmethod
    def of(cls, kind: SecondFactor, text: str) -> Self:
        """Read one of a kind, a badge or a PIN.

        Raises:
            InputError: it is none. The message does not repeat it.
        """
        return {SecondFactor.BADGE: cls.badge, SecondFactor.PIN: cls.pin}[kind](text)

    @property
    def buffer(self) -> bytearray:
        """The characters themselves, not a copy.

        Raises:
            ValueError: they were wiped.
        """
        if not self._buffer:
            raise ValueError("this factor was used and wiped; it has to be shown again")
        return self._buffer

    def copy(self) -> Self:
        """Return another one of the same, to be wiped by itself."""
        return type(self)(self.kind, self.buffer)

    def refuse_if_obvious(self) -> None:
        """Refuse a PIN that is among the first that anybody tries, before it is set.

        These are one digit or group again and again (1111, 1212), runs (1234, 9876, 7890), and years of four digits.

        Raises:
            InputError: it is such a PIN.
        """
        if self.kind is SecondFactor.PIN and _is_obvious(bytes(self.buffer)):
            raise InputError("got a PIN that others would try first; choose one that is no run, repetition or year")

    def wipe(self) -> None:
        """Overwrite the characters with zeros, and forget how many there were."""
        self._buffer[:] = bytes(len(self._buffer))
        self._buffer.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.wipe()

    def __repr__(self) -> str:
        """Say nothing about the characters."""
        return "ShownFactor(...)"

    def __reduce__(self) -> NoReturn:
        """Refuse pickling."""
        raise TypeError("a ShownFactor is not pickled; it is used once and wiped")


def check_kind(asked: SecondFactor, shown: ShownFactor | None) -> None:
    """Refuse a factor that the zone does not ask for. Nothing shown is no mistake: it is a door's first question.

    Raises:
        InputError: a badge number where a PIN is asked for, or the other way round, or where the face alone is.
    """
    if shown is None or shown.kind is asked:
        return
    wanted = {SecondFactor.NONE: "the face alone", SecondFactor.BADGE: "a badge number", SecondFactor.PIN: "a PIN"}
    raise InputError(f"got {wanted[shown.kind]}, where {wanted[asked]} is asked for; show that")


def _is_obvious(digits: bytes) -> bool:
    steps = {(later - earlier) % 10 for earlier, later in pairwise(digits)}
    is_run = len(steps) == 1 and steps <= {0, 1, 9}
    groups = (digits[:size] * (len(digits) // size) for size in range(1, len(digits) // 2 + 1))
    return is_run or digits in groups or (len(digits) == len("2001") and digits.startswith(_YEARS))
