"""The notice: the exact text that a person is shown before signing (GDPR 13)."""

import re
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Final, Self, final

from volens.consent.errors import DamagedDataError, InputError, RefusedError
from volens.consent.ids import Purpose
from volens.consent.reason import Reason
from volens.consent.times import whole_seconds
from volens.consent.typed_text import check_characters, comparison_key

MAX_NOTICE_BYTES: Final = 256 * 1024
PASSING_SENTENCES: Final = {
    "en": "The camera compares the face of everyone who passes.",
    "fr": "La caméra compare le visage de toute personne qui passe.",
    "de": "Die Kamera vergleicht das Gesicht aller Menschen, die vorbeigehen.",
}
"""What the notice of a zone with the trigger ``passing`` says, in one of these languages: a program can check a
sentence, not a meaning. A notice in another language has its own words and one of these sentences."""

_LANGUAGE: Final = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")


@final
@dataclass(frozen=True, slots=True)
class Notice:
    """One version of one text in one language. Versions count from 1 within a zone and language."""

    purpose: Purpose
    language: str
    version: int
    text: str
    sha256: str
    published_at: datetime

    @classmethod
    def publish(cls, purpose: Purpose, *, language: str, version: int, text: bytes, now: datetime) -> Self:
        """Return a notice with the exact bytes of `text`: UTF-8, not empty, at most 256 KiB.

        The bytes are not normalised, because people sign their SHA-256.

        Raises:
            InputError: the text breaks one of these rules, or has a control other than tab and line break or a
                direction override (`volens.consent.typed_text`); or the language is not a BCP 47 tag.
        """
        language = parse_language(language)
        if len(text) > MAX_NOTICE_BYTES:
            raise InputError(f"got a notice of {len(text)} bytes; expected at most {MAX_NOTICE_BYTES}")
        try:
            decoded = text.decode("utf-8")
        except UnicodeDecodeError:
            raise InputError("got a notice that is not UTF-8 text; save it as UTF-8") from None
        if not decoded.strip():
            raise InputError("got an empty notice; write the text that people agree to")
        check_characters(decoded, "a notice", lines=True)
        return cls(purpose, language, version, decoded, sha256(text).hexdigest(), whole_seconds(now))

    def check_says_passing(self) -> None:
        """Refuse a notice that does not say that everyone who passes is compared (`PASSING_SENTENCES`).

        In English, French and German it is the sentence of that language; line breaks and capitals do not matter.

        Raises:
            RefusedError: the notice lacks the sentence.
        """
        own = PASSING_SENTENCES.get(self.language.partition("-")[0])
        wanted = PASSING_SENTENCES.values() if own is None else [own]
        text = comparison_key(self.text)
        if not any(comparison_key(sentence) in text for sentence in wanted):
            raise RefusedError(
                f"zone {self.purpose!r} identifies everyone who passes (trigger 'passing'), and its notice "
                f'({self.language}) does not say so; publish one with the sentence "{own or PASSING_SENTENCES["en"]}"'
            )

    def check(self) -> None:
        """Compare the text with its SHA-256.

        Raises:
            TamperError: the text is not the published one.
        """
        if sha256(self.text.encode("utf-8")).hexdigest() != self.sha256:
            raise DamagedDataError(
                f"notice {self.version} ({self.language}) of zone {self.purpose!r} is not the published text"
            )


def parse_language(text: str) -> str:
    """Return a typed BCP 47 language tag as it is usually written: ``fr-CA``, ``zh-Hant``.

    Raises:
        InputError: the text is not such a tag.

    Source: RFC 5646, 2.1.1 (case has no meaning).
    """
    first, *others = text.strip(" ").split("-")
    tag = "-".join([first.lower(), *map(_subtag, others)])
    if not _LANGUAGE.fullmatch(tag):
        raise InputError(
            f"got language {text[:40]!r}; expected a BCP 47 tag such as 'en' or 'fr-CA'", reason=Reason.LANGUAGE_FORM
        )
    return tag


def _subtag(text: str) -> str:
    match len(text):
        case 2:
            return text.upper()
        case 4:
            return text.title()
        case _:
            return text.lower()
