"""Translations: the words of each page in English, French and German, from one TOML file beside its template."""

import tomllib
from dataclasses import dataclass
from datetime import datetime, tzinfo
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, final, get_args

from markupsafe import Markup, escape

from volens.consent import format_time, parse_time

PageLanguage: TypeAlias = Literal["en", "fr", "de"]
LANGUAGES: Final[tuple[PageLanguage, ...]] = get_args(PageLanguage)
DEFAULT_LANGUAGE: Final[PageLanguage] = "en"
_FOLDER: Final = Path(__file__).parent
_SHARED: Final = "base"


def page_language(tag: str | None) -> PageLanguage:
    """Return the language of the pages for a BCP 47 tag, such as the language of a notice: ``fr-CA`` gives ``fr``.

    A language without translations gives English.
    """
    primary = (tag or "").partition("-")[0].lower()
    return next((one for one in LANGUAGES if one == primary), DEFAULT_LANGUAGE)


@final
@dataclass(frozen=True, slots=True)
class PageWords:
    """The words of one page in one language.

    Attributes:
        zone: in which times are written, with the UTC time beside them; None is the time zone of this machine.
    """

    page: str
    language: PageLanguage
    zone: tzinfo | None = None

    def __contains__(self, key: str) -> bool:
        return key in _table(self.page)

    def __call__(self, key: str, /, **values: object) -> Markup:
        """Return a sentence as markup, with its values escaped.

        Raises:
            KeyError: there is no such sentence, or it needs another value; a bug of the caller.
        """
        return escape(self._raw(key)).format(**values)

    def text(self, key: str, /, **values: object) -> str:
        """Return a sentence as plain text."""
        return self._raw(key).format(**values)

    def known(self, group: str, value: str) -> Markup | str:
        """Return the words for a value of a list, such as a reason; a value without words is returned as it is."""
        key = f"{group} {value}"
        return self(key) if key in self else value

    def when(self, moment: datetime | str) -> Markup:
        """Return a moment in words as markup: ``1 March 2099, 13:00 CET (12:00:00 UTC)``."""
        moment = parse_time(moment) if isinstance(moment, str) else moment
        words, utc = self.moment(moment)
        exact = Markup(' <span class="utc">({})</span>').format(utc) if utc else ""
        return Markup('<time datetime="{}">{}</time>{}').format(format_time(moment), words, exact)

    def moment(self, moment: datetime) -> tuple[str, str]:
        """Return a moment in words in the time zone, and its time in UTC; the latter is empty if both are the same."""
        local, utc = moment.astimezone(self.zone), format_time(moment)[11:19]
        if not local.utcoffset():
            return self._date_and_time(local, f"{utc} UTC"), ""
        return self._date_and_time(local, f"{local:%H:%M} {local:%Z}"), f"{utc} UTC"

    def _date_and_time(self, local: datetime, clock: str) -> str:
        day = self.text("first_day_of_a_month") if local.day == 1 else str(local.day)
        month = _table(self.page)["months"][self.language][local.month - 1]
        date = self.text("date", day=day, month=month, year=local.year)
        return self.text("date_and_time", date=date, time=clock)

    def _raw(self, key: str) -> str:
        return str(_table(self.page)[key][self.language])


@cache
def _table(page: str) -> dict[str, dict[str, Any]]:
    words: dict[str, dict[str, Any]] = {}
    for name in dict.fromkeys((_SHARED, page)):
        path = _FOLDER / f"{name}.toml"
        if path.exists():
            words |= tomllib.loads(path.read_text(encoding="utf-8"))
    return words
