"""The consent sheet as PDF; see `volens.service.pdf_layout`."""

from datetime import tzinfo
from typing import Any

from volens.consent import TakeHome
from volens.erase.pages import PageLanguage, PageWords
from volens.service.consent_sheet import COMMANDS, ConsentSheet, sheet_mark
from volens.service.pdf_layout import ACCENT, LINE, MUTED, QR_MM, PdfLayout, check_letters
from volens.service.qr_codes import qr_modules


def sheet_pdf(take_home: TakeHome, language: PageLanguage | None = None, time_zone: tzinfo | None = None) -> bytes:
    """Return the sheet as PDF; text that is too long for the page is made smaller.

    Raises:
        ReceiptSignatureError, InputError: as `ConsentSheet.of`; or a letter is in a script that needs a browser.
        UnavailableError: ReportLab is not installed.
    """
    sheet = ConsentSheet.of(take_home)
    code = take_home.code
    assert code is not None  # noqa: S101  `ConsentSheet.of` has checked it
    check_letters(sheet.controller + sheet.contact + sheet.alternative, "this receipt")
    words = PageWords("consent_sheet", language or sheet.language, time_zone)
    return _Layout(words).build(sheet, code.reveal(), qr_modules(take_home.qr_text()))


class _Layout(PdfLayout):
    """The consent sheet."""

    def build(self, sheet: ConsentSheet, code: str, modules: list[list[bool]]) -> bytes:
        """Return the file."""
        t = self.words
        return self.page(
            self._story(sheet, code, modules, self.text_width),
            title=t.text("kind"),
            author=sheet.controller,
            subject=sheet_mark(sheet.receipt_id),
            footer=(f"{t.text('number')} {sheet.receipt_id}", f"{t.text('issued')} {self.when(sheet.issued_at)}"),
        )

    def _story(self, sheet: ConsentSheet, code: str, modules: list[list[bool]], width: float) -> list[Any]:
        from reportlab.platypus import HRFlowable, Spacer, Table  # noqa: PLC0415  an extra

        t, gap = self.words, Spacer(1, 3 * self.mm)
        way_out = [
            self.text(t("leave"), size=12, bold=True, colour=ACCENT),
            self.text(t("leave_text_page" if sheet.has_page else "leave_text")),
            Spacer(1, 2 * self.mm),
            self.text(t("code")),
            self.text(code, size=13, bold=True),
            self.text(t("leave_program", command=COMMANDS["withdraw"]), size=8, colour=MUTED),
        ]
        below = t("qr_words_page" if sheet.has_page else "qr_words")
        qr = [self.qr(modules), self.text(below, size=8, colour=MUTED, centred=True)]
        box: Any = Table([[qr, way_out]], colWidths=[(QR_MM + 6) * self.mm, width - (QR_MM + 6) * self.mm])
        box.setStyle([("BOX", (0, 0), (-1, -1), 1.4, ACCENT), ("VALIGN", (0, 0), (-1, -1), "MIDDLE")])
        rows = [
            (t("purpose"), t("purpose_text")),
            (t("until"), t("until_text", when=self.when(sheet.expires_at))),
            (t("controller"), sheet.controller),
            (t("contact"), sheet.contact),
            (t("key"), t.known("custody", sheet.custody)),
            (t("alternative"), sheet.alternative),
            (
                t("notice"),
                t(
                    "notice_text",
                    version=sheet.notice_version,
                    language=sheet.notice_language,
                    sha256=sheet.notice_sha256,
                ),
            ),
        ]
        facts: Any = Table(
            [[self.text(name, colour=MUTED), self.text(value)] for name, value in rows],
            colWidths=[0.28 * width, 0.72 * width],
        )
        facts.setStyle([("LINEBELOW", (0, 0), (-1, -1), 0.5, LINE), ("VALIGN", (0, 0), (-1, -1), "TOP")])
        verified = t(
            "verify_text",
            number=sheet.receipt_id,
            sha256=sheet.receipt_sha256,
            command=COMMANDS["verify"],
        )
        return [
            self.text(sheet.controller, bold=True),
            self.text(t("kind"), bold=True, colour=ACCENT),
            HRFlowable(width="100%", color=LINE),
            gap,
            self.text(t("heading", zone=sheet.zone), size=17, bold=True),
            gap,
            self.text(t("lead", when=self.when(sheet.issued_at))),
            gap,
            box,
            gap,
            facts,
            *(gap, self.text(t("verify"), size=12, bold=True, colour=ACCENT)),
            self.text(verified),
            *(gap, self.text(t("rights"), size=12, bold=True, colour=ACCENT)),
            self.text(t("rights_text", rights=sheet.rights(t))),
        ]
