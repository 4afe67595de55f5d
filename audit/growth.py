"""Incremental verification of the audit log: only what came after a checkpoint that was verified before.

The hashes of the complete subtrees below the checkpoint (its frontier, at most 63) stand for all leaves before it: they
have its root, or the log is another one. Every later leaf is appended to them. So each later checkpoint is verified to
continue the first one, without reading what was verified before.
"""

from collections import Counter
from collections.abc import Mapping
from typing import final

from volens.audit.checkpoint import Checkpoint, open_checkpoint
from volens.audit.frontier import Frontier
from volens.audit.leaf import open_leaf, read_leaf
from volens.audit.tree import Node, NodeReader, empty_root
from volens.audit.verifier_key import VerifierKey
from volens.consent import TamperError


@final
class LogGrowth:
    """What was added to a log since a checkpoint, verified step by step.

    Attributes:
        start: the checkpoint.
        checkpoints, openings, kinds: what was added and verified so far.
    """

    def __init__(self, start: Checkpoint, size: int, read: NodeReader, key: VerifierKey) -> None:
        """Begin at a checkpoint whose signature was verified, of a log that has `size` leaves now.

        Reads the nodes below the checkpoint from `read`, O(log size) of them.

        Raises:
            TamperError: the log is shorter, or its beginning has another root.
        """
        if start.size > size:
            raise TamperError(
                f"integrity: the log has {size} entries, and had {start.size} at the checkpoint; it was rolled back; "
                "recover the newest data"
            )
        self.start = start
        self.checkpoints = self.openings = 0
        self.kinds = Counter[str]()
        self._key = key
        self._frontier = Frontier(start.size, read)
        self._head = start
        if (self._frontier.root() if start.size else empty_root()) != start.root:
            raise TamperError(
                f"integrity: the first {start.size} entries of the log are not those of the checkpoint; the log was "
                "changed or forked: keep the checkpoint as evidence, and recover the data that it belongs to"
            )

    @property
    def size(self) -> int:
        """The number of leaves of the log up to here."""
        return self._frontier.size

    def add(self, leaf: bytes) -> list[Node]:
        """Append the next leaf and return the nodes that a store must have for it.

        Raises:
            TamperError: the leaf is malformed.
        """
        self.kinds[read_leaf(leaf)[0]] += 1
        return self._frontier.append(leaf)

    def add_opening(self, leaf: bytes, details: Mapping[str, str | int], salt: bytes) -> None:
        """Verify the opening of a leaf that was added.

        Raises:
            TamperError, ValueError: it does not open the leaf.
        """
        open_leaf(leaf, details, salt)
        self.openings += 1

    def add_checkpoint(self, note: str) -> None:
        """Verify a checkpoint of the leaves so far: signed by the site, and with their number and root.

        Raises:
            TamperError: it is not.
        """
        head = open_checkpoint(note, self._key)
        if (head.size, head.root) != (self.size, self._frontier.root()):
            raise TamperError(f"integrity: the first {self.size} leaves are not those of the signed checkpoint")
        self._head = head
        self.checkpoints += 1

    def end(self) -> Checkpoint:
        """Return the checkpoint that covers all leaves, the start if none was added.

        Raises:
            TamperError: the last leaves have no signed checkpoint.
        """
        if self._head.size != self.size:
            raise TamperError(
                f"integrity: the log has {self.size} leaves, the last signed checkpoint covers {self._head.size}"
            )
        return self._head
