"""A paper: sections of facts, statements and gaps. The same value is shown as HTML, Markdown and JSON.

What only people can answer, and no one has declared, is a `Gap` with its question. A paper never makes up an answer.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, TypeAlias, final

from volens.consent import format_time
from volens.consent.law import Source
from volens.consent.processing_record import ProcessingRecord
from volens.consent.receipt import Controller
from volens.erase.pages import PageLanguage

VERSION: Final = 1


class PaperKind(StrEnum):
    """Which paper; its name in commands and files."""

    RECORD = "record"
    """The record of processing activities (GDPR 30)."""
    DPIA = "dpia"
    """A draft of the data protection impact assessment (GDPR 35)."""
    NECESSITY = "necessity"
    """Necessity and choice: the four answers of the CNIL's model regulation."""
    WORKS_COUNCIL = "works-council"
    """The pack for a works council: what is recorded, and who sees what."""
    BIPA = "bipa"
    """Illinois: the public policy and the written release."""
    QUEBEC = "quebec"
    """Quebec: what the declaration to the authority asks about."""
    AI_ACT = "ai-act"
    """A sheet for the deployer under the AI Act: class, dates, duties."""
    INCIDENT = "incident"
    """The protocol for a data security incident, which Colorado asks for."""
    BREACH = "breach"
    """Facts for the notice of a breach (GDPR 33); about the whole site, with a command of its own."""


@final
@dataclass(frozen=True, slots=True)
class Gap:
    """A question that only people can answer, and the command that declares the answer; None if there is none."""

    question: str
    command: str | None


Answer: TypeAlias = str | Gap


@final
@dataclass(frozen=True, slots=True)
class Row:
    """A fact with its label, or the gap where it is missing."""

    label: str
    answer: Answer


@final
@dataclass(frozen=True, slots=True)
class Grid:
    """A table: its head, and rows of equal length."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@final
@dataclass(frozen=True, slots=True)
class Section:
    """One section: sentences, then facts, then a list, then a table; each may be empty.

    Attributes:
        in_english: whether the list and the table are in English in every language, such as texts of LIMITATIONS.md.
    """

    heading: str
    text: tuple[str, ...] = ()
    rows: tuple[Row, ...] = ()
    points: tuple[str, ...] = ()
    grid: Grid | None = None
    in_english: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the section as JSON, without what is empty."""
        rows = [
            {"label": row.label, "gap": row.answer.question, "declare": row.answer.command}
            if isinstance(row.answer, Gap)
            else {"label": row.label, "answer": row.answer}
            for row in self.rows
        ]
        grid = (
            None if self.grid is None else {"head": list(self.grid.head), "rows": [list(one) for one in self.grid.rows]}
        )
        found = {"text": list(self.text), "facts": rows, "list": list(self.points), "table": grid}
        return {"heading": self.heading, **{name: value for name, value in found.items() if value}}


@final
@dataclass(frozen=True, slots=True)
class Draft:
    """What the module of one kind writes; `Paper` adds what all papers have.

    Attributes:
        sources: what was read, on which day, for this kind of paper.
        not_checked: what was not.
        more_files: further files of the paper, such as a CSV, by the end of their names.
    """

    title: str
    sections: tuple[Section, ...]
    sources: tuple[Source, ...]
    not_checked: tuple[str, ...]
    more_files: Mapping[str, bytes] = field(default_factory=dict)


@final
@dataclass(frozen=True, slots=True)
class Paper:
    """One paper in one language, as of one moment.

    Attributes:
        subject: the line under its title, such as the zone and the law.
        record: what it was made from, if it is about one zone and people of one jurisdiction.
    """

    kind: PaperKind
    language: PageLanguage
    controller: Controller
    subject: str
    record: ProcessingRecord | None
    made_at: datetime
    draft: Draft

    @property
    def gaps(self) -> list[Gap]:
        """The questions that are still to be answered, each once."""
        rows = (row.answer for section in self.draft.sections for row in section.rows)
        return list(dict.fromkeys(one for one in rows if isinstance(one, Gap)))

    @property
    def sources(self) -> tuple[Source, ...]:
        """What was read: for the kind of paper, and for the profile of the jurisdiction."""
        return (*self.draft.sources, *(() if self.record is None else self.record.profile.checked))

    @property
    def not_checked(self) -> tuple[str, ...]:
        """What was not checked, likewise."""
        return (*self.draft.not_checked, *(() if self.record is None else self.record.profile.not_checked))

    def to_json(self) -> dict[str, Any]:
        """Return all of it, with the processing record that it was made from."""
        record = self.record
        about = (
            {}
            if record is None
            else {
                "zone": record.zone.purpose,
                "jurisdiction": record.jurisdiction,
                "record_sha256": record.sha256,
                "record": record.to_json(),
            }
        )
        return {
            "version": VERSION,
            "kind": self.kind.value,
            "language": self.language,
            "title": self.draft.title,
            "site": self.controller.site_id,
            "controller": self.controller.name,
            "subject": self.subject,
            "made_at": format_time(self.made_at),
            **about,
            "sections": [one.to_json() for one in self.draft.sections],
            "gaps": [one.question for one in self.gaps],
            "sources": [
                {"where": one.where, "checked_on": one.checked_on.isoformat(), "what": one.what} for one in self.sources
            ],
            "not_checked": list(self.not_checked),
            "legal_advice": False,
        }
