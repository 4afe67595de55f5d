"""QR codes: the withdrawal code, the person's secret and the badge as pictures."""

from io import BytesIO

import segno

from volens.consent import Badge, PersonSecret, WithdrawalCode


def withdrawal_qr(code: WithdrawalCode) -> bytes:
    """Return the QR code of a withdrawal code as PNG (ISO/IEC 18004, error correction M)."""
    return _png(code.qr_text())


def withdrawal_svg(code: WithdrawalCode) -> str:
    """Return the QR code of a withdrawal code as SVG, to embed in a page."""
    svg: str = segno.make_qr(code.qr_text(), error="m").svg_inline(omitsize=True)
    return svg


def withdrawal_modules(code: WithdrawalCode) -> list[list[bool]]:
    """Return the modules of the QR code of a withdrawal code, row by row, dark ones true, without the quiet zone."""
    return [[bool(module) for module in row] for row in segno.make_qr(code.qr_text(), error="m").matrix]


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
