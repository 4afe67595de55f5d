"""Proof kept outside the site (certificates and checkpoints), from which a restored site learns of later erasures."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

from volens.audit import MAX_NOTE_BYTES, Checkpoint, VerifierKey, open_checkpoint
from volens.consent import InputError, TamperError
from volens.erase.proof.certificate import CERTIFICATE, Certificate, verify_certificate
from volens.store import Store
from volens.store.backup.restore import root_at
from volens.store.files import read_private

_HEX: Final = frozenset("0123456789abcdef")


@final
@dataclass(frozen=True, slots=True)
class Proof:
    """Verified certificates, each with its file's bytes, and verified checkpoints, also those in the certificates."""

    certificates: Sequence[tuple[Certificate, bytes]]
    checkpoints: Sequence[Checkpoint]

    @property
    def log_size(self) -> int:
        """The smallest size that the log can have."""
        return max((checkpoint.size for checkpoint in self.checkpoints), default=0)


def read_proof(certificates: Path | None, checkpoint: Path | None, key: VerifierKey) -> Proof:
    """Read a folder of certificates and a checkpoint, and verify that this site signed them.

    Every file in the folder whose name ends in ``.json`` must be a certificate; the checkpoint is a signed note.

    Raises:
        InputError: the folder or file is missing, or of another kind.
        TamperError: one is not by this site, or was changed.
    """
    found = [] if certificates is None else [_certificate(path, key) for path in _files(certificates)]
    heads = [certificate.checkpoint for certificate, _data in found]
    if checkpoint is not None:
        if not checkpoint.is_file():
            raise InputError(f"there is no checkpoint {checkpoint}; check the path")
        try:
            heads.append(open_checkpoint(read_private(checkpoint, MAX_NOTE_BYTES).decode("utf-8"), key))
        except UnicodeDecodeError:
            raise InputError(f"got {checkpoint}, which is not a checkpoint; give the signed note unchanged") from None
    return Proof(found, heads)


def check_history(store: Store, proof: Proof) -> None:
    """Check that the log of a store is the log of the proof, up to the smaller of their sizes.

    Raises:
        TamperError: the two logs have different entries.
    """
    for checkpoint in proof.checkpoints:
        if root_at(store, checkpoint) not in (None, checkpoint.root):
            raise TamperError(
                f"integrity: a checkpoint or certificate is of a log whose first {checkpoint.size} entries differ; ask "
                "its holder where it is from"
            )


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
