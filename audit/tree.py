"""The Merkle tree of the audit log: RFC 9162 section 2.1 (the hashing is RFC 6962's), over stored nodes.

A node ``(level, index, hash)`` is the complete subtree of ``2**level`` leaves that starts at leaf ``index << level``.
It never changes once it exists, so a store only ever inserts nodes. A root or a proof reads O(log size) of them.
The same cut as `HashReader` in Go's golang.org/x/mod/sumdb/tlog.

Nothing here is secret, so nothing here runs in constant time.
"""

import hashlib
from collections.abc import Iterator, Sequence
from typing import Final, Protocol, TypeAlias

from volens.consent import TamperError

HASH_BYTES: Final = 32
_LEAF: Final = b"\x00"
_NODE: Final = b"\x01"


Node: TypeAlias = tuple[int, int, bytes]
"""A complete subtree to store: level and index, 0 or more each, and its hash, 32 bytes."""


class NodeReader(Protocol):
    """Where the nodes are stored; the room that stores them implements it."""

    def __call__(self, level: int, index: int, /) -> bytes:
        """Return the hash (32 bytes) of a complete subtree; only nodes that `new_nodes` gave out are asked for."""
        ...


def empty_root() -> bytes:
    """Return the root of the log without leaves: SHA-256 of nothing."""
    return hashlib.sha256(b"").digest()


def leaf_hash(leaf: bytes) -> bytes:
    """Return the hash (32 bytes) of a leaf: SHA-256(0x00 || leaf)."""
    return hashlib.sha256(_LEAF + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash (32 bytes) of two subtrees: SHA-256(0x01 || left || right). Not checked: their 32 bytes each."""
    return hashlib.sha256(_NODE + left + right).digest()


def new_nodes(size: int, leaf_hash: bytes, read: NodeReader) -> list[Node]:
    """Return the nodes to store when a leaf is appended to a log.

    Args:
        size: leaves in the log before the append, 0 or more; also the index of the new leaf.
        leaf_hash: `leaf_hash()` of the new leaf, 32 bytes.
        read: the nodes stored so far.

    Returns:
        The leaf's node (level 0), then every subtree the leaf completes, upwards. On average two nodes.

    Raises:
        ValueError: a negative size, or a leaf hash of another length.

    Not checked: whether `read` knows exactly `size` leaves. Cost: at most log2(size) + 1 reads.
    """
    if size < 0:
        raise ValueError(f"got a log of {size} leaves; expected 0 or more")
    _require_hash(leaf_hash)
    level, index, subtree = 0, size, leaf_hash
    nodes = [(level, index, subtree)]
    while index & 1:  # a right child: its left sibling is complete, so the parent now is
        subtree = node_hash(read(level, index - 1), subtree)
        level, index = level + 1, index >> 1
        nodes.append((level, index, subtree))
    return nodes


def root(size: int, read: NodeReader) -> bytes:
    """Return the root (32 bytes) of the first `size` leaves, also when the log has grown since.

    Raises:
        ValueError: a negative size.
    """
    if size < 0:
        raise ValueError(f"got a log of {size} leaves; expected 0 or more")
    return _range_hash(0, size, read) if size else empty_root()


def inclusion_proof(index: int, size: int, read: NodeReader) -> list[bytes]:
    """Return the proof that a leaf is in the log of `size` leaves.

    Args:
        index: which leaf, 0..size-1.
        size: leaves in the log the proof is for; not more than are stored.
        read: the stored nodes.

    Returns:
        At most ceil(log2(size)) hashes of 32 bytes, from the leaf's sibling up to the root's child.

    Raises:
        ValueError: an index outside the log.

    Source: RFC 9162 section 2.1.3.1, its recursion written as a loop from the root down.
    """
    if not 0 <= index < size:
        raise ValueError(f"got leaf {index} of a log of {size} leaves; expected an index from 0 to size - 1")
    start, end, proof = 0, size, []
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            proof.append(_range_hash(middle, end, read))
            end = middle
        else:
            proof.append(_range_hash(start, middle, read))
            start = middle
    return proof[::-1]


def consistency_proof(old_size: int, new_size: int, read: NodeReader) -> list[bytes]:
    """Return the proof that a log of `old_size` leaves is the beginning of the log of `new_size` leaves.

    Args:
        old_size: 0..new_size.
        new_size: not more than are stored.
        read: the stored nodes.

    Returns:
        At most ceil(log2(new_size)) + 1 hashes of 32 bytes. Empty if `old_size` is 0 or `new_size`: nothing to prove.

    Raises:
        ValueError: sizes out of order or negative.

    Source: RFC 9162 section 2.1.4.1, its recursion written as a loop from the root down.
    """
    if not 0 <= old_size <= new_size:
        raise ValueError(f"got sizes {old_size} and {new_size}; expected 0 <= old size <= new size")
    if old_size == 0:
        return []
    start, end, proof = 0, new_size, []
    while old_size != end:
        middle = start + _split(end - start)
        if old_size <= middle:
            proof.append(_range_hash(middle, end, read))
            end = middle
        else:
            proof.append(_range_hash(start, middle, read))
            start = middle
    if start:  # else the subtree is the whole old log, and the verifier has its root
        proof.append(_range_hash(start, end, read))
    return proof[::-1]


def verify_inclusion(leaf_hash: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Return if leaf `index` of the log with this size and root has this hash; raise otherwise.

    1. The index is inside the log.
    2. Set fn to the index and sn to size - 1.
    3. Set r to the leaf's hash.
    4. For each p of the proof: fail if sn is 0. If LSB(fn) is set or fn = sn, then r = H(1 || p || r), and shift fn and
       sn right until LSB(fn) is set or fn is 0. Otherwise r = H(1 || r || p). Then shift fn and sn right once.
    5. sn is 0 and r is the root.

    Args:
        leaf_hash: 32 bytes; compute it from the leaf with `leaf_hash()`, never take it from the prover.
        index: which leaf, from 0.
        size: leaves in the log, from a checkpoint whose signature was verified.
        proof: hashes of 32 bytes each, from `inclusion_proof`.
        root: 32 bytes, from the same checkpoint.

    Raises:
        TamperError: the proof does not hold, is too long or short, or the index is outside the log.
        ValueError: `leaf_hash` is not 32 bytes.

    Source: RFC 9162 section 2.1.3.2.
    """
    _require_hash(leaf_hash)
    _require_hashes(proof)
    # 1. and what Python adds: a negative fn would never become 0 by shifting
    if not 0 <= index < size:
        raise TamperError(f"integrity: got leaf {index} of a log of {size} leaves; no such leaf can be in it")
    # 2.
    fn, sn = index, size - 1
    # 3.
    r = leaf_hash
    # 4.
    for p in proof:
        if sn == 0:
            raise TamperError(f"integrity: got {len(proof)} hashes; the inclusion proof is too long for {size} leaves")
        if fn & 1 or fn == sn:
            r = node_hash(p, r)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            r = node_hash(r, p)
        fn, sn = fn >> 1, sn >> 1
    # 5.
    if sn != 0:
        raise TamperError(f"integrity: got {len(proof)} hashes; the inclusion proof is too short for {size} leaves")
    if r != root:
        raise TamperError(f"integrity: leaf {index} is not in the log of {size} leaves with this root")


def verify_consistency(old_size: int, new_size: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes) -> None:
    """Return if the old log is the beginning of the new one; raise otherwise.

    0. Not in the RFC, which asks for 0 < old size < new size: with equal sizes the roots are equal and the proof is
       empty; the log of 0 leaves has the root of nothing, an empty proof, and is the beginning of every log.
    1. An empty proof fails.
    2. If the old size is a power of two, put the old root in front of the proof.
    3. Set fn to old size - 1 and sn to new size - 1.
    4. Shift fn and sn right until LSB(fn) is not set.
    5. Set fr and sr to the first hash.
    6. For each further c: fail if sn is 0. If LSB(fn) is set or fn = sn, then fr = H(1 || c || fr) and
       sr = H(1 || c || sr), and shift fn and sn right until LSB(fn) is set or fn is 0. Otherwise sr = H(1 || sr || c).
       Then shift fn and sn right once.
    7. fr is the old root, sr is the new root, and sn is 0.

    Args:
        old_size: leaves in the old log, from a checkpoint whose signature was verified.
        new_size: leaves in the new log, from another such checkpoint.
        proof: hashes of 32 bytes each, from `consistency_proof`.
        old_root: 32 bytes, from the old checkpoint.
        new_root: 32 bytes, from the new checkpoint.

    Raises:
        TamperError: the logs are not shown to be one: history was changed, or the proof is for something else.

    Source: RFC 9162 section 2.1.4.2.
    """
    _require_hashes(proof)
    # 0.
    if not 0 <= old_size <= new_size:
        raise TamperError(f"integrity: got sizes {old_size}, then {new_size}; an append-only log cannot shrink")
    if old_size in (0, new_size):
        same = old_size != new_size or old_root == new_root
        nothing = old_size != 0 or old_root == empty_root()
        if proof or not same or not nothing:
            raise TamperError(f"integrity: the logs of {old_size} and {new_size} leaves are not consistent")
        return
    # 1.
    if not proof:
        raise TamperError(f"integrity: got no hashes; expected a proof from {old_size} to {new_size} leaves")
    # 2. to 6.
    fr, sr, sn = _climb(old_size, new_size, proof, old_root)
    # 7.
    if sn != 0 or fr != old_root or sr != new_root:
        raise TamperError(f"integrity: the log of {old_size} leaves is not the beginning of the log of {new_size}")


def _climb(old_size: int, new_size: int, proof: Sequence[bytes], old_root: bytes) -> tuple[bytes, bytes, int]:
    """Return fr, sr and sn after steps 2 to 6 of `verify_consistency`."""
    # 2.
    path = [old_root, *proof] if old_size & (old_size - 1) == 0 else list(proof)
    # 3.
    fn, sn = old_size - 1, new_size - 1
    # 4.
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    # 5.
    fr = sr = path[0]
    # 6.
    for c in path[1:]:
        if sn == 0:
            raise TamperError(f"integrity: got {len(proof)} hashes; the consistency proof is too long")
        if fn & 1 or fn == sn:
            fr, sr = node_hash(c, fr), node_hash(c, sr)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = node_hash(sr, c)
        fn, sn = fn >> 1, sn >> 1
    return fr, sr, sn


def _split(width: int) -> int:
    """Return the largest power of two below a width of 2 or more: the leaves in its left subtree."""
    return 1 << ((width - 1).bit_length() - 1)


def _range_hash(start: int, end: int, read: NodeReader) -> bytes:
    """Return the RFC's MTH(D[start:end]) for a range that its recursion makes, so that `start` is aligned to it."""
    right, *lefts = (read(level, index) for level, index in reversed(list(_complete_subtrees(start, end))))
    for left in lefts:
        right = node_hash(left, right)
    return right


def _complete_subtrees(start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield (level, index) of the largest complete subtrees that make up a range, left to right."""
    while start < end:
        level = (end - start).bit_length() - 1
        yield level, start >> level
        start += 1 << level


def _require_hash(value: bytes) -> None:
    if len(value) != HASH_BYTES:
        raise ValueError(f"got a hash of {len(value)} bytes; expected {HASH_BYTES}")


def _require_hashes(proof: Sequence[bytes]) -> None:
    """Refuse other lengths: of 31 and 33 bytes, a left and a right sibling would hash like 32 and 32."""
    if any(len(value) != HASH_BYTES for value in proof):
        raise TamperError(f"integrity: the proof has a hash that is not {HASH_BYTES} bytes; obtain the proof again")
