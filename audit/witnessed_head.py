"""A cosigned checkpoint as evidence beside a document of the site: witnesses have seen a log that contains it.

A certificate has the checkpoint of the moment in which it was made, which no witness has seen. Witnesses cosign later
checkpoints of the public log. The consistency proof from one to the other shows that they are of one log, so that the
witnesses have seen the certificate's entry too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self, final

from volens.audit.checkpoint import Checkpoint, open_checkpoint
from volens.audit.tree import NodeReader, consistency_proof, verify_consistency
from volens.audit.verifier_key import VerifierKey, from_base64, to_base64


@final
@dataclass(frozen=True, slots=True)
class WitnessedHead:
    """A later checkpoint (`note`), with its cosignatures, and the consistency proof (hashes of 32 bytes) to it."""

    note: str
    proof: Sequence[bytes]

    @classmethod
    def of(cls, note: str, old_size: int, size: int, read: NodeReader) -> Self:
        """Return the evidence for a document whose checkpoint has `old_size` leaves; `note` has `size`."""
        return cls(note, consistency_proof(old_size, size, read))

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON members."""
        return {"checkpoint": self.note, "consistency": [to_base64(one) for one in self.proof]}

    @classmethod
    def from_json(cls, members: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote, and nothing else.

        Raises:
            KeyError, TypeError, ValueError, AttributeError: a member is missing, has another form, or is unknown.
        """
        found = cls(str(members["checkpoint"]), [from_base64(one) for one in members["consistency"]])
        if found.to_json() != members:
            raise ValueError("got evidence of a checkpoint in another form")
        return found

    def verify(self, key: VerifierKey, start: Checkpoint) -> Checkpoint:
        """Return the later checkpoint, if the site has signed it and it continues the log of `start`.

        Raises:
            TamperError: it does not.

        Not checked: the cosignatures; see `volens.audit.cosignature.require_quorum`.
        """
        head = open_checkpoint(self.note, key)
        verify_consistency(start.size, head.size, self.proof, start.root, head.root)
        return head
