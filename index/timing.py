"""Timing hook: called at the start and the end of each stage of a decision. This room itself reads no clock."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TypeAlias

StageTimer: TypeAlias = Callable[[str], AbstractContextManager[object]]
"""Returns, for the name of a stage, a context manager that the deciding thread enters at its start and leaves at its
end."""


def no_timing(_stage: str) -> AbstractContextManager[object]:
    """Measure nothing."""
    return nullcontext()
