"""Times of the parts of one identification: wraps the functions of the parts, and unwraps them afterwards."""

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, Final

from volens.index import CandidateGate, Galleries, Gallery

PARTS: Final = ("scan", "query", "unseal", "verify")
"""The scan of the sketches with its estimates; the store's generation; keys, seals and exact scores; the winner's
receipt. The remainder is `rest`."""

_WRAPPED: Final[tuple[tuple[str, Any, str], ...]] = (
    ("scan", Gallery, "propose"),
    ("query", Galleries, "at"),
    ("unseal", CandidateGate, "score"),
    ("verify", CandidateGate, "is_verified"),
)


@contextmanager
def stopwatch() -> Generator[dict[str, int]]:
    """Yield nanoseconds by part, which grow while identifications run. Not thread-safe."""
    spent = dict.fromkeys(PARTS, 0)
    kept = [(place, name, getattr(place, name)) for _, place, name in _WRAPPED]
    try:
        for part, place, name in _WRAPPED:
            setattr(place, name, _timed(getattr(place, name), part, spent))
        yield spent
    finally:
        for place, name, function in kept:
            setattr(place, name, function)


def _timed(function: Callable[..., Any], part: str, spent: dict[str, int]) -> Callable[..., Any]:
    def timed(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401  the signature of any part
        start = time.perf_counter_ns()
        try:
            return function(*arguments, **named)
        finally:
            spent[part] += time.perf_counter_ns() - start

    return timed
