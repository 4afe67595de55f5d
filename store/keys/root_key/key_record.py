"""The record ``root-key.json`` (0600): the URL of a home's root key, and for Vault and KMS the wrapped key.

A home without this file has its root key in ``root.key``. The record contains no secret: only the holder can open a
wrapped key. Nodes of a site on a server share the record: it is a document in the keyring's database, and the file in
each home has the URL alone.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Protocol, final

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


class SharedDocument(Protocol):
    """A small document that all nodes of a site read and replace."""

    def read(self) -> bytes | None:
        """Return it; None if it was never written."""
        ...

    def write(self, data: bytes) -> None:
        """Replace it, durably."""
        ...


RecordPlace = Path | SharedDocument
"""The home whose file it is, or the document that nodes share."""


def read_record(place: RecordPlace) -> RootKeyRecord | None:
    """Return the record; None if there is none: the key of a home without one is in the default file.

    Raises:
        UnavailableError: it cannot be read.
        TamperError: `write_record` did not write it.
    """
    if isinstance(place, Path):
        path = place / RECORD_FILE
        data = read_private(path, _LIMIT_BYTES) if path.exists() else None
    else:
        data = place.read()
    if data is None:
        return None
    try:
        fields = read_json(plain_bytes(data))
        version = fields.pop("version")
        record = RootKeyRecord(**fields)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        version = None
    texts = [] if version is None else [one for one in asdict(record).values() if one is not None]
    if version != _VERSION or not all(isinstance(one, str) for one in [*texts, record.site_id, record.url]):
        raise TamperError(f"integrity: {RECORD_FILE} does not say where the root key is; restore it")
    return record


def write_record(place: RecordPlace, record: RootKeyRecord) -> None:
    """Write the record atomically."""
    document = {"version": _VERSION} | {name: value for name, value in asdict(record).items() if value is not None}
    data = f"{json.dumps(document, indent=1)}\n".encode("ascii")
    if isinstance(place, Path):
        write_private(place / RECORD_FILE, data, replace=True)
    else:
        place.write(data)
