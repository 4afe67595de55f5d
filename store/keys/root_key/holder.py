"""What a holder of root keys must do. It has two places, so that there is never a moment without a key that opens."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol, final

from volens.consent import VolensError
from volens.store.keys.secrets import RootKey


class Slot(Enum):
    """The place of a root key: the one in use, and during a rotation the one that comes after it."""

    CURRENT = "current"
    NEXT = "next"


class RootKeyHolder(Protocol):
    """Holds the root key of one site.

    Every method raises UnavailableError where the holder does not answer, denies or has lost the key, and TamperError
    where it answers with something that is no root key of this site.
    """

    @property
    def url(self) -> str:
        """Where the key is; no secret."""
        ...

    def create(self, slot: Slot) -> RootKey:
        """Make a new key and hold it; the caller wipes it.

        A key in use is never replaced (InputError); one that waits in `Slot.NEXT` was never used and may be.
        """
        ...

    def open(self, slot: Slot) -> RootKey | None:
        """Return a key, which the caller wipes; None if nothing waits in `Slot.NEXT`."""
        ...

    def succeed(self) -> None:
        """Let the key that waits take the place of the one in use, which is destroyed. Nothing waits: nothing changes.

        Killed at any point, one of the two places has the waiting key; done again, it goes on. The caller sees to it
        that no two processes do this at once.
        """
        ...

    def discard(self) -> None:
        """Let go of a key that was made for a site that then could not be made."""
        ...


@final
@dataclass(frozen=True, slots=True)
class RootKeys:
    """The keys that may open the keyring: the one in use and, if a rotation was cut short, the one after it.

    Attributes:
        keys: at least one; wiped at the end of the `with`.
        problem: why the first one could not be had.
    """

    keys: Sequence[RootKey]
    problem: VolensError | None = None

    def __enter__(self) -> "RootKeys":
        return self

    def __exit__(self, *_: object) -> None:
        for key in self.keys:
            key.wipe()


RootKeySource = Callable[[], RootKeys]
"""Asks the holder again: a running process does when another one has rotated the keys."""


def root_keys(holder: RootKeyHolder) -> RootKeys:
    """Ask a holder for every key it has.

    Raises:
        UnavailableError, TamperError, InputError: it has none that can be had; what was wrong with the first.
    """
    keys: list[RootKey] = []
    problem: VolensError | None = None
    for slot in Slot:
        try:
            key = holder.open(slot)
        except VolensError as error:
            problem = problem or error
        else:
            keys += [] if key is None else [key]
    if not keys and problem is not None:
        raise problem
    return RootKeys(keys, problem)
