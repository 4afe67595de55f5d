"""The record ``root-key.json`` (0600): the URL of a home's root key, and for Vault and KMS the wrapped key.

A home without this file has its root key in ``root.key``. The record contains no secret: only the holder can open a
wrapped key.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, final

from volens.consent import SiteId, TamperError
from volens.consent.json_reader import read_json
from volens.consent.plain_text import plain_bytes
from volens.store.files.private_files import read_private, write_private

RECORD_FILE: Final = "root-key.json"
_LIMIT_BYTES: Final = 64 * 1024
_VERSION: Final = 1


@final
@dataclass(frozen=True, slots=True)
class RootKeyRecord:
    """The record of a home about its root key.

    Attributes:
        wrapped: the key in use, wrapped by a key service; None if the holder keeps the key itself.
        wrapped_next: the same for the next key, during a rotation.
    """

    site_id: SiteId
    url: str
    wrapped: str | None = None
    wrapped_next: str | None = None


def read_record(home: Path) -> RootKeyRecord | None:
    """Return the record of a home; None if the key is in the default file.

    Raises:
        UnavailableError: it cannot be read.
        TamperError: `write_record` did not write it.
    """
    path = home / RECORD_FILE
    if not path.exists():
        return None
    try:
        fields = read_json(plain_bytes(read_private(path, _LIMIT_BYTES)))
        version = fields.pop("version")
        record = RootKeyRecord(**fields)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        version = None
    texts = [] if version is None else [one for one in asdict(record).values() if one is not None]
    if version != _VERSION or not all(isinstance(one, str) for one in [*texts, record.site_id, record.url]):
        raise TamperError(f"integrity: {RECORD_FILE} does not say where the root key is; restore it")
    return record


def write_record(home: Path, record: RootKeyRecord) -> None:
    """Write the record atomically."""
    document = {"version": _VERSION} | {name: value for name, value in asdict(record).items() if value is not None}
    write_private(home / RECORD_FILE, f"{json.dumps(document, indent=1)}\n".encode("ascii"), replace=True)
