"""The argument that names a person: a receipt file, a subject id, a receipt id, a name, or an external id."""

import os
from pathlib import Path
from typing import Final

from volens import Site
from volens.consent import InputError, NoLiveConsentError, ReceiptId, TakeHome, UnverifiedReceipt, format_time
from volens.consent.typed_text import same_text
from volens.service.cli.named_files import read_file
from volens.service.cli.output import note, shown, table
from volens.store.people.people_search import SeveralPeopleError, names_near
from volens.store.people.standing_consents import standing_among

_SUFFIXES: Final = frozenset(
    {".csv", ".gif", ".heic", ".htm", ".html", ".jpeg", ".jpg", ".json", ".jsonld", ".jws", ".key", ".md", ".pdf"}
    | {".pem", ".png", ".pub", ".secret", ".toml", ".txt", ".webp", ".zip"}
)
_SEPARATORS: Final = frozenset({os.sep, "/", "\\"})
_NOBODY: Final = (
    "no one is found by this receipt, id, name or number among the consents in force; check it, or pass the receipt's "
    "file. The names of ended consents are erased"
)


def receipts_meant(site: Site, who: str) -> list[ReceiptId]:
    """Return the receipt ids of a person's consents; never none.

    If no person is found, names that are nearly the same are shown on stderr; if several people have the name, their
    subject ids are, by which they can be told apart.

    Raises:
        ReceiptError, TamperError: `who` is a file, but not a receipt, or not the one recorded.
        InputError: `who` looks like a path and is no file, or several people have this name.
        NoLiveConsentError: no person is found.
    """
    try:
        found = site.receipts_of(searched_by(who))
    except SeveralPeopleError as several:
        _show_people(site, several.receipt_ids)
        raise
    if not found:
        near = [] if is_file(who) else names_near(site.installation.store, who)
        if near:
            note("names that are nearly the same:\n" + "\n".join(f"  {shown(name)}" for name in near))
        raise NoLiveConsentError(_NOBODY)
    return found


def receipt_meant(site: Site, who: str) -> ReceiptId:
    """Return the receipt id of one consent: that of the receipt or receipt id, else the person's only one.

    Raises:
        InputError: the person is named otherwise, and has several.
        ReceiptError, TamperError, NoLiveConsentError: see `receipts_meant`.
    """
    meant = consents_meant(site, who)
    if len(meant) != 1:
        raise InputError(f"expected one consent, found {len(meant)}; pass the file or the id of one receipt")
    return meant[0]


def consents_meant(site: Site, who: str) -> list[ReceiptId]:
    """Return the consent of a receipt file or receipt id, and all consents of a person who is named otherwise.

    Raises:
        InputError, ReceiptError, TamperError, NoLiveConsentError: see `receipts_meant`.
    """
    meant = receipts_meant(site, who)
    return meant[:1] if is_file(who) or same_text(who, meant[0]) else meant


def searched_by(who: str) -> str | UnverifiedReceipt:
    """Return what a person is searched by: the receipt in the file `who`, else the text `who`.

    Raises:
        ReceiptError: `who` is a file, but not a receipt.
        InputError: `who` looks like a path, and there is no such file.
    """
    if is_file(who):
        return TakeHome.parse(read_file(Path(who), "receipt")).receipt
    if _looks_like_a_path(who):
        raise InputError(
            f"there is no file {who!r}; check the path. A person is named by a receipt file, an id or a name"
        )
    return who


def is_file(who: str) -> bool:
    """Return whether there is such a file; a name may be too long for a file system."""
    try:
        return Path(who).is_file()
    except (OSError, ValueError):
        return False


def _looks_like_a_path(who: str) -> bool:
    """Return whether a text is rather a path than a name: a known suffix, or a separator without the blanks of a name.

    An Indian name such as ``Ravi s/o Kumar`` has a separator too.
    """
    if Path(who).suffix.lower() in _SUFFIXES or who.startswith(("~", "./", "../", "/")):
        return True
    return bool(_SEPARATORS & set(who)) and not any(character.isspace() for character in who)


def _show_people(site: Site, receipt_ids: tuple[ReceiptId, ...]) -> None:
    """Show on stderr how people of one name differ; this reveals no more than that there are several."""
    store = site.installation.store
    with store.read() as connection:
        standing = standing_among(connection, receipt_ids)
    rows = [
        (one.subject_id, one.zone, "" if one.given_at is None else format_time(one.given_at), format_time(one.ends_at))
        for one in standing
    ]
    note(table(("subject id", "zone", "agreed", "until"), rows))
