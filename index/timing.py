"""Where the time of a decision goes, for whoever wants to know; this room itself reads no clock and counts nothing."""

from contextlib import AbstractContextManager, nullcontext
from typing import Final, Protocol


class Stages(Protocol):
    """Is told when a stage of a decision begins, and when it has ended."""

    def __call__(self, name: str, /) -> AbstractContextManager[object]:
        """Return what is entered at the beginning of a stage and left at its end, in the thread that decides."""


_NOBODY_ASKS: Final = nullcontext()


def untimed(_name: str, /) -> AbstractContextManager[object]:
    """Measure nothing."""
    return _NOBODY_ASKS
