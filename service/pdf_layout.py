"""One page of A4 as PDF, made in memory with ReportLab: text that can be selected, a QR code, no other file."""

import unicodedata
from collections.abc import Sequence
from datetime import datetime
from io import BytesIO
from typing import Any, Final

from markupsafe import Markup, escape

from volens.consent import InputError, UnavailableError
from volens.erase.pages import PageWords
from volens.service.typeface import BOLD, REGULAR, embedded_font, missing_letters

MARGIN_MM: Final = 16
QR_MM: Final = 46
ACCENT: Final = "#0b5d66"
MUTED: Final = "#51606e"
LINE: Final = "#d5dad9"
_QUIET_MODULES: Final = 4


def check_letters(text: str, what: str) -> None:
    """Check that a PDF can show all letters of a text of `what`, such as "this receipt".

    Raises:
        InputError: a letter is in a script that needs a browser.
    """
    missing = missing_letters(text)
    if missing:
        raise InputError(
            f"a PDF cannot show {', '.join(f'U+{ord(one):04X}' for one in missing[:3])} of {what} yet; write an "
            "HTML file instead (--out FILE.html) and print it from a browser"
        )


class PdfLayout:
    """Fonts, styles and parts of a page. ReportLab ships no types, so its objects are `Any` here."""

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

    def page(self, story: Sequence[Any], *, title: str, author: str, subject: str, footer: tuple[str, str]) -> bytes:
        """Return the file of a page; a story that is too long for it is made smaller."""
        from reportlab.pdfgen.canvas import Canvas  # noqa: PLC0415  an extra
        from reportlab.platypus import KeepInFrame  # noqa: PLC0415

        data, margin = BytesIO(), MARGIN_MM * self.mm
        canvas: Any = Canvas(data, pagesize=(self.width, self.height), lang=self.words.language, invariant=1)
        canvas.setTitle(title)
        canvas.setAuthor(author)
        canvas.setSubject(subject)
        self._frame(canvas, *footer)
        inside: tuple[float, float] = (self.text_width, self.height - 2 * margin - 8 * self.mm)
        framed: Any = KeepInFrame(*inside, list(story), mode="shrink")
        _, used = framed.wrapOn(canvas, *inside)
        framed.drawOn(canvas, margin, self.height - margin - used)
        canvas.showPage()
        canvas.save()
        return data.getvalue()

    @property
    def text_width(self) -> float:
        """The width between the margins, in points."""
        return float(self.width - 2 * MARGIN_MM * self.mm)

    def _frame(self, canvas: Any, left: str, middle: str) -> None:  # noqa: ANN401
        edge = 10 * self.mm
        canvas.setStrokeColor(MUTED)
        canvas.rect(edge, edge, self.width - 2 * edge, self.height - 2 * edge)
        canvas.setFillColor(ACCENT)
        canvas.rect(edge, self.height - edge - 2 * self.mm, self.width - 2 * edge, 2 * self.mm, stroke=0, fill=1)
        canvas.setFillColor(MUTED)
        canvas.setFont(REGULAR, 8)
        t, base = self.words, edge + 3.5 * self.mm
        canvas.drawString(MARGIN_MM * self.mm, base, left)
        canvas.drawCentredString(0.58 * self.width, base, middle)
        canvas.drawRightString(self.width - MARGIN_MM * self.mm, base, f"{t.text('page_of')} 1 / 1")

    def text(
        self,
        text: str | Markup,
        *,
        size: float = 11,
        bold: bool = False,
        colour: str = "#000000",
        centred: bool = False,
    ) -> Any:  # noqa: ANN401
        """Return a paragraph."""
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

    def qr(self, modules: list[list[bool]]) -> Any:  # noqa: ANN401
        """Return a QR code with its quiet zone."""
        from reportlab.graphics.shapes import Drawing, Rect  # noqa: PLC0415  an extra

        side = QR_MM * self.mm
        unit = side / (len(modules) + 2 * _QUIET_MODULES)
        drawing: Any = Drawing(side, side)
        for row, line in enumerate(modules):
            for column, dark in enumerate(line):
                if dark:
                    x, y = (column + _QUIET_MODULES) * unit, side - (row + 1 + _QUIET_MODULES) * unit
                    drawing.add(Rect(x, y, unit, unit, strokeWidth=0, strokeColor=None, fillColor="#000000"))
        return drawing

    def when(self, moment: datetime) -> str:
        """Return a moment in words."""
        words, utc = self.words.moment(moment)
        return f"{words} ({utc})" if utc else words
