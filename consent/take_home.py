"""The take-home file: signed receipt, withdrawal code, text of the notice, and a checkpoint, for the person."""

import json
from dataclasses import dataclass, field
from typing import Final, Self, final

from volens.consent.errors import InputError, ReceiptError
from volens.consent.json_reader import DuplicateMemberError, JsonError, read_json
from volens.consent.jws import MAX_TOKEN_BYTES
from volens.consent.notice import MAX_NOTICE_BYTES
from volens.consent.person_secret import PersonSecret
from volens.consent.plain_text import plain_bytes
from volens.consent.receipt import UnverifiedReceipt
from volens.consent.relying_party import RelyingParty
from volens.consent.withdrawal import MY_DATA_PATH, WithdrawalCode

FORMAT: Final = "volens-take-home/1"
MAX_FILE_BYTES: Final = MAX_TOKEN_BYTES + 2 * MAX_NOTICE_BYTES


@final
@dataclass(frozen=True, slots=True)
class TakeHome:
    """The content of the file that ``volens consent give --out`` writes; a bare receipt has no `code`.

    `secret` is the person's half of the key, in a zone of custody ``subject_key``. It is not part of the file, because
    the person shows the receipt to many people and the secret to a door only.

    `checkpoint` is a signed note: a checkpoint of the audit log in which the consent is recorded. With it the person
    can show later that the log was so long. It is not part of the signed receipt, and is not checked here.

    `site` is the public address of the site, if it has pages: the QR code then opens the person's own page.
    """

    receipt: UnverifiedReceipt
    code: WithdrawalCode | None = field(default=None, repr=False)
    notice_text: str | None = None
    secret: PersonSecret | None = field(default=None, repr=False)
    checkpoint: str | None = field(default=None, repr=False)
    site: RelyingParty | None = None

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read a take-home file, or a file that holds only the compact JWS.

        Raises:
            ReceiptError: the bytes are neither.
        """
        if len(data) > MAX_FILE_BYTES:
            raise ReceiptError(f"got a receipt file of {len(data)} bytes; expected at most {MAX_FILE_BYTES}")
        data = plain_bytes(data)
        if not data.lstrip().startswith(b"{"):
            return cls(UnverifiedReceipt.parse(data))
        try:
            document = read_json(data)
        except DuplicateMemberError as error:
            raise ReceiptError(str(error)) from None
        except JsonError:
            raise ReceiptError(
                "got a receipt file that is cut off or not JSON; use the file as it was written"
            ) from None
        token, code, notice = (document.get(name) for name in ("receipt", "withdrawal_code", "notice"))
        note = document.get("checkpoint")
        if document.get("format") != FORMAT or not isinstance(token, str) or not token.isascii():
            raise ReceiptError(f"got a JSON file of another kind; expected format {FORMAT!r} with a receipt")
        try:
            parsed_code = WithdrawalCode.parse(code) if isinstance(code, str) else None
        except InputError as error:
            raise ReceiptError(str(error)) from None
        receipt = UnverifiedReceipt.parse(token.encode("ascii"))
        return cls(
            receipt,
            parsed_code,
            notice if isinstance(notice, str) else None,
            checkpoint=note if isinstance(note, str) else None,
            site=_site(document.get("my_data")),
        )

    def qr_text(self) -> str:
        """Return the text of the QR code with the withdrawal code.

        Raises:
            InputError: the file has no withdrawal code.
        """
        if self.code is None:
            raise InputError("got a receipt file without a withdrawal code")
        return self.code.qr_text(self.site)

    def to_json(self) -> bytes:
        """Return the file. It contains the withdrawal code, so it is for the person, not for the site."""
        document: dict[str, object] = {
            "format": FORMAT,
            "keep_this": "This is your proof of what you agreed to, and your way out.",
            "receipt": self.receipt.token,
        }
        if self.code is not None:
            document["withdrawal_code"] = self.code.reveal()
            document["to_withdraw"] = (
                "Give this code, its QR or this file at the desk, or run: volens withdraw --code CODE. "
                "No login, no reason."
            )
            if self.site is not None:
                document["my_data"] = self.code.address(self.site)
                document["to_see_it"] = "Open the address 'my_data' on any phone: it shows what is held, and ends it."
        if self.notice_text is not None:
            document["notice"] = self.notice_text
        if self.checkpoint is not None:
            document["checkpoint"] = self.checkpoint
        return json.dumps(document, ensure_ascii=False, indent=2).encode("utf-8") + b"\n"


def _site(address: object) -> RelyingParty | None:
    """Return the site of the address in a file; None if there is none, because the code works without it."""
    origin, found, _ = str(address or "").partition(f"{MY_DATA_PATH}#")
    try:
        return RelyingParty.parse(origin) if found else None
    except InputError:
        return None
