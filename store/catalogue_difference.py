"""How the catalogue of a database differs from the declared one, in words."""

from collections.abc import Set as AbstractSet
from typing import Final

_SHOWN: Final = 60
_Entry = tuple[str, str, *tuple[str | None, ...]]


def describe_difference(found: AbstractSet[_Entry], expected: AbstractSet[_Entry]) -> str:
    """Return what is missing, additional or different, as the predicate of a sentence; the first in alphabetical order.

    An entry begins with its kind, such as table, and its name.
    """
    known, there = {one[:2] for one in expected}, {one[:2] for one in found}
    wrong = sorted({one[:2] for one in found ^ expected})
    kind, called = wrong[0]
    if (kind, called) not in known:
        what = f"has an additional {kind} {called[:_SHOWN]!r}"
    elif (kind, called) in there:
        what = f"has another {kind} {called!r} than this version makes"
    else:
        what = f"lacks the {kind} {called!r}"
    return what + (f", and {len(wrong) - 1} more differ" if len(wrong) > 1 else "")
