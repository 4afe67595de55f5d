"""The person's secret and badge: read from files and QR codes, and a new badge written for the person."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Self, final

from volens.consent import Badge, InputError, PersonSecret
from volens.consent.withdrawal import is_code_text
from volens.service.cli.named_files import must_be_new, read_file, write_private
from volens.service.qr_codes import badge_qrs
from volens.service.qr_reading import qr_texts
from volens.store.files import read_small_file

_SHEETS: Final = (b"%PDF-", b"<!DOCTYPE html>")
# PNG, JPEG, WebP (RIFF), TIFF, BMP. A receipt begins with a brace or a letter.
_IMAGES: Final = (b"\x89PNG", b"\xff\xd8\xff", b"RIFF", b"II*\0", b"MM\0*", b"BM")


@contextmanager
def shown_secret(secret: Path | None, qr: Path | None) -> Iterator[PersonSecret | None]:
    """Read the person's secret from its file or its QR code, and wipe it afterwards; None if neither was given.

    Raises:
        InputError: both were given, or neither holds a secret.
    """
    if secret is not None and qr is not None:
        raise InputError("pass only one of --secret and --secret-qr")
    if secret is not None:
        text = read_file(secret, "secret").decode("utf-8")
    elif qr is not None:
        texts = qr_texts(qr)
        if len(texts) != 1:
            raise InputError(f"got an image with {len(texts)} QR codes; pass an image of the secret's QR code alone")
        text = texts[0]
    else:
        yield None
        return
    with PersonSecret.parse(text) as half:
        yield half


def withdrawal_shown(path: Path) -> tuple[bytes | None, str | None]:
    """Return the receipt in a file, or the withdrawal code in an image of its QR code; the other is None.

    Raises:
        InputError: the file cannot be read, or the image shows no withdrawal code.
    """
    beginning = _beginning(path)
    if beginning.startswith(_SHEETS):
        raise InputError(f"{path} is a page for people; pass a picture of its QR code, or type its code after --code")
    if not beginning.startswith(_IMAGES):
        return read_file(path, "receipt"), None
    codes = [text for text in qr_texts(path) if is_code_text(text)]
    if len(codes) != 1:
        found = len(codes) or "no"
        raise InputError(
            f"found {found} withdrawal codes in {path}; pass a picture of the QR code on one person's sheet"
        )
    return None, codes[0]


def _beginning(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(16)
    except OSError:
        return b""  # `read_file` says why


@contextmanager
def shown(
    secret: Path | None, secret_qr: Path | None, badge: Path | None, badge_qr: Sequence[Path]
) -> Iterator[PersonSecret | Badge | None]:
    """Read the secret or the badge that was given, and wipe it afterwards.

    Raises:
        InputError: several kinds were given, or a file holds something else.
    """
    given = [secret is not None or secret_qr is not None, badge is not None, bool(badge_qr)]
    if sum(given) > 1:
        raise InputError("got a secret and a badge, or a badge twice; pass only one of them")
    if badge is None and not badge_qr:
        with shown_secret(secret, secret_qr) as half:
            yield half
        return
    texts = [text for path in badge_qr for text in qr_texts(path)]
    carried = Badge.parse(read_small_file(badge, "badge")) if badge is not None else Badge.from_qr_texts(texts)
    try:
        yield carried
    finally:
        carried.wipe()


@final
class BadgeToHandOver:
    """Writes a badge and its QR codes for the person; as a context manager, it deletes the files on failure.

    Attributes:
        written: the files written so far.
    """

    def __init__(self, out: Path) -> None:
        """Check the badge's file name; nothing is written yet."""
        must_be_new(out, "badge")
        must_be_new(self._qr(out, 1), "QR")
        self.written: list[Path] = []
        self._out = out

    def write(self, badge: Badge) -> None:
        """Write the badge (0600).

        Raises:
            InputError, UnavailableError: a file exists already, or the disk fails; then no badge is issued.
        """
        files = [(self._out, badge.to_bytes())]
        files += [(self._qr(self._out, number), code) for number, code in enumerate(badge_qrs(badge), start=1)]
        for path, data in files:
            must_be_new(path, "badge")
            write_private(path, data)
            self.written.append(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            # The transaction that issues the badge did not commit: the files would open nothing.
            for path in self.written:
                path.unlink(missing_ok=True)

    @staticmethod
    def _qr(out: Path, number: int) -> Path:
        return out.with_suffix(f".qr-{number}.png")
