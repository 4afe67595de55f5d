"""The frontier of a Merkle tree: the largest complete subtrees of the leaves so far, which are all that a root needs.

With it a log of any size is verified in one pass, in memory that does not grow with the log.
"""

from typing import final

from volens.audit.tree import Node, NodeReader, leaf_hash, new_nodes, root


@final
class Frontier:
    """The largest complete subtrees of the leaves so far, left to right: all that the next root needs."""

    def __init__(self, size: int = 0, read: NodeReader | None = None) -> None:
        """Begin with the first `size` leaves, of which `read` has the nodes; by default with none."""
        self.size = size
        self._nodes: dict[tuple[int, int], bytes] = {}
        if read is not None:
            for level in range(size.bit_length()):
                if size >> level & 1:
                    index = (size >> level) - 1
                    self._nodes[level, index] = read(level, index)

    def read(self, level: int, index: int, /) -> bytes:
        """Return a node; a `NodeReader` for the root of all leaves so far."""
        return self._nodes[level, index]

    def append(self, leaf: bytes) -> list[Node]:
        """Append a leaf, and return the nodes that it completes."""
        made = new_nodes(self.size, leaf_hash(leaf), self.read)
        for level, index, value in made:
            self._nodes[level, index] = value
            for child in (2 * index, 2 * index + 1):
                self._nodes.pop((level - 1, child), None)
        self.size += 1
        return made

    def root(self) -> bytes:
        """Return the root of the leaves so far."""
        return root(self.size, self.read)
