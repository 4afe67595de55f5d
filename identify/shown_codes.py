"""QR codes that people show to a camera where they hold the key: a secret, or the pieces of a sealed badge.

1. A frame is read at most every `READ_EVERY_S`, because reading takes longer than a look.
2. Codes that are no codes of Volens are not looked at. The kind of the other custody is refused with one sentence.
3. The pieces of one badge are collected until they are complete, for `PIECES_GOOD_S` at most.
4. After a complete code none is read for `AGAIN_S`, so that one that stays in view does not ask again and again.

Kept between frames: pieces of one incomplete badge, and times. What is complete is handed over, and wiped by its taker.
"""

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias, final

from volens.consent import Badge, Custody, InputError, PersonSecret
from volens.consent.badge import TEXT_PREFIX as BADGE_PREFIX
from volens.consent.person_secret import TEXT_PREFIX as SECRET_PREFIX
from volens.face import RgbImage

CodeReader: TypeAlias = Callable[[RgbImage], Sequence[str]]
"""Returns the texts of the QR codes in a picture."""

READ_EVERY_S: Final = 0.3
PIECES_GOOD_S: Final = 10.0
AGAIN_S: Final = 3.0

_PREFIXES: Final = {Custody.SUBJECT_KEY: SECRET_PREFIX, Custody.BADGE: BADGE_PREFIX}
_MOST_PIECES: Final = 99


def codes_for(custody: Custody, texts: Sequence[str]) -> list[str]:
    """Return those of some texts that are codes of what people carry in a zone of a custody."""
    prefix = _PREFIXES.get(custody)
    return [] if prefix is None else [one for one in texts if one.upper().startswith(prefix)]


def carried_in(custody: Custody, codes: Sequence[str]) -> PersonSecret | Badge | None:
    """Return the secret or the badge in some codes, which the caller wipes; None if it is not complete."""
    own = codes_for(custody, codes)
    try:
        if custody is Custody.SUBJECT_KEY:
            return PersonSecret.parse(own[-1]) if own else None
        return Badge.from_qr_texts(own)
    except InputError:
        return None


@final
class ShownCodes:
    """Reads the codes in the frames of one door, in their order. For one thread."""

    def __init__(self, read: CodeReader) -> None:
        self._read = read
        self._pieces: list[str] = []
        self._pieces_until_s = self._not_before_s = float("-inf")

    def look(self, custody: Custody, image: RgbImage, at_s: float, *, photo: bool) -> PersonSecret | Badge | None:
        """Return what a frame completes, which the caller wipes; None if nothing is complete yet.

        A `photo` stands alone: it is always read.

        Raises:
            InputError: the code is a secret where people carry badges, or a badge where they keep secrets.
        """
        if at_s >= self._pieces_until_s:
            self._pieces = []
        # 1. and 4.
        if at_s < self._not_before_s and not photo:
            return None
        self._not_before_s = at_s + READ_EVERY_S
        texts = self._read(image)
        # 2.
        own = codes_for(custody, texts)
        if not own:
            self._refuse_other_kind(custody, texts, at_s)
            return None
        # 3.
        named = _name_of(own[-1])
        pieces = [*dict.fromkeys(one for one in [*self._pieces, *own] if _name_of(one) == named)][-_MOST_PIECES:]
        carried = carried_in(custody, pieces)
        if carried is None:
            if custody is Custody.BADGE:
                self._pieces, self._pieces_until_s = pieces, at_s + PIECES_GOOD_S
            return None
        self.close()
        # 4.
        self._not_before_s = at_s + AGAIN_S
        return carried

    def close(self) -> None:
        """Forget the pieces of a badge that is not complete."""
        self._pieces = []

    def _refuse_other_kind(self, custody: Custody, texts: Sequence[str], at_s: float) -> None:
        other = Custody.BADGE if custody is Custody.SUBJECT_KEY else Custody.SUBJECT_KEY
        if codes_for(other, texts):
            self._not_before_s = at_s + AGAIN_S
            got, expected = ("badge", "secret") if other is Custody.BADGE else ("secret", "badge")
            raise InputError(f"got the QR code of a {got}; in this zone people show that of their {expected}")


def _name_of(code: str) -> str:
    """Return what the pieces of one badge have in common; of a secret, the whole code."""
    parts = code.upper().split(":")
    return parts[1] if len(parts) > 1 else ""
