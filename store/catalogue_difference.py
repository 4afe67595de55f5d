"""How the catalogue of a database differs from the declared one, in words; and whether a rollout expects that."""

import json
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from hashlib import sha256
from typing import Final

from volens.consent import UnavailableError
from volens.store.engine import SchemaRollout

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


def catalogue_digest(entries: Iterable[_Entry]) -> bytes:
    """Return the SHA-256 of a catalogue, 32 bytes; a release pins it in hexadecimal digits, or announces it."""
    return sha256(json.dumps(sorted(entries, key=repr), ensure_ascii=True).encode("ascii")).digest()


def is_expected(
    found: AbstractSet[_Entry],
    revision: str,
    rollout: SchemaRollout,
    extends_ours: Callable[[], bool],
    *,
    engine: str,
    name: str,
) -> bool:
    """Return whether a rollout expects the catalogue that was found; `name` is what errors call the database.

    Raises:
        UnavailableError: a newer release has upgraded the database while this process had it open.
    """
    if rollout.is_newer(revision):
        raise UnavailableError(
            f"{name} was upgraded to the schema {revision[:40]!r} of a newer Volens while this process ran; start it "
            "again with that one"
        )
    expected = rollout.expected(engine, revision)
    if expected is None or catalogue_digest(found) not in expected.sha256s:
        return False
    return not expected.extends_ours or extends_ours()
