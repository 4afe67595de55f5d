"""The withdrawal code as a picture."""

from io import BytesIO

import segno

from consent import WithdrawalCode


def withdrawal_qr(code: WithdrawalCode) -> bytes:
    """Return the QR of a withdrawal code as PNG (ISO/IEC 18004, error correction M)."""
    picture = BytesIO()
    segno.make_qr(code.qr_text(), error="m").save(picture, kind="png", scale=8)
    return picture.getvalue()
