"""Proof of later erasures, from which a restored site learns of them: certificates and checkpoints.

It was kept outside the site, or in the home.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

from sqlalchemy import Connection

from volens.audit import Checkpoint, VerifierKey
from volens.consent import InputError, TamperError, VolensError
from volens.erase.proof.certificate import CERTIFICATE, Certificate, verify_certificate
from volens.store import Store
from volens.store.backup.restore import root_in
from volens.store.files import read_private
from volens.store.log import kept_checkpoint, read_evidence, unknown_certificates

_HEX: Final = frozenset("0123456789abcdef")


@final
@dataclass(frozen=True, slots=True)
class Proof:
    """Verified certificates, each with its file's bytes, and verified checkpoints, also those in the certificates."""

    certificates: Sequence[tuple[Certificate, bytes]]
    checkpoints: Sequence[Checkpoint]

    def joined(self, other: "Proof") -> "Proof":
        """Return both."""
        return Proof([*self.certificates, *other.certificates], [*self.checkpoints, *other.checkpoints])


def read_proof(certificates: Path | None, checkpoint: Path | None, key: VerifierKey) -> Proof:
    """Read a folder of certificates and a file that carries a checkpoint, and verify that this site signed them.

    Every file in the folder whose name ends in ``.json`` must be a certificate. A checkpoint is in every file that the
    site gives out; see `volens.store.log.checkpoints_of_file`.

    Raises:
        InputError: the folder or file is missing, or of another kind.
        TamperError: one is not by this site, or was changed.
    """
    found = [] if certificates is None else [_certificate(path, key) for path in _files(certificates)]
    heads = [certificate.checkpoint for certificate, _data in found]
    if checkpoint is not None:
        if not checkpoint.is_file():
            raise InputError(f"there is no checkpoint {checkpoint}; check the path")
        heads += read_evidence(checkpoint, key)
    return Proof(found, heads)


def read_home_proof(home: Path, store: Store) -> Proof:
    """Return what the home of a node proves: its checkpoint, and the certificates that the data file does not know.

    Files that do not verify are left out.

    Raises:
        InputError: there is no such folder.
    """
    if not home.is_dir():
        raise InputError(f"there is no home {home} of a node; check the path")
    key, found, heads = store.verifier_key, list[tuple[Certificate, bytes]](), list[Checkpoint]()
    with store.read() as connection:
        paths = unknown_certificates(home, connection)
    for path in paths:
        with suppress(VolensError):
            found.append(_certificate(path, key))
    with suppress(TamperError):
        head = kept_checkpoint(home, key)
        heads += [] if head is None else [head]
    return Proof(found, [*heads, *(certificate.checkpoint for certificate, _data in found)])


def unproved(connection: Connection, proof: Proof, *, accept_other: bool) -> list[Checkpoint]:
    """Return the checkpoints of a proof that the log does not contain: it is shorter.

    Raises:
        TamperError: the log has other entries, and `accept_other` is false; otherwise such checkpoints are returned
            too.
    """
    left = [one for one in proof.checkpoints if root_in(connection, one) != one.root]
    for one in left:
        if not accept_other and root_in(connection, one) is not None:
            raise TamperError(
                f"integrity: a checkpoint or certificate is of a log whose first {one.size} entries differ; ask its "
                "holder where it is from, or add --accept-lost-withdrawals"
            )
    return left


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder} with certificates; check the path")
    found = sorted(path for path in folder.glob("*.json") if path.is_file())
    if not found:
        raise InputError(f"got {folder}, which has no certificate; expected files that end in .json")
    return found


def _certificate(path: Path, key: VerifierKey) -> tuple[Certificate, bytes]:
    data = read_private(path, CERTIFICATE.max_bytes)
    try:
        certificate = verify_certificate(data, key)
    except InputError:
        raise InputError(f"got {path}, which is not a certificate; remove it from the folder") from None
    except TamperError as error:
        raise TamperError(f"{error} ({path.name})") from None
    if not set(certificate.certificate_id) <= _HEX:  # it becomes a file's name
        raise TamperError(f"integrity: the certificate in {path.name} has an invalid id")
    return certificate, data
