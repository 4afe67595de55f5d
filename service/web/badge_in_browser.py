"""A badge for the browser of its person: the file to save, and its QR codes."""

import base64

from volens.consent import Badge
from volens.service.qr_codes import badge_qrs


def badge_in_browser(badge: bytes) -> dict[str, object]:
    """Return a badge as the browser shows and saves it: its file in base64, and its QR codes as data URLs."""
    pictures = [base64.b64encode(one).decode("ascii") for one in badge_qrs(Badge.parse(badge))]
    file = base64.b64encode(badge).decode("ascii")
    return {"file": file, "qrs": [f"data:image/png;base64,{one}" for one in pictures]}
