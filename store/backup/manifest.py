"""The manifest of a backup: its files with size and SHA-256, and the head of the log. Signed by the site (JWS)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, final

from volens.audit import Checkpoint, VerifierKey, open_checkpoint
from volens.consent import InputError, SignedDocument, TamperError, format_time, parse_time

MANIFEST_FILE: Final = "manifest.json"


@final
@dataclass(frozen=True, slots=True)
class FileFact:
    """One file of a backup; `sha256` in hex."""

    name: str
    size_bytes: int
    sha256: str


@final
@dataclass(frozen=True, slots=True)
class Manifest:
    """The statements of a manifest; not trusted before `verify_manifest`."""

    token: str
    site_id: str
    made_at: datetime
    note: str
    files: tuple[FileFact, ...]

    def fact(self, name: str) -> FileFact | None:
        """Return the stated size and SHA-256 of a file."""
        return next((fact for fact in self.files if fact.name == name), None)


def manifest_content(site_id: str, made_at: datetime, note: str, files: tuple[FileFact, ...]) -> dict[str, Any]:
    """Return the content that the site signs."""
    return {
        "version": MANIFEST.version,
        "site_id": site_id,
        "made_at": format_time(made_at),
        "checkpoint": note,
        "files": [{"name": one.name, "size_bytes": one.size_bytes, "sha256": one.sha256} for one in files],
    }


def _read(document: dict[str, Any], token: str) -> Manifest:
    facts = (FileFact(str(one["name"]), int(one["size_bytes"]), str(one["sha256"])) for one in document["files"])
    made_at, note = parse_time(document["made_at"]), str(document["checkpoint"])
    return Manifest(token, str(document["site_id"]), made_at, note, tuple(facts))


MANIFEST: Final = SignedDocument(
    typ="volens-backup-manifest+jws",
    name="a backup's manifest",
    advice="use the backup's folder as 'volens backup' wrote it",
    read=_read,
    member="manifest",
)


def read_manifest(data: bytes) -> Manifest:
    """Read a manifest WITHOUT checking its signature: the key is in the keyring, which may be part of the backup.

    Raises:
        InputError: the bytes are not a manifest.
    """
    return MANIFEST.peek(MANIFEST.from_file(data)[0])


def verify_manifest(manifest: Manifest, key: VerifierKey) -> Checkpoint:
    """Verify the signature of a manifest, and return the head of the log at the time of the backup.

    Raises:
        TamperError: the site has not signed it.
    """
    try:
        MANIFEST.verify(manifest.token, *key.public_keys)
    except (InputError, TamperError):
        raise TamperError(
            "integrity: the backup's manifest is not signed by this site; use a backup of the keyring's site"
        ) from None
    return open_checkpoint(manifest.note, key)
