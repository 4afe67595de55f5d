"""The append-only audit log: Merkle tree, signed checkpoints, leaves with salted commitments. Pure: no I/O, no SQL."""

from volens.audit.checkpoint import MAX_NOTE_BYTES as MAX_NOTE_BYTES
from volens.audit.checkpoint import MAX_SIZE as MAX_SIZE
from volens.audit.checkpoint import Checkpoint as Checkpoint
from volens.audit.checkpoint import VerifierKey as VerifierKey
from volens.audit.checkpoint import from_base64 as from_base64
from volens.audit.checkpoint import open_checkpoint as open_checkpoint
from volens.audit.checkpoint import sign_checkpoint as sign_checkpoint
from volens.audit.checkpoint import to_base64 as to_base64
from volens.audit.leaf import MAX_LEAF_BYTES as MAX_LEAF_BYTES
from volens.audit.leaf import SALT_BYTES as SALT_BYTES
from volens.audit.leaf import Event as Event
from volens.audit.leaf import leaf_bytes as leaf_bytes
from volens.audit.leaf import open_leaf as open_leaf
from volens.audit.leaf import read_leaf as read_leaf
from volens.audit.log_entry import LogEntry as LogEntry
from volens.audit.log_entry import LoggedStatement as LoggedStatement
from volens.audit.tree import NodeReader as NodeReader
from volens.audit.tree import consistency_proof as consistency_proof
from volens.audit.tree import empty_root as empty_root
from volens.audit.tree import inclusion_proof as inclusion_proof
from volens.audit.tree import leaf_hash as leaf_hash
from volens.audit.tree import new_nodes as new_nodes
from volens.audit.tree import node_hash as node_hash
from volens.audit.tree import root as root
from volens.audit.tree import verify_consistency as verify_consistency
from volens.audit.tree import verify_inclusion as verify_inclusion
