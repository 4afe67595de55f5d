"""The cosigned checkpoint that a certificate carries: the first one after it that witnesses have cosigned."""

from sqlalchemy import Connection

from volens.audit import VerifierKey, open_checkpoint
from volens.audit.witnessed_head import WitnessedHead
from volens.erase.proof.certificate import CERTIFICATE
from volens.store.log import node_reader
from volens.store.log.cosigned_heads import first_cosigned
from volens.store.promises.witness_rows import cosigned_by_witnesses


def witnessed_head(connection: Connection, token: str, key: VerifierKey) -> WitnessedHead | None:
    """Return the first checkpoint, from a certificate's own one on, that witnesses have cosigned; None before that.

    Not checked: the certificate around its checkpoint, because the site stored it itself.

    Raises:
        TamperError: the site has not signed the certificate's checkpoint, or a node of the log is missing.
    """
    size = open_checkpoint(CERTIFICATE.peek(token).logged.note, key).size
    head = first_cosigned(connection, size)
    note = None if head is None else cosigned_by_witnesses(connection, head)
    if head is None or note is None or note == head.note:
        return None
    return WitnessedHead.of(note, size, head.size, node_reader(connection))
