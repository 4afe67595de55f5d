"""The argument that names a person: a receipt file, a subject id, a receipt id, or a name."""

from pathlib import Path

from volens import Site
from volens.consent import InputError, ReceiptId, TakeHome
from volens.service.cli.named_files import read_file


def receipts_meant(site: Site, who: str) -> list[ReceiptId]:
    """Return the receipt ids of a person's consents; empty if there are none.

    Raises:
        ReceiptError, TamperError: `who` is a file, but not a receipt, or not the one recorded.
        InputError: several people have this name.
    """
    if Path(who).is_file():
        return site.receipts_of(TakeHome.parse(read_file(Path(who), "receipt")).receipt)
    return site.receipts_of(who)


def receipt_meant(site: Site, who: str) -> ReceiptId:
    """Return the receipt id of a person's only consent.

    Raises:
        InputError: the person has none, or several.
    """
    meant = receipts_meant(site, who)
    if len(meant) != 1:
        raise InputError(f"expected one consent, found {len(meant)}; pass the file or the id of one receipt")
    return meant[0]


def text_shown(who: str) -> str:
    """Return what an answer is about: the receipt's token if `who` is a file, else `who` itself."""
    if Path(who).is_file():
        return TakeHome.parse(read_file(Path(who), "receipt")).receipt.token
    return who
