"""The consent sheet as PDF, made in memory with ReportLab: one page of A4, text that can be selected, no other file."""

import unicodedata
from datetime import datetime, tzinfo
from io import BytesIO
from typing import Any, Final

from markupsafe import Markup, escape

from volens.consent import InputError, TakeHome, UnavailableError
from volens.erase.pages import PageLanguage, PageWords
from volens.service.consent_sheet import COMMANDS, ConsentSheet, sheet_mark
from volens.service.qr_codes import withdrawal_modules
from volens.service.typeface import BOLD, REGULAR, embedded_font, missing_letters

_MARGIN_MM: Final = 16
_QR_MM: Final = 46
_QUIET_MODULES: Final = 4
_ACCENT: Final = "#0b5d66"
_MUTED: Final = "#51606e"
_LINE: Final = "#d5dad9"


def sheet_pdf(take_home: TakeHome, language: PageLanguage | None = None, time_zone: tzinfo | None = None) -> bytes:
    """Return the sheet as PDF; text that is too long for the page is made smaller.

    Raises:
        ReceiptSignatureError, InputError: as `ConsentSheet.of`; or a letter is in a script that needs a browser.
        UnavailableError: ReportLab is not installed.
    """
    sheet = ConsentSheet.of(take_home)
    code = take_home.code
    assert code is not None  # noqa: S101  `ConsentSheet.of` has checked it
    missing = missing_letters(sheet.controller + sheet.contact + sheet.alternative)
    if missing:
        raise InputError(
            f"a PDF cannot show {', '.join(f'U+{ord(one):04X}' for one in missing[:3])} of this receipt yet; write an "
            "HTML file instead (--out FILE.html) and print it from a browser"
        )
    words = PageWords("consent_sheet", language or sheet.language, time_zone)
    return _Layout(words).build(sheet, code.reveal(), withdrawal_modules(code))


class _Layout:
    """Fonts, styles and parts of one PDF. ReportLab ships no types, so its objects are `Any` here."""

    def __init__(self, words: PageWords) -> None:
        try:
            from reportlab.lib import pagesizes, styles, units  # noqa: PLC0415  an extra
            from reportlab.pdfbase import pdfmetrics, ttfonts  # noqa: PLC0415
        except ImportError:
            raise UnavailableError(
                "a PDF needs the extra 'pdf' (pip install 'volens[pdf]'); without it, write an HTML file "
                "(--out FILE.html) and print it from a browser"
            ) from None
        self.words = words
        self.mm: float = units.mm
        self.width, self.height = pagesizes.A4
        for name in (REGULAR, BOLD):
            pdfmetrics.registerFont(ttfonts.TTFont(name, BytesIO(embedded_font(name))))
        self._style: Any = styles.ParagraphStyle

    def build(self, sheet: ConsentSheet, code: str, modules: list[list[bool]]) -> bytes:
        """Return the file."""
        from reportlab.pdfgen.canvas import Canvas  # noqa: PLC0415  an extra
        from reportlab.platypus import KeepInFrame  # noqa: PLC0415

        data, margin = BytesIO(), _MARGIN_MM * self.mm
        canvas: Any = Canvas(data, pagesize=(self.width, self.height), lang=self.words.language, invariant=1)
        canvas.setTitle(self.words.text("kind"))
        canvas.setAuthor(sheet.controller)
        canvas.setSubject(sheet_mark(sheet.receipt_id))
        self._frame(canvas, sheet)
        inside: tuple[float, float] = (self.width - 2 * margin, self.height - 2 * margin - 8 * self.mm)
        story: Any = KeepInFrame(*inside, self._story(sheet, code, modules, inside[0]), mode="shrink")
        _, used = story.wrapOn(canvas, *inside)
        story.drawOn(canvas, margin, self.height - margin - used)
        canvas.showPage()
        canvas.save()
        return data.getvalue()

    def _frame(self, canvas: Any, sheet: ConsentSheet) -> None:  # noqa: ANN401
        edge = 10 * self.mm
        canvas.setStrokeColor(_MUTED)
        canvas.rect(edge, edge, self.width - 2 * edge, self.height - 2 * edge)
        canvas.setFillColor(_ACCENT)
        canvas.rect(edge, self.height - edge - 2 * self.mm, self.width - 2 * edge, 2 * self.mm, stroke=0, fill=1)
        canvas.setFillColor(_MUTED)
        canvas.setFont(REGULAR, 8)
        t, base = self.words, edge + 3.5 * self.mm
        canvas.drawString(_MARGIN_MM * self.mm, base, f"{t.text('number')} {sheet.receipt_id}")
        canvas.drawCentredString(0.58 * self.width, base, f"{t.text('issued')} {self._when(sheet.issued_at)}")
        canvas.drawRightString(self.width - _MARGIN_MM * self.mm, base, f"{t.text('page_of')} 1 / 1")

    def _story(self, sheet: ConsentSheet, code: str, modules: list[list[bool]], width: float) -> list[Any]:
        from reportlab.platypus import HRFlowable, Spacer, Table  # noqa: PLC0415  an extra

        t, gap = self.words, Spacer(1, 3 * self.mm)
        way_out = [
            self._text(t("leave"), size=12, bold=True, colour=_ACCENT),
            self._text(t("leave_text")),
            Spacer(1, 2 * self.mm),
            self._text(t("code")),
            self._text(code, size=13, bold=True),
            self._text(t("leave_program", command=COMMANDS["withdraw"]), size=8, colour=_MUTED),
        ]
        qr = [self._qr(modules), self._text(t("qr_words"), size=8, colour=_MUTED, centred=True)]
        box: Any = Table([[qr, way_out]], colWidths=[(_QR_MM + 6) * self.mm, width - (_QR_MM + 6) * self.mm])
        box.setStyle([("BOX", (0, 0), (-1, -1), 1.4, _ACCENT), ("VALIGN", (0, 0), (-1, -1), "MIDDLE")])
        rows = [
            (t("purpose"), t("purpose_text")),
            (t("until"), t("until_text", when=self._when(sheet.expires_at))),
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
            [[self._text(name, colour=_MUTED), self._text(value)] for name, value in rows],
            colWidths=[0.28 * width, 0.72 * width],
        )
        facts.setStyle([("LINEBELOW", (0, 0), (-1, -1), 0.5, _LINE), ("VALIGN", (0, 0), (-1, -1), "TOP")])
        verified = t(
            "verify_text",
            number=sheet.receipt_id,
            sha256=sheet.receipt_sha256,
            command=COMMANDS["verify"],
        )
        return [
            self._text(sheet.controller, bold=True),
            self._text(t("kind"), bold=True, colour=_ACCENT),
            HRFlowable(width="100%", color=_LINE),
            gap,
            self._text(t("heading", zone=sheet.zone), size=17, bold=True),
            gap,
            self._text(t("lead", when=self._when(sheet.issued_at))),
            gap,
            box,
            gap,
            facts,
            *(gap, self._text(t("verify"), size=12, bold=True, colour=_ACCENT)),
            self._text(verified),
            *(gap, self._text(t("rights"), size=12, bold=True, colour=_ACCENT)),
            self._text(t("rights_text")),
        ]

    def _text(
        self,
        text: str | Markup,
        *,
        size: float = 11,
        bold: bool = False,
        colour: str = "#000000",
        centred: bool = False,
    ) -> Any:  # noqa: ANN401
        from reportlab.platypus import Paragraph  # noqa: PLC0415  an extra

        style = self._style(
            "text",
            fontName=BOLD if bold else REGULAR,
            fontSize=size,
            leading=1.35 * size,
            textColor=colour,
            alignment=1 if centred else 0,
            splitLongWords=True,
            spaceAfter=1.5,
        )
        return Paragraph(unicodedata.normalize("NFC", escape(text)), style)

    def _qr(self, modules: list[list[bool]]) -> Any:  # noqa: ANN401
        from reportlab.graphics.shapes import Drawing, Rect  # noqa: PLC0415  an extra

        side = _QR_MM * self.mm
        unit = side / (len(modules) + 2 * _QUIET_MODULES)
        drawing: Any = Drawing(side, side)
        for row, line in enumerate(modules):
            for column, dark in enumerate(line):
                if dark:
                    x, y = (column + _QUIET_MODULES) * unit, side - (row + 1 + _QUIET_MODULES) * unit
                    drawing.add(Rect(x, y, unit, unit, strokeWidth=0, strokeColor=None, fillColor="#000000"))
        return drawing

    def _when(self, moment: datetime) -> str:
        words, utc = self.words.moment(moment)
        return f"{words} ({utc})" if utc else words
