"""``root-key.json`` (0600): where the root key of a home is, and for Vault and KMS the key as they have wrapped it.

A home without this file has its root key in ``root.key``. There is no secret in it: a wrapped key opens with the help
of its holder only.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, final

from volens.consent import SiteId, TamperError
from volens.store.files.private_files import read_private, write_private

RECORD_FILE: Final = "root-key.json"
_LIMIT_BYTES: Final = 64 * 1024
_VERSION: Final = 1


@final
@dataclass(frozen=True, slots=True)
class RootKeyRecord:
    """What a home remembers of its root key.

    Attributes:
        wrapped: the key in use, as wrapped by a key service; None where the holder keeps it itself.
        wrapped_next: the key that waits during a rotation, likewise.
    """

    site_id: SiteId
    url: str
    wrapped: str | None = None
    wrapped_next: str | None = None


def read_record(home: Path) -> RootKeyRecord | None:
    """Return a home's record; None if the key is in the default file.

    Raises:
        UnavailableError: it cannot be read.
        TamperError: it is not what `write_record` writes.
    """
    path = home / RECORD_FILE
    if not path.exists():
        return None
    try:
        fields = json.loads(read_private(path, _LIMIT_BYTES))
        version = fields.pop("version")
        record = RootKeyRecord(**fields)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        version = None
    texts = [] if version is None else [one for one in asdict(record).values() if one is not None]
    if version != _VERSION or not all(isinstance(one, str) for one in [*texts, record.site_id, record.url]):
        raise TamperError(f"integrity: {RECORD_FILE} does not say where the root key is; restore it")
    return record


def write_record(home: Path, record: RootKeyRecord) -> None:
    """Write the record, whole or not at all."""
    document = {"version": _VERSION} | {name: value for name, value in asdict(record).items() if value is not None}
    write_private(home / RECORD_FILE, f"{json.dumps(document, indent=1)}\n".encode("ascii"), replace=True)
