"""The desk's copies of what belongs to a person (keys, codes, secrets): found, handed over, overwritten and removed."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from volens.consent import Badge, InputError, RefusedError, SubjectKey, TakeHome, VolensError
from volens.consent.badge import MAGIC as BADGE_MAGIC
from volens.service.cli.named_files import write_private
from volens.service.consent_sheet import sheet_mark
from volens.store.files import erase_file, read_private

_SECRETS: Final = (".secret.txt", ".secret.qr.png")
_SUFFIXES: Final = (".qr.png", *_SECRETS)
_MAX_BYTES: Final = 1 << 20

REMAINS: Final = (
    "overwritten and removed here; an SSD, a file system that copies on write and a backup may still have old blocks "
    "(LIMITATIONS.md)"
)


def desk_copies(receipt: Path, take_home: TakeHome) -> list[Path]:
    """Return the files beside a receipt that belong to its person, the receipt first.

    Codes and secrets are known by the names that ``consent give`` gave them; the person's key and badge by their
    content, because they may have any name. Files in other folders are not found.
    """
    claims = take_home.receipt.claims
    named = [receipt, *(receipt.with_suffix(suffix) for suffix in _SUFFIXES)]
    found = [path for path in named if path.is_file()]
    for path, data in _small_files(receipt.parent):
        if _key_owner(data) == claims.subject_id:
            found.append(path)
        elif _badge_receipt(data) == claims.receipt_id:
            found += [path, *_qr_codes_of(path)]
    return found


def only_in_files(files: Sequence[Path]) -> list[Path]:
    """Return the files whose content no sheet shows, and without which the person can not be recognised any more."""
    return [
        path for path in files if path.name.endswith(_SECRETS) or read_private(path, _MAX_BYTES).startswith(BADGE_MAGIC)
    ]


def older_sheets(receipt: Path, take_home: TakeHome) -> list[Path]:
    """Return sheets that were written beside a receipt before: they show its code."""
    code = "" if take_home.code is None else take_home.code.reveal()
    marks = (code.encode("ascii"), sheet_mark(take_home.receipt.claims.receipt_id).encode("ascii"))
    suffixes = (".html", ".pdf")
    return [
        path
        for path, data in _small_files(receipt.parent)
        if path.suffix.lower() in suffixes and any(mark and mark in data for mark in marks)
    ]


def copy_to(folder: Path, files: Sequence[Path]) -> list[Path]:
    """Copy files into a folder (mode 0600), and read each back.

    Raises:
        InputError: a file of that name is there already.
        RefusedError: a copy is not what was written; no file of the desk was changed.
        UnavailableError: the disk refuses.
    """
    taken = [folder / path.name for path in files if os.path.lexists(folder / path.name)]
    if taken:
        raise InputError(f"{taken[0]} exists already; nothing was changed, choose an empty folder")
    copies = []
    for path in files:
        data, copy = read_private(path, _MAX_BYTES), folder / path.name
        write_private(copy, data)
        if read_private(copy, _MAX_BYTES) != data:
            raise RefusedError(f"{copy} is not what was written; nothing was removed here, use another medium")
        copies.append(copy)
    return copies


def remove(files: Sequence[Path]) -> None:
    """Overwrite files with zeros and remove them.

    Raises:
        UnavailableError: a file cannot be overwritten or removed; those before it are gone.
    """
    for path in files:
        erase_file(path)


def _small_files(folder: Path) -> Iterator[tuple[Path, bytes]]:
    for path in sorted(folder.iterdir()):
        try:
            if path.is_file() and path.stat().st_size <= _MAX_BYTES:
                yield path, read_private(path, _MAX_BYTES)
        except (OSError, VolensError):
            continue  # what this user cannot read is not what they wrote


def _qr_codes_of(badge: Path) -> list[Path]:
    """Return the QR codes of a badge; a pattern would misread a name with brackets."""
    begin = f"{badge.with_suffix('').name}.qr-"
    return sorted(one for one in badge.parent.iterdir() if one.name.startswith(begin) and one.suffix == ".png")


def _key_owner(data: bytes) -> str | None:
    if not data.startswith(b"-----BEGIN"):
        return None
    try:
        return SubjectKey.from_pem(data).public.subject_id
    except VolensError:
        return None


def _badge_receipt(data: bytes) -> str | None:
    if not data.startswith(BADGE_MAGIC):
        return None
    try:
        badge = Badge.parse(data)
    except VolensError:
        return None
    badge.wipe()
    return badge.receipt_id
