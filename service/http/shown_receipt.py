"""The receipt that a form of the desk is about: the person's file, or the id of a consent in force of the zone."""

from dataclasses import dataclass
from typing import Annotated, final

from fastapi import File, Form, UploadFile

from volens import Site, TakeHome
from volens.consent import InputError, NoLiveConsentError, ReceiptId
from volens.consent.errors import ForeignReceiptError
from volens.service.http.bodies import read_upload
from volens.store.people import StoredReceipt


@final
@dataclass(frozen=True, slots=True)
class ReceiptForm:
    """The fields of a form that name a receipt: exactly one of the two."""

    receipt: Annotated[UploadFile | None, File(description="the person's receipt, or the whole take-home file")] = None
    receipt_id: Annotated[
        str | None, Form(pattern="^[0-9a-f]{32}$", description="of a consent in force, whose receipt the site has")
    ] = None

    async def read(self) -> bytes | None:
        """Return the file; None if the form names the receipt by its id."""
        if (self.receipt is None) == (self.receipt_id is None):
            raise InputError("got both or neither of receipt and receipt_id; send one of the two")
        return None if self.receipt is None else await read_upload(self.receipt) or b""


def receipt_for_zone(site: Site, zone: str, file: bytes | None, receipt_id: str | None) -> bytes:
    """Return the receipt of a form, as a file has it.

    Raises:
        ForeignReceiptError: it is of another zone.
        ReceiptError: the file is not a receipt.
        NoLiveConsentError: no consent of this id is in force in the zone.
        TamperError: the stored receipt was changed.
    """
    if file is None:
        return consent_in_force(site, zone, receipt_id or "").verified().token.encode("ascii")
    if TakeHome.parse(file).receipt.claims.purpose != zone:
        raise ForeignReceiptError("got a receipt of another zone; send it to the address of its own zone")
    return file


def consent_in_force(site: Site, zone: str, receipt_id: str) -> StoredReceipt:
    """Return the receipt of a consent in force in a zone; a consent of another zone is as unknown as none."""
    found = site.changes.in_force([ReceiptId(receipt_id)])
    if found.purpose != zone:
        raise NoLiveConsentError("there is no consent in force for this receipt; nothing was changed")
    return found
