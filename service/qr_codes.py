"""QR codes: the withdrawal code, the person's secret, the badge, and the link of an invitation."""

from io import BytesIO

import segno

from volens.consent import Badge, PersonSecret, TakeHome


def withdrawal_qr(take_home: TakeHome) -> bytes:
    """Return the QR code of the withdrawal code as PNG (ISO/IEC 18004, error correction M).

    Raises:
        InputError: the take-home has no withdrawal code.
    """
    return _png(take_home.qr_text())


def qr_svg(text: str) -> str:
    """Return the QR code of a text as SVG, to embed in a page."""
    svg: str = segno.make_qr(text, error="m").svg_inline(omitsize=True)
    return svg


def qr_modules(text: str) -> list[list[bool]]:
    """Return the modules of the QR code of a text, row by row, dark ones true, without the quiet zone."""
    return [[bool(module) for module in row] for row in segno.make_qr(text, error="m").matrix]


def qr_png(text: str) -> bytes:
    """Return the QR code of a text, such as a web address, as PNG."""
    return _png(text)


def secret_qr(secret: PersonSecret) -> bytes:
    """Return the QR code of a person's secret as PNG."""
    return _png(secret.reveal())


def badge_qrs(badge: Badge) -> list[bytes]:
    """Return the QR codes of a badge, each as PNG."""
    return [_png(text) for text in badge.qr_texts()]


def _png(text: str) -> bytes:
    picture = BytesIO()
    segno.make_qr(text, error="m").save(picture, kind="png", scale=8)
    return picture.getvalue()
