"""Words of notices in English, French and German, from the data file of `volens.consent.law`."""

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Final, final

from volens.consent.errors import InputError
from volens.consent.law import LANGUAGES
from volens.consent.notice import PASSING_SENTENCES, parse_language
from volens.consent.plain_text import plain_text
from volens.consent.zone import Trigger

_FOLDER: Final = "volens.consent.law"


@final
class NoticeWords:
    """The words of one language."""

    def __init__(self, language: str) -> None:
        """Use the words for a BCP 47 tag: ``fr-CA`` has those of French.

        Raises:
            InputError: there are no words in this language.
        """
        tag = parse_language(language)
        self.language = tag.partition("-")[0]
        if self.language not in LANGUAGES:
            raise InputError(
                f"got language {tag!r}; a notice can be drafted in {', '.join(LANGUAGES)}; write one in your own words "
                "with the anchors of docs/notices.md"
            )

    def __call__(self, key: str, **values: object) -> str:
        """Return a sentence.

        Raises:
            KeyError: there is no such sentence, or it needs another value; a bug of the caller.
        """
        if key == f"trigger {Trigger.PASSING}":
            return PASSING_SENTENCES[self.language]
        return str(_table()[key][self.language]).format(**values)

    def terms(self, key: str) -> tuple[str, ...]:
        """Return a list of words to look for."""
        return tuple(_table()[key][self.language])

    def variants(self, choice: str) -> Mapping[str, str]:
        """Return the sentences of a choice, such as ``custody``, by its values; those with a place are left out."""
        found = {key.partition(" ")[2]: self(key) for key in _choices(choice) if "{" not in _table()[key]["en"]}
        if choice == "trigger":
            found[Trigger.PASSING.value] = PASSING_SENTENCES[self.language]
        return found


def words_of(language: str) -> NoticeWords | None:
    """Return the words of a language; None if there are none."""
    is_known = parse_language(language).partition("-")[0] in LANGUAGES
    return NoticeWords(language) if is_known else None


def example_names() -> tuple[str, ...]:
    """Return names that only examples have."""
    return tuple(_table()["example_names"]["any"])


def _choices(choice: str) -> tuple[str, ...]:
    return tuple(key for key in _table() if key.startswith(f"{choice} "))


@cache
def _table() -> Mapping[str, Mapping[str, Any]]:
    data = files(_FOLDER).joinpath("notice_words.toml").read_bytes()
    return tomllib.loads(plain_text(data, "notice_words.toml"))
