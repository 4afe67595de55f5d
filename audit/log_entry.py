"""Log entries with their proof, and statements with the log entry that commits to them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self, final

from volens.audit.checkpoint import Checkpoint, open_checkpoint
from volens.audit.leaf import SALT_BYTES, Event, leaf_bytes, open_leaf
from volens.audit.tree import NodeReader, inclusion_proof, leaf_hash, verify_inclusion
from volens.audit.verifier_key import VerifierKey, from_base64, to_base64
from volens.consent import TamperError


@final
@dataclass(frozen=True, slots=True)
class LogEntry:
    """One entry of the audit log, with all that a reader needs to check it against a checkpoint.

    Details and salt (32 bytes) are what the leaf commits to; `proof` shows that it is leaf `index` (from 0) of the log.
    """

    leaf: bytes
    details: Mapping[str, str | int]
    salt: bytes
    index: int
    proof: Sequence[bytes]

    @classmethod
    def of(cls, event: Event, index: int, size: int, read: NodeReader) -> Self:
        """Return the entry of an event that is leaf `index` of a log of `size` leaves."""
        return cls(leaf_bytes(event), event.details, event.salt, index, inclusion_proof(index, size, read))

    def to_json(self) -> dict[str, Any]:
        """Return the entry as JSON members; bytes as base64."""
        return {
            "leaf": to_base64(self.leaf),
            "details": dict(self.details),
            "salt": to_base64(self.salt),
            "index": self.index,
            "proof": [to_base64(one) for one in self.proof],
        }

    @classmethod
    def from_json(cls, members: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote; other members are ignored.

        Raises:
            KeyError, TypeError, ValueError, AttributeError: a member is missing or has another form.
        """
        entry = cls(
            from_base64(members["leaf"]),
            dict(members["details"].items()),
            from_base64(members["salt"]),
            members["index"],
            [from_base64(one) for one in members["proof"]],
        )
        values = (entry.index, *entry.details.values())
        if type(entry.index) is not int or not all(type(one) in (int, str) for one in values):
            raise TypeError("got a log entry with a value that is neither text nor an integer")
        if len(entry.salt) != SALT_BYTES:
            raise ValueError(f"got a salt of {len(entry.salt)} bytes; expected {SALT_BYTES}")
        return entry

    def verify(self, checkpoint: Checkpoint) -> str:
        """Return the kind of the entry, if the leaf has these details and is in the log of the checkpoint.

        Raises:
            TamperError: the opening or the inclusion proof does not hold.

        Not checked: the signature of the checkpoint; see `open_checkpoint`.
        """
        kind, _at = open_leaf(self.leaf, self.details, self.salt)
        verify_inclusion(leaf_hash(self.leaf), self.index, checkpoint.size, self.proof, checkpoint.root)
        return kind


@final
@dataclass(frozen=True, slots=True)
class LoggedStatement:
    """A statement of the site, the log entry that commits to it, and the signed checkpoint (`note`) that proves it.

    It is the payload of certificates and access answers.
    """

    statement: Mapping[str, Any]
    entry: LogEntry
    note: str

    def to_json(self) -> dict[str, Any]:
        """Return the payload to sign."""
        return {"statement": dict(self.statement), "log": self.entry.to_json() | {"checkpoint": self.note}}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote.

        Raises:
            KeyError, TypeError, ValueError, AttributeError: a member is missing or has another form.
        """
        log = document["log"]
        return cls(dict(document["statement"].items()), LogEntry.from_json(log), str(log["checkpoint"]))

    def verify(self, key: VerifierKey, kind: str, details: Mapping[str, str | int]) -> Checkpoint:
        """Return the checkpoint, if the log that `key` signs has an entry of this kind with these details.

        Raises:
            TamperError: the checkpoint, the opening or the inclusion proof does not hold, or the entry is of another
                kind or commits to other details.
        """
        checkpoint = open_checkpoint(self.note, key)
        if self.entry.verify(checkpoint) != kind or self.entry.details != details:
            raise TamperError("integrity: the log entry does not commit to this statement; ask the site")
        return checkpoint
