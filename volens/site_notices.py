"""`Site.notices`: notices that are drafted from a zone, held against it, and published."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, NotRequired, TypedDict, Unpack, final

from volens.consent import Notice, parse_purpose
from volens.consent.notice_check import NoticeReport
from volens.consent.notice_draft import draft_notice, gaps_of
from volens.consent.notice_statements import Fact
from volens.consent.processing_record import ProcessingRecord
from volens.consent.zone import parse_trigger
from volens.erase.pages import PageWords, page_language
from volens.store import Store
from volens.store.people import shorten
from volens.store.promises import Defaults, check_text, notice_records, publish_notice

GENERAL: Final = "EU"
"""The profile for which a notice is written if neither a jurisdiction nor the site's default is given."""


class NewNoticeText(TypedDict):
    """The next version of a notice; see `SiteNotices.publish`."""

    language: str
    text: bytes
    supersedes_within_days: NotRequired[int | None]
    jurisdictions: NotRequired[Sequence[str]]


@final
class SiteNotices:
    """The notices of one open site."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def records(self, zone: str, jurisdictions: Sequence[str] = ()) -> list[ProcessingRecord]:
        """Return what a notice of a zone must state.

        Args:
            zone: its name.
            jurisdictions: whose people are asked, ISO 3166; if none, the default of the site, else the general
                profile of the EU.

        Raises:
            InputError, RefusedError: as `volens.store.promises.notice_records`.
        """
        with self._store.read() as connection:
            codes = self._codes(jurisdictions)
            return notice_records(connection, self._store.site.controller, parse_purpose(zone), codes)

    def draft(
        self, zone: str, language: str, jurisdictions: Sequence[str] = (), *, trigger: str | None = None
    ) -> tuple[str, list[Fact]]:
        """Return the Markdown of a layered notice, and the facts that no one declared, which are gaps in it.

        With a trigger, the notice is written for a change to it that is planned.

        Raises:
            InputError: there is no such zone, no such trigger, or there are no words in this language.
            RefusedError: no profile covers a jurisdiction.
        """
        records = self.records(zone, jurisdictions)
        if trigger is not None:
            records = [replace(one, zone=replace(one.zone, trigger=parse_trigger(trigger))) for one in records]
        words = PageWords("declarations", page_language(language))

        def question(fact: Fact) -> str:
            return words.text(fact.value)

        missing = [one.missing for one in gaps_of(records, language, question) if one.missing is not None]
        return draft_notice(records, language, question), missing

    def check(self, zone: str, language: str, text: bytes, jurisdictions: Sequence[str] = ()) -> NoticeReport:
        """Return what is wrong with a text as the notice of a zone; see `volens.consent.notice_check`.

        Raises:
            InputError: the text is no UTF-8 text of at most 256 KiB, or as `records`.
            RefusedError: as `records`.
        """
        return check_text(text, language, self.records(zone, jurisdictions))

    def publish(self, zone: str, **given: Unpack[NewNoticeText]) -> Notice:
        """Publish the next version of a zone's notice: UTF-8, at most 256 KiB.

        With `supersedes_within_days`, people who agreed to an older notice have so many days to agree to this one.

        Raises:
            InputError: as `check`, or the days are not 0 to 366.
            RefusedError: the text lacks something or contradicts the zone; the message names all of it. Or this text
                is published already.
        """
        codes, days = self._codes(given.get("jurisdictions", ())), given.get("supersedes_within_days")
        with self._store.write() as tx:
            records = notice_records(tx.connection, self._store.site.controller, parse_purpose(zone), codes)
            notice = publish_notice(tx, records, given["language"], given["text"], days)
            shorten(tx, purpose=notice.purpose)
            return notice

    def _codes(self, jurisdictions: Sequence[str]) -> Sequence[str]:
        return jurisdictions or [Defaults(self._store).get().jurisdiction or GENERAL]
