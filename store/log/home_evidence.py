"""Evidence that a site keeps in its own home: the newest checkpoint, and the certificates.

It notices that data file and keyring were both replaced by older copies, which fit together. Replacing the
evidence too is not noticed here, but by evidence elsewhere: with people, recipients, backups (`volens doctor
--evidence`).
"""

import os
import re
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from heapq import nlargest
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, select

from volens.audit import Checkpoint, VerifierKey, checkpoints_in, open_checkpoint
from volens.consent import TamperError, VolensError
from volens.store.log.freshness import Evidence
from volens.store.prepared_query import PreparedQuery
from volens.store.schema import data_tables as tables

CERTIFICATES: Final = "certificates"
CHECKPOINT_FILE: Final = "checkpoint"
READ_AT_OPENING: Final = 8
"""How many certificates an opening reads at most, of those that the data file does not know: the newest files."""

_MAX_CERTIFICATE_BYTES: Final = 256 * 1024
_CERTIFICATE_FILE: Final = re.compile(r"[0-9a-f]{32}\.json")
_KNOWN: Final = PreparedQuery(select(tables.certificate.c.certificate_id))


def keep_checkpoint(home: Path, note: str) -> None:
    """Write the newest checkpoint into the home; if the disk refuses, the one before stays.

    Not synced: after a power cut an older one may be there, or none, which notices less and refuses nothing.
    """
    with suppress(OSError):
        descriptor, name = tempfile.mkstemp(prefix=f".{CHECKPOINT_FILE}.", dir=home)
        draft = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(note.encode("utf-8"))
            draft.replace(home / CHECKPOINT_FILE)
        finally:
            draft.unlink(missing_ok=True)


def kept_checkpoint(home: Path, key: VerifierKey) -> Checkpoint | None:
    """Return the checkpoint in the home; None if there is none.

    Raises:
        TamperError: the file is not a checkpoint of this site.
    """
    try:
        note = (home / CHECKPOINT_FILE).read_text(encoding="utf-8")
    except OSError:
        return None
    except UnicodeDecodeError:
        raise TamperError("integrity: the checkpoint in the home is not text") from None
    return open_checkpoint(note, key) if note else None


def home_evidence(home: Path, connection: Connection, key: VerifierKey) -> list[Evidence]:
    """Return what the home knows of the log; a file that is damaged, or not this site's, is left out.

    Cost: the names in the folder of certificates and the ids in the data file; then at most `READ_AT_OPENING` files.
    """
    found: list[Evidence] = []
    with suppress(TamperError):
        if (head := kept_checkpoint(home, key)) is not None:
            found.append(Evidence(f"the checkpoint in {home / CHECKPOINT_FILE}", head))
    for path in nlargest(READ_AT_OPENING, unknown_certificates(home, connection), key=_changed_at):
        found += [Evidence(f"the certificate {path}", head) for head in _heads(path, key)]
    return found


def certificates_folder(home: Path) -> str | None:
    """Return the path of the folder of certificates in a home; None if there are none."""
    return str(home / CERTIFICATES) if any(map(_CERTIFICATE_FILE.fullmatch, _names(home / CERTIFICATES))) else None


def unknown_certificates(home: Path, connection: Connection) -> Sequence[Path]:
    """Return the files in the folder of certificates that are not of a certificate in the data file."""
    names = _names(home / CERTIFICATES)
    if names:
        names.difference_update(f"{certificate_id}.json" for (certificate_id,) in _KNOWN.rows(connection, {}))
    return [home / CERTIFICATES / one for one in sorted(names) if _CERTIFICATE_FILE.fullmatch(one)]


def _names(folder: Path) -> set[str]:
    try:
        with os.scandir(folder) as entries:
            return {one.name for one in entries}
    except OSError:
        return set()


def _changed_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _heads(path: Path, key: VerifierKey) -> list[Checkpoint]:
    with suppress(OSError, VolensError), path.open("rb") as file:
        return checkpoints_in(file.read(_MAX_CERTIFICATE_BYTES), key)
    return []
