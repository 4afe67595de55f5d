"""Language and wording of a page: gettext catalogues, and dates in words."""

from dataclasses import dataclass
from datetime import datetime, tzinfo
from functools import cache
from pathlib import Path
from typing import Final, final

from babel import Locale
from babel.dates import format_date, format_time
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po
from fastapi import Request
from markupsafe import Markup

from volens.consent import format_time as utc_text
from volens.erase.pages import DEFAULT_LANGUAGE, LANGUAGES, PageLanguage, page_language

LOCALES: Final = Path(__file__).parent / "locales"
SHARED_DOMAIN: Final = "shared"
LANGUAGE_COOKIE: Final = "volens_language"
_MAX_HEADER: Final = 500


def language_of(request: Request) -> PageLanguage:
    """Return the language of a page: ``?lang=``, else the cookie, else the first known one of Accept-Language."""
    for chosen in (request.query_params.get("lang"), request.cookies.get(LANGUAGE_COOKIE)):
        if chosen in LANGUAGES:
            return page_language(chosen)
    header = request.headers.get("Accept-Language", "")[:_MAX_HEADER]
    # The order of the header is the person's; browsers write it by falling weight.
    tags = (one.partition(";")[0].strip().partition("-")[0].lower() for one in header.split(","))
    return page_language(next((tag for tag in tags if tag in LANGUAGES), DEFAULT_LANGUAGE))


@final
@dataclass(frozen=True, slots=True)
class PageTexts:
    """The texts of one page. The message id of a text is its English wording.

    Attributes:
        domain: the catalogue of this group of pages; what all pages show is in the catalogue `SHARED_DOMAIN`.
        zone: in which times are written.
    """

    domain: str
    language: PageLanguage
    zone: tzinfo

    def gettext(self, message: str) -> str:
        """Return a text in the language of the page; a text without translation stays English."""
        return self._found(message, 0) or message

    def ngettext(self, singular: str, plural: str, number: int) -> str:
        """Return a text that depends on a number, which it may name as ``%(num)s``."""
        found = self._found(singular, plural_index(self.language, number))
        return found or (singular if number == 1 else plural)

    def when(self, moment: datetime) -> Markup:
        """Return date and time in words as markup; the exact time in UTC is in the attributes."""
        local = moment.astimezone(self.zone)
        text = f"{self._date(local)}, {format_time(local, 'HH:mm', locale=self.language)}"
        return _time_element(moment, text)

    def clock(self, moment: datetime) -> Markup:
        """Return the time of day with seconds as markup."""
        return _time_element(moment, format_time(moment.astimezone(self.zone), "HH:mm:ss", locale=self.language))

    def minute(self, moment: datetime) -> str:
        """Return the time of day as text."""
        return format_time(moment.astimezone(self.zone), "HH:mm", locale=self.language)

    def day(self, moment: datetime) -> Markup:
        """Return a date in words as markup."""
        return _time_element(moment, self._date(moment.astimezone(self.zone)))

    def date_digits(self, moment: datetime) -> str:
        """Return a date as a calendar file has it, such as 20270228."""
        return f"{moment.astimezone(self.zone):%Y%m%d}"

    def _date(self, local: datetime) -> str:
        return format_date(local, "long", locale=_locale(self.language))

    def _found(self, message: str, form: int) -> str | None:
        for domain in (self.domain, SHARED_DOMAIN):
            known = catalogue(self.language, domain).get(message)
            if known is not None and known.string:
                return known.string if isinstance(known.string, str) else known.string[form]
        return None


def _locale(language: PageLanguage) -> str:
    # Day before month: "28 February 2027". American English writes it in an order that the others do not expect.
    return "en_GB" if language == "en" else language


def plural_index(language: PageLanguage, number: int) -> int:
    """Return which form of a text goes with a number, as in the header ``Plural-Forms`` of the catalogues."""
    return int(number > 1) if language == "fr" else int(number != 1)


@cache
def catalogue(language: PageLanguage, domain: str) -> Catalog:
    """Return the catalogue of a language; English has none, because its texts are the message ids."""
    path = LOCALES / language / f"{domain}.po"
    if not path.is_file():
        return Catalog(Locale(language), domain)
    with path.open("rb") as file:
        return read_po(file, Locale(language), domain, abort_invalid=True)


def _time_element(moment: datetime, text: str) -> Markup:
    exact = utc_text(moment)
    return Markup('<time datetime="{}" title="{} UTC">{}</time>').format(exact, exact[:19].replace("T", " "), text)
