"""The protocol of root key holders. A holder has two slots, so that a key that opens exists at every moment."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol, final

from volens.consent import VolensError
from volens.store.keys.secrets import RootKey


class Slot(Enum):
    """The slot of a root key: of the one in use, and during a rotation of its successor."""

    CURRENT = "current"
    NEXT = "next"


class RootKeyHolder(Protocol):
    """Holds the root key of one site.

    Every method raises UnavailableError if the holder does not answer, denies the request or has lost the key, and
    TamperError if it returns something that is not a root key of this site.
    """

    @property
    def url(self) -> str:
        """Where the key is; it contains no secret."""
        ...

    @property
    def copies(self) -> str:
        """Where a copy of a key that was replaced may still be, for certificates."""
        ...

    def create(self, slot: Slot) -> RootKey:
        """Make and store a new key; the caller wipes it.

        A key in use is never replaced (InputError). A key in `Slot.NEXT` was never used, so it may be replaced.
        """
        ...

    def open(self, slot: Slot) -> RootKey | None:
        """Return a key, which the caller wipes; None if `Slot.NEXT` is empty."""
        ...

    def succeed(self) -> None:
        """Replace the key in use by the one in `Slot.NEXT`, and destroy it. If that slot is empty, do nothing.

        Idempotent: after a kill at any point, one of the slots has the next key, and a second call finishes. The
        caller makes sure that no two processes do this at once.
        """
        ...

    def discard(self) -> None:
        """Delete a key that was made for a site whose creation then failed."""
        ...


@final
@dataclass(frozen=True, slots=True)
class RootKeys:
    """The keys that may open the keyring: the one in use and, if a rotation was interrupted, its successor.

    Attributes:
        keys: at least one; wiped at the end of the `with`.
        problem: why the first one could not be read.
    """

    keys: Sequence[RootKey]
    problem: VolensError | None = None

    def __enter__(self) -> "RootKeys":
        return self

    def __exit__(self, *_: object) -> None:
        for key in self.keys:
            key.wipe()


def root_keys(holder: RootKeyHolder) -> RootKeys:
    """Read every key that a holder has.

    Raises:
        UnavailableError, TamperError, InputError: no key can be read; the problem with the first one.
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
