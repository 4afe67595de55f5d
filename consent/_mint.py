"""DANGER: the mint. Code that imports MINT can construct a capability without any consent.

Only `volens.consent.gate` and the capability types in `volens.consent.grant` and `volens.consent.receipt` may import
this module; an import contract ("protected") and a test hold it.
"""

from dataclasses import InitVar, dataclass
from typing import ClassVar, Final

from volens.consent.errors import ForgedGrantError
from volens.consent.in_process import InProcess

MINT: Final = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class Capability(InProcess):
    """A proof that a check was made: it cannot be constructed without MINT, and only `made_by` passes that."""

    made_by: ClassVar[str]
    mint: InitVar[object] = None

    def __post_init__(self, mint: object) -> None:
        if mint is not MINT:
            raise ForgedGrantError(f"only volens.consent.{self.made_by}() makes a {type(self).__name__}")
