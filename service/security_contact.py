"""``security.txt`` (RFC 9116): how to report a vulnerability of this service. Pure.

The site states only what its operator set: a contact, and until when it is valid. Without a contact that is a URI, or
after its end, there is no file.
"""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, final

from volens.consent import InputError, format_time

VALID_DAYS: Final = 30
"""How long a contact without an end is stated to be valid, from each response on."""

_MAIL: Final = re.compile(r"[!#-'*+\-./0-9=?A-Z^_`a-z{|}~]+@[A-Za-z0-9.-]+\.[A-Za-z0-9-]+")
_PHONE: Final = re.compile(r"\+[0-9]{6,15}")
_HTTPS: Final = re.compile(r"https://[A-Za-z0-9.-]+(:[0-9]+)?(/[!-~]*)?")
_LANGUAGES: Final = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*(, ?[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*)*")


@final
@dataclass(frozen=True, slots=True)
class SecurityContact:
    """What the operator set; None where nothing was set.

    Attributes:
        contact: an e-mail address, an https URL, or a phone number with its country code.
        expires_at: until when all of it is valid.
        languages: language tags with commas between them, the preferred one first.
        policy: URL of the rules for reports.
        canonical: URL at which the file is served.

    Raises:
        InputError: one of them has another form.
    """

    contact: str | None = None
    expires_at: datetime | None = None
    languages: str | None = None
    policy: str | None = None
    canonical: str | None = None

    def __post_init__(self) -> None:
        """Check the forms."""
        if self.contact is not None and contact_uri(self.contact) is None:
            raise InputError(
                "got a security contact of another form; expected an e-mail address, https://... or +33140000000"
            )
        if self.languages is not None and _LANGUAGES.fullmatch(self.languages) is None:
            raise InputError("got security languages of another form; expected tags such as 'en, fr'")
        if any(one is not None and _HTTPS.fullmatch(one) is None for one in (self.policy, self.canonical)):
            raise InputError("got a security policy or canonical address that is not https://...")

    def text(self, controller_contact: str, now: datetime) -> str | None:
        """Return the file; None if the site has no contact to state, or it ended.

        Without a contact of its own, the file names the controller's, which is in every receipt.
        """
        uri = contact_uri(controller_contact if self.contact is None else self.contact)
        expires_at = now + timedelta(days=VALID_DAYS) if self.expires_at is None else self.expires_at
        if uri is None or expires_at <= now:
            return None
        fields = {
            "Contact": uri,
            "Expires": format_time(expires_at),
            "Preferred-Languages": self.languages,
            "Canonical": self.canonical,
            "Policy": self.policy,
        }
        return "".join(f"{name}: {value}\n" for name, value in fields.items() if value is not None)


def contact_uri(text: str) -> str | None:
    """Return the URI of an e-mail address, a phone number or an https URL; None for any other text."""
    plain = text.strip().removeprefix("mailto:").removeprefix("tel:")
    if _MAIL.fullmatch(plain):
        return f"mailto:{plain}"
    if _PHONE.fullmatch(number := re.sub(r"[ ()-]", "", plain)):
        return f"tel:{number}"
    return plain if _HTTPS.fullmatch(plain) else None
