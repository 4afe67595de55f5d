"""The offer file: an unsigned receipt with the notice that it names, for a person who signs on their own machine."""

import json
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Self, final

from volens.consent.errors import ReceiptError
from volens.consent.json_reader import JsonError, read_json
from volens.consent.jws import MAX_TOKEN_BYTES
from volens.consent.notice import MAX_NOTICE_BYTES
from volens.consent.plain_text import plain_bytes
from volens.consent.receipt import ReceiptClaims
from volens.consent.receipt_offer import ReceiptOffer, read_offer

FORMAT: Final = "volens-offer/1"
MAX_OFFER_BYTES: Final = MAX_TOKEN_BYTES + 2 * MAX_NOTICE_BYTES


@final
@dataclass(frozen=True, slots=True)
class OfferFile:
    """The content of the file that ``volens consent offer --out`` writes."""

    offer: ReceiptOffer
    notice_text: str

    @property
    def claims(self) -> ReceiptClaims:
        """What the receipt says."""
        return read_offer(self.offer.document).claims

    @property
    def language(self) -> str:
        """The language of the notice, a BCP 47 tag; empty if the receipt does not say it."""
        section = read_json(self.offer.document).get("pii_processing")
        language = section.get("language") if isinstance(section, dict) else None
        return language if isinstance(language, str) else ""

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read an offer file.

        Raises:
            ReceiptError: it is another file, or its notice is not the one that the receipt names.

        Not checked: that the site offered it; the person knows from whom they have the file.
        """
        if len(data) > MAX_OFFER_BYTES:
            raise ReceiptError(f"got an offer file of {len(data)} bytes; expected at most {MAX_OFFER_BYTES}")
        try:
            file = read_json(plain_bytes(data))
        except JsonError:
            file = None
        members = file if isinstance(file, dict) else {}
        document, notice = members.get("document"), members.get("notice")
        if members.get("format") != FORMAT or not isinstance(document, str) or not isinstance(notice, str):
            raise ReceiptError(f"got another file than an offer; expected format {FORMAT!r}, as the site wrote it")
        one = cls(ReceiptOffer(document.encode("utf-8", "replace")), notice)
        if sha256(notice.encode("utf-8", "replace")).hexdigest() != one.claims.notice_sha256:
            raise ReceiptError("the notice in this file is not the one that the receipt names; ask for a new offer")
        return one

    def to_json(self) -> bytes:
        """Return the file."""
        document = {"format": FORMAT, "document": self.offer.document.decode("utf-8"), "notice": self.notice_text}
        return json.dumps(document, ensure_ascii=False, indent=2).encode("utf-8") + b"\n"
