"""The manifest of a backup: which files belong to it, byte for byte, and how far the log was. Signed by the site."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, final

import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from volens.audit import Checkpoint, VerifierKey, open_checkpoint
from volens.consent import InputError, TamperError, format_time, jws, parse_time

MANIFEST_FILE: Final = "manifest.json"
MANIFEST_TYPE: Final = "volens-backup-manifest+jws"
MAX_BYTES: Final = 64 * 1024
_VERSION: Final = 1
_NO_MANIFEST: Final = "got a manifest that is none; use the backup's folder as 'volens backup' wrote it"


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
    """What a manifest states; nothing in it is believed before `verify_manifest`."""

    token: str
    site_id: str
    made_at: datetime
    note: str
    files: tuple[FileFact, ...]

    def fact(self, name: str) -> FileFact | None:
        """Return what is stated about a file."""
        return next((fact for fact in self.files if fact.name == name), None)


def manifest_payload(site_id: str, made_at: datetime, note: str, files: tuple[FileFact, ...]) -> bytes:
    """Return the bytes that the site signs."""
    facts = [{"name": one.name, "size_bytes": one.size_bytes, "sha256": one.sha256} for one in files]
    document: dict[str, Any] = {
        "version": _VERSION,
        "site_id": site_id,
        "made_at": format_time(made_at),
        "checkpoint": note,
        "files": facts,
    }
    return rfc8785.dumps(document)


def manifest_file(token: str) -> bytes:
    """Return the content of a manifest's file."""
    return json.dumps({"manifest": token}).encode("ascii") + b"\n"


def read_manifest(data: bytes) -> Manifest:
    """Read a manifest WITHOUT checking its signature: the key is in the keyring, which may be part of the backup.

    Raises:
        InputError: it is none.
    """
    try:
        token = json.loads(data)["manifest"]
        document = json.loads(jws.peek(token, MANIFEST_TYPE))
        good = document["version"] == _VERSION and manifest_file(token) == data
        files = tuple(
            FileFact(str(one["name"]), int(one["size_bytes"]), str(one["sha256"])) for one in document["files"]
        )
        made_at, note = parse_time(document["made_at"]), str(document["checkpoint"])
        manifest = Manifest(token, str(document["site_id"]), made_at, note, files)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError, InputError):
        raise InputError(_NO_MANIFEST) from None
    if not good:
        raise InputError(_NO_MANIFEST)
    return manifest


def verify_manifest(manifest: Manifest, key: VerifierKey) -> Checkpoint:
    """Return the log's head at the time of the backup, if the site has signed the manifest.

    Raises:
        TamperError: it has not.
    """
    try:
        jws.verify(manifest.token, MANIFEST_TYPE, Ed25519PublicKey.from_public_bytes(key.public_key))
    except (InputError, TamperError):
        raise TamperError(
            "integrity: the backup's manifest is not signed by this site; use a backup of the keyring's site"
        ) from None
    return open_checkpoint(manifest.note, key)
