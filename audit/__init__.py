"""The append-only audit log: Merkle tree, signed checkpoints, leaves that are salted commitments. Pure: no I/O, no SQL.

A leaf holds nothing that must ever be erased; what must is outside, under a salt that is erased with the person.
"""

from audit.checkpoint import Checkpoint, VerifierKey, open_checkpoint, sign_checkpoint
from audit.leaf import Event, leaf_bytes, open_leaf, read_leaf
from audit.tree import (
    Node,
    NodeReader,
    consistency_proof,
    empty_root,
    inclusion_proof,
    leaf_hash,
    new_nodes,
    node_hash,
    root,
    verify_consistency,
    verify_inclusion,
)

__all__ = [
    "Checkpoint",
    "Event",
    "Node",
    "NodeReader",
    "VerifierKey",
    "consistency_proof",
    "empty_root",
    "inclusion_proof",
    "leaf_bytes",
    "leaf_hash",
    "new_nodes",
    "node_hash",
    "open_checkpoint",
    "open_leaf",
    "read_leaf",
    "root",
    "sign_checkpoint",
    "verify_consistency",
    "verify_inclusion",
]
