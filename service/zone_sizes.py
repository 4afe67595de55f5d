"""How many people a searched zone (1:N) may have with the default model, at which error, and what to do beyond."""

from collections.abc import Iterable, Mapping
from typing import Final

BEYOND: Final = (
    "beyond that, let people show a badge, secret or receipt first and compare 1:1 (custody badge or subject_key, "
    "'volens verify'), split the zone, or load a larger model whose licence covers you (--pack); see docs/scaling.md"
)


def largest_searched_zone() -> int:
    """Return the number of people up to which the thresholds of the default model are measured."""
    from volens.face.thresholds import SFACE  # noqa: PLC0415  the package loads OpenCV

    return SFACE.measured_up_to


def missed_per_100(people: int) -> tuple[int, int] | None:
    """Return how often the default model misses enrolled people in a zone of this size, of 100 attempts.

    Returns the measured size that is next above `people`, and the number for it; None above the largest measured one.
    """
    from volens.face.thresholds import SFACE_MISSED_PER_100  # noqa: PLC0415  the package loads OpenCV

    return next((one for one in sorted(SFACE_MISSED_PER_100.items()) if one[0] >= people), None)


def size_sentence() -> str:
    """Return how many people the default model serves, and how often it misses them."""
    from volens.face.thresholds import SFACE_MISSED_PER_100  # noqa: PLC0415  the package loads OpenCV

    missed = ", ".join(f"{share} at {people:,} people" for people, share in SFACE_MISSED_PER_100.items())
    largest = largest_searched_zone()
    return (
        f"the default model (SFace) is for searched zones of up to {largest} people; of 100 attempts by enrolled "
        f"people it misses about {missed}; it accepts fewer than 1 of 100 strangers (computed, not measured)"
    )


def zones_too_large(references: Iterable[tuple[str, Mapping[str, int]]]) -> dict[str, int]:
    """Return the zones with more references of the default model than it is for, with their number.

    `references` are zones with the number of their references by model.
    """
    from volens.face.embedder import SFACE_MODEL  # noqa: PLC0415  the package loads OpenCV

    counts = {zone: by_model.get(SFACE_MODEL.model_id, 0) for zone, by_model in references}
    return {zone: count for zone, count in counts.items() if count > largest_searched_zone()}
