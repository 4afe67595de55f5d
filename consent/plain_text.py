"""Plain text: what editors, shells and e-mail programs change in a text file, and its reader must not notice.

UTF-8 with or without a byte order mark (U+FEFF), lines that end with LF or with CR LF. No format that Volens writes
contains a byte order mark or a CR, so that removing them changes no content and no signature.
"""

import unicodedata
from typing import Final

from volens.consent.errors import InputError

# Joiners (ZWNJ, ZWJ), direction marks (LRM, RLM, ALM) and the soft hyphen.
_NEEDED_IN_NAMES: Final = "\u200c\u200d\u200e\u200f\u061c\u00ad"
_MARK: Final = b"\xef\xbb\xbf"
# Windows PowerShell 5 writes UTF-16 when output is redirected. UTF-32 first: its mark begins like that of UTF-16.
_OTHER_MARKS: Final = (
    (b"\xff\xfe\x00\x00", "UTF-32"),
    (b"\x00\x00\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
)


def plain_bytes(data: bytes) -> bytes:
    """Remove a leading UTF-8 byte order mark, and end lines with LF instead of CR LF; a CR elsewhere stays."""
    return data.removeprefix(_MARK).replace(b"\r\n", b"\n")


def plain_text(data: bytes, what: str) -> str:
    """Return the text of a file or of standard input, as `plain_bytes` has it; `what` is for the error.

    Raises:
        InputError: it is not UTF-8. The message names the encoding if a byte order mark shows it, and repeats nothing.
    """
    for mark, name in _OTHER_MARKS:
        if data.startswith(mark):
            raise InputError(f"{what} is in {name}; expected UTF-8; save it as UTF-8, or write it again")
    try:
        return plain_bytes(data).decode("utf-8")
    except UnicodeDecodeError:
        raise InputError(f"{what} is not text in UTF-8; check that it is the right file, or write it again") from None


def escaped(text: object, keep: str = "") -> str:
    r"""Return text from outside so that it cannot control a terminal or begin a line of its own: "\x1b", "\n".

    Escaped are control characters, line and paragraph separators, direction overrides and isolates, and invisible
    characters; not the joiners and direction marks that names need. `keep` has characters that stay as they are.
    """
    return "".join(one if one in keep or not _is_unsafe(one) else _escape(one) for one in str(text))


def _is_unsafe(one: str) -> bool:
    category = unicodedata.category(one)
    return category in {"Cc", "Zl", "Zp"} or (category == "Cf" and one not in _NEEDED_IN_NAMES)


def _escape(one: str) -> str:
    return one.encode("unicode_escape").decode("ascii")
