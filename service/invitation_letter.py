"""What an invited person gets: a sheet to print (HTML or PDF, with the QR code of the link), an e-mail, a text message.

All are in the language of the notice that the person will read, and say who asks, for how long the link is open, and
that nothing changes for a person who ignores it.
"""

from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import Any, Self, final

from markupsafe import Markup

from volens import Site
from volens.consent import InputError
from volens.enroll import Invitation
from volens.erase.pages import PageLanguage, PageWords, page_language, render_page
from volens.service.pdf_layout import ACCENT, MUTED, QR_MM, PdfLayout, check_letters
from volens.service.qr_codes import qr_modules, qr_svg


@final
@dataclass(frozen=True, slots=True)
class InvitationLetter:
    """The facts of one invitation, for the person. It has the link, so it is for the person alone."""

    name: str = field(repr=False)
    link: str = field(repr=False)
    zone: str
    controller: str
    contact: str
    alternative: str
    issued_at: datetime
    expires_at: datetime
    language: PageLanguage
    time_zone: tzinfo

    @classmethod
    def of(cls, site: Site, invitation: Invitation) -> Self:
        """Return the letter of an invitation.

        Raises:
            InputError: the site has no public address; see `public_origin`.
        """
        zone, controller = site.zones.get(invitation.zone), site.installation.store.site.controller
        return cls(
            name=invitation.name,
            link=invitation.token.link(public_origin(site)),
            zone=zone.label,
            controller=controller.name,
            contact=controller.contact,
            alternative=zone.alternative,
            issued_at=site.now(),
            expires_at=invitation.expires_at,
            language=page_language(invitation.language),
            time_zone=site.defaults.time_zone(),
        )

    def page(self) -> str:
        """Return the sheet as an HTML page."""
        return render_page(
            "invitation_sheet.html",
            language=self.language,
            time_zone=self.time_zone,
            letter=self,
            qr=Markup(qr_svg(self.link)),  # noqa: S704  drawn here
        )

    def pdf(self) -> bytes:
        """Return the sheet as PDF, one page of A4.

        Raises:
            InputError: a letter of a name is in a script that needs a browser.
            UnavailableError: ReportLab is not installed.
        """
        check_letters(self.name + self.controller + self.contact + self.alternative + self.zone, "this invitation")
        return _Sheet(PageWords("invitation_sheet", self.language, self.time_zone)).build(self)

    def mail(self) -> str:
        """Return an e-mail: the subject in the first line, an empty line, the text (RFC 5322 without other headers)."""
        t = self._messages()
        facts = {"zone": self.zone, "controller": self.controller}
        paragraphs = (
            t.text("mail_greeting", name=self.name),
            t.text("mail_question", **facts),
            self.link,
            t.text("mail_once", when=self._until(t)),
            t.text("mail_ignore", controller=self.controller, alternative=self.alternative),
            t.text("mail_contact", contact=self.contact),
            self.controller,
        )
        subject = t.text("mail_subject", **facts)
        return "\n\n".join((f"Subject: {subject}", *paragraphs)) + "\n"

    def sms(self) -> str:
        """Return a text message, without the person's name."""
        t = self._messages()
        facts = {"zone": self.zone, "controller": self.controller, "link": self.link}
        return t.text("sms", when=self._until(t), **facts) + "\n"

    def _messages(self) -> PageWords:
        return PageWords("invitation_message", self.language, self.time_zone)

    def _until(self, words: PageWords) -> str:
        return words.moment(self.expires_at)[0]


def public_origin(site: Site) -> str:
    """Return the public address of a site, with which links begin.

    Raises:
        InputError: it was not set.
    """
    address = site.defaults.public_url()
    if address is None:
        raise InputError(
            "this site has no public address, so there is no link to send; set it: volens defaults set --public-url "
            "https://door.example"
        )
    return address.origin


class _Sheet(PdfLayout):
    """The sheet of an invitation."""

    def build(self, letter: InvitationLetter) -> bytes:
        """Return the file."""
        t = self.words
        return self.page(
            self._story(letter),
            title=t.text("kind"),
            author=letter.controller,
            subject=t.text("kind"),
            footer=(t.text("kind"), f"{t.text('issued')} {self.when(letter.issued_at)}"),
        )

    def _story(self, letter: InvitationLetter) -> list[Any]:
        from reportlab.platypus import HRFlowable, Spacer, Table  # noqa: PLC0415  an extra

        t, gap, width = self.words, Spacer(1, 4 * self.mm), self.text_width
        until = self.when(letter.expires_at)
        way_in = [
            self.text(t("open"), size=12, bold=True, colour=ACCENT),
            self.text(letter.link, size=9),
            Spacer(1, 2 * self.mm),
            self.text(t("once", when=until)),
        ]
        qr = [self.qr(qr_modules(letter.link)), self.text(t("qr_words"), size=8, colour=MUTED, centred=True)]
        box: Any = Table([[qr, way_in]], colWidths=[(QR_MM + 6) * self.mm, width - (QR_MM + 6) * self.mm])
        box.setStyle([("BOX", (0, 0), (-1, -1), 1.4, ACCENT), ("VALIGN", (0, 0), (-1, -1), "MIDDLE")])
        return [
            self.text(letter.controller, bold=True),
            self.text(t("kind"), bold=True, colour=ACCENT),
            HRFlowable(width="100%", color=MUTED),
            *(gap, self.text(t("heading", zone=letter.zone), size=17, bold=True)),
            *(gap, self.text(t("greeting", name=letter.name))),
            *(self.text(t("lead", controller=letter.controller)), gap, box, gap),
            self.text(t("ignore"), size=12, bold=True, colour=ACCENT),
            self.text(t("ignore_text", alternative=letter.alternative)),
            *(gap, self.text(f"{t('until')} {until}", colour=MUTED)),
            self.text(f"{t('contact')} {letter.contact}", colour=MUTED),
        ]
