"""Whom a command means: a receipt's file if there is one, else an id or a name."""

from pathlib import Path

from volens import Site
from volens.consent import ReceiptId, TakeHome
from volens.service.cli.named_files import read_file


def receipts_meant(site: Site, who: str) -> list[ReceiptId]:
    """Return the consents of the person meant; empty where there is none.

    Raises:
        ReceiptError, TamperError: `who` is a file, but no receipt, or not the one recorded.
        InputError: several people have this name.
    """
    if Path(who).is_file():
        return site.receipts_of(TakeHome.parse(read_file(Path(who), "receipt")).receipt)
    return site.receipts_of(who)


def text_shown(who: str) -> str:
    """Return what an answer is about: the receipt's token if `who` is a file, else `who` itself."""
    if Path(who).is_file():
        return TakeHome.parse(read_file(Path(who), "receipt")).receipt.token
    return who
