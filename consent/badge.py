"""The badge: a person's own sealed reference, carried by the person as a file or a set of QR codes.

It holds the sealed embedding and the person's half of its key. The other half is in the site's keyring: a badge alone
opens nothing, the site alone has no embedding to open, and once the site destroys its half the badge never opens again.

The file is ``VOLENS-BADGE`` and a version byte; site, receipt, reference and model, each preceded by its length in two
bytes; the person's half, 32 bytes; the sealed embedding. Each QR code carries a numbered piece in base 45 (RFC 9285),
which QR codes encode most compactly: ``VOLENS-BADGE:DIGEST:NUMBER/COUNT:PIECE``. They may be scanned in any order.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final, Self, final

from volens.consent.errors import InputError
from volens.consent.ids import ModelId, ReceiptId, ReferenceId, SiteId
from volens.consent.in_process import InProcess
from volens.consent.person_secret import SECRET_BYTES, PersonSecret

MAGIC: Final = b"VOLENS-BADGE\x01"
MAX_BADGE_BYTES: Final = 16 * 1024
TEXT_PREFIX: Final = "VOLENS-BADGE:"
MAX_PIECE_BYTES: Final = 560
"""Of one QR code: up to version 19, error correction M. A badge of 128 numbers needs two codes, of 512 numbers four."""
_PIECE: Final = re.compile(TEXT_PREFIX + r"([0-9A-F]{16}):([1-9][0-9]?)/([1-9][0-9]?):([0-9A-Z $%*+./:-]+)")
_BASE45: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"


@final
@dataclass(frozen=True, slots=True, eq=False)
class Badge(InProcess):
    """The content of a badge; not trusted until the store has compared it with the badge that it issued.

    The embedding is sealed under a key from both halves, bound to reference, receipt, person, zone and model.
    """

    site_id: SiteId
    receipt_id: ReceiptId
    reference_id: ReferenceId
    model_id: ModelId
    secret: PersonSecret = field(repr=False)
    sealed_embedding: bytes = field(repr=False)

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read a badge file.

        Raises:
            InputError: the bytes are not a badge of this version.
        """
        problem = "got a file that is not a badge of this version; use the file as it was written"
        if len(data) > MAX_BADGE_BYTES or not data.startswith(MAGIC):
            raise InputError(problem)
        rest, fields = data.removeprefix(MAGIC), list[str]()
        try:
            for _ in range(4):
                end = 2 + int.from_bytes(rest[:2])
                fields.append(rest[2:end].decode("ascii"))
                rest = rest[end:]
            site_id, receipt_id, reference_id = SiteId(fields[0]), ReceiptId(fields[1]), ReferenceId(int(fields[2]))
            secret, box = PersonSecret(rest[:SECRET_BYTES]), rest[SECRET_BYTES:]
            badge = cls(site_id, receipt_id, reference_id, ModelId(fields[3]), secret, box)
        except ValueError:
            raise InputError(problem) from None
        if badge.to_bytes() != data:
            raise InputError(problem)
        return badge

    def to_bytes(self) -> bytes:
        """Return the content of the badge file, for the person only."""
        fields = [self.site_id, self.receipt_id, str(self.reference_id), self.model_id]
        encoded = [field.encode("ascii") for field in fields]
        head = b"".join(len(one).to_bytes(2) + one for one in encoded)
        return MAGIC + head + bytes(self.secret.buffer) + self.sealed_embedding

    def digest(self) -> bytes:
        """Return the SHA-256 of the file: all that the site keeps of a badge. It reveals nothing about the face."""
        return sha256(self.to_bytes()).digest()

    def qr_texts(self) -> list[str]:
        """Return the texts of the badge's QR codes, of about equal length."""
        data = self.to_bytes()
        count = -(-len(data) // MAX_PIECE_BYTES)
        size = -(-len(data) // count)
        name = self.digest()[:8].hex().upper()
        return [
            f"{TEXT_PREFIX}{name}:{number + 1}/{count}:{_to_base45(data[number * size : (number + 1) * size])}"
            for number in range(count)
        ]

    @classmethod
    def from_qr_texts(cls, texts: Sequence[str]) -> Self:
        """Assemble a badge from its QR codes, scanned in any order; a code may be scanned twice.

        Raises:
            InputError: a text is not a code of a badge, one is missing, or they belong to several badges.
        """
        pieces: dict[int, bytes] = {}
        sets = set[tuple[str, int]]()
        for text in texts:
            found = _PIECE.fullmatch(text)
            if found is None:
                raise InputError(
                    "got a QR code that is not of a badge; show the codes that were written with the badge"
                )
            name, number, count, piece = found[1], int(found[2]), int(found[3]), _from_base45(found[4])
            if number > count or pieces.setdefault(number, piece) != piece:
                raise InputError("got QR codes of several badges; show the codes of one badge only")
            sets.add((name, count))
        if len(sets) != 1:
            raise InputError(f"got QR codes of {len(sets)} badges; show the codes of one badge, all of them")
        ((name, count),) = sets
        if len(pieces) != count:
            raise InputError(f"got {len(pieces)} of the {count} QR codes of a badge; show the others as well")
        data = b"".join(pieces[number] for number in sorted(pieces))
        if sha256(data).digest()[:8].hex().upper() != name:
            raise InputError("got QR codes of several badges, or one was misread; show the codes of one badge again")
        return cls.parse(data)

    def wipe(self) -> None:
        """Zero the person's half; the sealed embedding alone opens nothing."""
        self.secret.wipe()


def _to_base45(data: bytes) -> str:
    letters: list[str] = []
    for at in range(0, len(data), 2):
        pair = data[at : at + 2]
        number = int.from_bytes(pair)
        for _ in range(len(pair) + 1):
            number, digit = divmod(number, len(_BASE45))
            letters.append(_BASE45[digit])
    return "".join(letters)


def _from_base45(text: str) -> bytes:
    data = bytearray()
    for at in range(0, len(text), 3):
        group = text[at : at + 3]
        number = sum(_BASE45.index(letter) * len(_BASE45) ** place for place, letter in enumerate(group))
        length = len(group) - 1
        if not length or number >= 256**length:
            raise InputError("got a QR code of a badge that was misread; show it again")
        data += number.to_bytes(length)
    return bytes(data)
