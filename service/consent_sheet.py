"""The consent sheet: what a person takes home on one page of A4, as HTML or PDF.

Both come from the same facts and the same words. The sheet shows the withdrawal code, so it is for the person alone.
"""

from dataclasses import dataclass
from datetime import datetime, tzinfo
from functools import reduce
from typing import Any, Final, Self, final

from markupsafe import Markup

from volens.consent import InputError, TakeHome
from volens.consent.law import Right
from volens.consent.receipt import RECEIPT, verify_receipt
from volens.erase.pages import PageLanguage, PageWords, page_language, render_page
from volens.service.qr_codes import qr_svg

COMMANDS: Final = {
    "withdraw": "volens withdraw --code CODE",
    "verify": "volens certificate verify FILE --trust site.pub --receipt RECEIPT",
}


@final
@dataclass(frozen=True, slots=True)
class ConsentSheet:
    """What a consent sheet says; every value but `has_page` is from the signed receipt. Times are aware UTC.

    `has_page` says whether the QR code opens the person's own page.
    """

    zone: str
    controller: str
    contact: str
    custody: str
    alternative: str
    issued_at: datetime
    expires_at: datetime
    receipt_id: str
    receipt_sha256: str
    notice_language: str
    notice_version: int
    notice_sha256: str
    consent_text: str
    privacy_rights: tuple[str, ...]
    authority_url: str | None
    has_page: bool

    @classmethod
    def of(cls, take_home: TakeHome) -> Self:
        """Read a take-home file. Cost: one signature.

        Not checked: whether the site recorded the consent, and whether it is still in force.

        Raises:
            ReceiptSignatureError: the person named in the receipt did not sign it.
            InputError: the file has no withdrawal code.
        """
        if take_home.code is None:
            raise InputError(
                "this receipt has no withdrawal code, and a sheet without it would not let the person leave; use the "
                "file that 'volens consent give --out' wrote"
            )
        claims = take_home.receipt.claims
        verified = verify_receipt(take_home.receipt, claims.subject_key)
        document: dict[str, Any] = RECEIPT.peek_json(verified.token)
        processing, (controller,) = document["pii_processing"], document["party_identification"]
        return cls(
            zone=claims.purpose,
            controller=controller["party_name"],
            contact=controller["party_contact"],
            custody=claims.custody.value,
            alternative=processing["alternative"],
            issued_at=claims.issued_at,
            expires_at=claims.expires_at,
            receipt_id=claims.receipt_id,
            receipt_sha256=verified.sha256.hex(),
            notice_language=processing["language"],
            notice_version=processing["privacy_notice"]["version"],
            notice_sha256=claims.notice_sha256,
            consent_text=processing["consent_text"],
            privacy_rights=tuple(processing["privacy_rights"]),
            authority_url=_url_in(processing["authority_party"]),
            has_page=take_home.site is not None,
        )

    def rights(self, words: PageWords) -> str:
        """Return the rights that the receipt names, as a list in one sentence; complaining comes last."""
        names = [one for one in self.privacy_rights if one != Right.COMPLAINT]
        if Right.COMPLAINT in self.privacy_rights:
            names.append("complaint_at" if self.authority_url else "complaint_anywhere")
        found = [words.text(f"right {name}", url=self.authority_url) for name in names]
        return reduce(lambda before, after: words.text("listed", before=before, after=after), found)

    @property
    def language(self) -> PageLanguage:
        """The language of the page that fits the notice which the person read."""
        return page_language(self.notice_language)


def _url_in(authority: str) -> str | None:
    """Return the address of an authority, which the receipt has behind its name; None if it has none."""
    url = authority.rpartition(", ")[2]
    return url if url.startswith("https://") else None


def sheet_mark(receipt_id: str) -> str:
    """Return the text in the properties of a PDF by which the desk finds the sheets of a receipt."""
    return f"volens consent sheet {receipt_id}"


def sheet_page(take_home: TakeHome, language: PageLanguage | None = None, time_zone: tzinfo | None = None) -> str:
    """Return the sheet as an HTML page; see `ConsentSheet.of` for the errors."""
    sheet = ConsentSheet.of(take_home)
    code = take_home.code
    assert code is not None  # noqa: S101  `ConsentSheet.of` has checked it
    return render_page(
        "consent_sheet.html",
        language=language or sheet.language,
        time_zone=time_zone,
        sheet=sheet,
        commands=COMMANDS,
        withdrawal_code=code.reveal(),
        qr=Markup(qr_svg(take_home.qr_text())),  # noqa: S704  drawn here
    )
