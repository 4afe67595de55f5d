"""What a verification of the shards of the audit log found (`volens.store.log.shard_verification`)."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, final


@final
@dataclass(frozen=True, slots=True)
class VerifiedShard:
    """A shard that was verified.

    Attributes:
        openings: number of leaves that can still be opened.
        kinds: number of leaves of each kind.
        is_closed: the main log states its final size and root.
    """

    name: str
    size: int
    root: bytes
    openings: int
    is_closed: bool
    kinds: Mapping[str, int] = field(default_factory=dict)


@final
@dataclass(frozen=True, slots=True)
class ShardReport:
    """The result of a verification of shards.

    Attributes:
        shards: those that are there, in the order in which they were opened.
        ended: how many have ended and been deleted, or are deleted by the next sweep.
        lost: how many a restore could not put back, as a whole or their newest entries.
    """

    shards: Sequence[VerifiedShard]
    ended: int
    lost: int

    @property
    def entries(self) -> int:
        """Number of entries in all shards that are there."""
        return sum(one.size for one in self.shards)

    @property
    def kinds(self) -> Mapping[str, int]:
        """Number of leaves of each kind in all shards that are there."""
        return sum((Counter(one.kinds) for one in self.shards), Counter[str]())


NO_SHARDS: Final = ShardReport((), 0, 0)
