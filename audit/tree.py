"""The Merkle tree of the audit log: RFC 9162 section 2.1 (the hashing is RFC 6962's), over stored nodes.

A node ``(level, index, hash)`` is the complete subtree of ``2**level`` leaves that starts at leaf ``index << level``.
Nodes are immutable, so a store only inserts them. A root or a proof reads O(log size) nodes. The same design as
`HashReader` in Go's golang.org/x/mod/sumdb/tlog.

Nothing here is secret, so nothing needs constant time.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeAlias

from volens.consent import TamperError

HASH_BYTES: Final = 32
_LEAF: Final = b"\x00"
_NODE: Final = b"\x01"


Node: TypeAlias = tuple[int, int, bytes]
"""A complete subtree to store: level and index, 0 or more each, and its hash, 32 bytes."""


NodeReader: TypeAlias = Callable[[int, int], bytes]
"""Returns the hash (32 bytes) of a stored node by level and index; called only for nodes that `new_nodes` returned."""


def empty_root() -> bytes:
    """Return the root of the empty log: SHA-256 of no bytes."""
    return hashlib.sha256(b"").digest()


def leaf_hash(leaf: bytes) -> bytes:
    """Return the hash (32 bytes) of a leaf: SHA-256(0x00 || leaf)."""
    return hashlib.sha256(_LEAF + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash (32 bytes) of two subtrees: SHA-256(0x01 || left || right). Not checked: their 32 bytes each."""
    return hashlib.sha256(_NODE + left + right).digest()


def new_nodes(size: int, leaf_hash: bytes, read: NodeReader) -> list[Node]:
    """Return the nodes to store when a leaf with this hash (32 bytes) is appended to a log of `size` leaves.

    They are the leaf's node (level 0), then every subtree that the leaf completes, upwards. On average two nodes.

    Raises:
        ValueError: a negative size, or a leaf hash of another length.

    Not checked: whether `read` has exactly `size` leaves. Cost: at most log2(size) + 1 reads.
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
    """Return the root (32 bytes) of the first `size` leaves, also if the log has grown since.

    Raises:
        ValueError: a negative size.
    """
    if size < 0:
        raise ValueError(f"got a log of {size} leaves; expected 0 or more")
    return _range_hash(0, size, read) if size else empty_root()


def inclusion_proof(index: int, size: int, read: NodeReader) -> list[bytes]:
    """Return the inclusion proof of leaf `index` in the log of `size` leaves, not more than are stored.

    It has at most ceil(log2(size)) hashes of 32 bytes, from the leaf's sibling up to the root's child.

    Raises:
        ValueError: an index outside the log.

    Source: RFC 9162 section 2.1.3.1, as a loop from the root down instead of a recursion.
    """
    if not 0 <= index < size:
        raise ValueError(f"got leaf {index} of a log of {size} leaves; expected an index from 0 to size - 1")
    siblings, _subtree = _descend(index, size, read, until=lambda start, end: end - start == 1)
    return siblings[::-1]


def consistency_proof(old_size: int, new_size: int, read: NodeReader) -> list[bytes]:
    """Return the consistency proof: a log of `old_size` leaves is the beginning of the log of `new_size` leaves.

    It has at most ceil(log2(new_size)) + 1 hashes of 32 bytes, and is empty if `old_size` is 0 or `new_size`, because
    there is nothing to prove. No more than `new_size` leaves need be stored.

    Raises:
        ValueError: sizes out of order or negative.

    Source: RFC 9162 section 2.1.4.1, as a loop from the root down instead of a recursion.
    """
    if not 0 <= old_size <= new_size:
        raise ValueError(f"got sizes {old_size} and {new_size}; expected 0 <= old size <= new size")
    if old_size == 0:
        return []
    siblings, (start, end) = _descend(old_size - 1, new_size, read, until=lambda _start, end: end == old_size)
    # If it starts at 0, the subtree is the whole old log, and the verifier has its root.
    return ([_range_hash(start, end, read)] if start else []) + siblings[::-1]


def verify_inclusion(leaf_hash: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Verify an inclusion proof: leaf `index` of the log with this size and root has this hash.

    1. The index is inside the log.
    2. Set fn to the index and sn to size - 1.
    3. Set r to the leaf's hash.
    4. For each p of the proof: fail if sn is 0. If LSB(fn) is set or fn = sn, then r = H(1 || p || r), and shift fn and
       sn right until LSB(fn) is set or fn is 0. Otherwise r = H(1 || r || p). Then shift fn and sn right once.
    5. sn is 0 and r is the root.

    The caller computes `leaf_hash` from the leaf and never accepts it from the prover; `size` and `root` come from a
    checkpoint whose signature was verified.

    Raises:
        TamperError: the proof does not hold, is too long or short, or the index is outside the log.
        ValueError: `leaf_hash` is not 32 bytes.

    Source: RFC 9162 section 2.1.3.2.
    """
    _require_hash(leaf_hash)
    _require_hashes(proof)
    # 1., and in Python a negative fn would never become 0 by shifting
    if not 0 <= index < size:
        raise TamperError(f"integrity: got leaf {index} of a log of {size} leaves; no such leaf can be in it")
    # 2. to 4.
    _, r, sn = _climb(index, size - 1, leaf_hash, proof)
    # 5.
    if sn != 0:
        raise TamperError(f"integrity: got {len(proof)} hashes; the inclusion proof is too short for {size} leaves")
    if r != root:
        raise TamperError(f"integrity: leaf {index} is not in the log of {size} leaves with this root")


def verify_consistency(old_size: int, new_size: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes) -> None:
    """Verify a consistency proof: the old log is the beginning of the new one.

    0. Not in the RFC, which requires 0 < old size < new size: with equal sizes the roots are equal and the proof is
       empty; the empty log has the root of no bytes, an empty proof, and is the beginning of every log.
    1. An empty proof fails.
    2. If the old size is a power of two, put the old root in front of the proof.
    3. Set fn to old size - 1 and sn to new size - 1.
    4. Shift fn and sn right until LSB(fn) is not set.
    5. Set fr and sr to the first hash.
    6. For each further c: fail if sn is 0. If LSB(fn) is set or fn = sn, then fr = H(1 || c || fr) and
       sr = H(1 || c || sr), and shift fn and sn right until LSB(fn) is set or fn is 0. Otherwise sr = H(1 || sr || c).
       Then shift fn and sn right once.
    7. fr is the old root, sr is the new root, and sn is 0.

    Each size and its root come from one checkpoint whose signature was verified.

    Raises:
        TamperError: the proof does not hold: history was changed, or the proof is for other logs.

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
    # 2.
    first, *path = proof if old_size & (old_size - 1) else [old_root, *proof]
    # 3.
    fn, sn = old_size - 1, new_size - 1
    # 4.
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    # 5. and 6.
    fr, sr, sn = _climb(fn, sn, first, path)
    # 7.
    if sn != 0 or fr != old_root or sr != new_root:
        raise TamperError(f"integrity: the log of {old_size} leaves is not the beginning of the log of {new_size}")


def _climb(fn: int, sn: int, first: bytes, path: Sequence[bytes]) -> tuple[bytes, bytes, int]:
    """Return fr, sr and sn after steps 5 and 6 of `verify_consistency`. sr is the r of step 4 of `verify_inclusion`."""
    fr = sr = first
    for c in path:
        if sn == 0:
            raise TamperError(f"integrity: got {len(path)} hashes for the path to the root; the proof is too long")
        if fn & 1 or fn == sn:
            fr, sr = node_hash(c, fr), node_hash(c, sr)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = node_hash(sr, c)
        fn, sn = fn >> 1, sn >> 1
    return fr, sr, sn


def _descend(
    index: int, size: int, read: NodeReader, *, until: Callable[[int, int], bool]
) -> tuple[list[bytes], tuple[int, int]]:
    """Return the subtree (start, end) at which the way from the root to a leaf ends, and the siblings on the way."""
    start, end, siblings = 0, size, list[bytes]()
    while not until(start, end):
        middle = start + (1 << ((end - start - 1).bit_length() - 1))  # the left subtree is the largest power of two
        if index < middle:
            siblings.append(_range_hash(middle, end, read))
            end = middle
        else:
            siblings.append(_range_hash(start, middle, read))
            start = middle
    return siblings, (start, end)


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
    """Refuse other lengths, because a left and a right sibling of 31 and 33 bytes would hash like 32 and 32."""
    if any(len(value) != HASH_BYTES for value in proof):
        raise TamperError(f"integrity: the proof has a hash that is not {HASH_BYTES} bytes; obtain the proof again")
