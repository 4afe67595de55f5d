"""The record of processing activities (GDPR 30(1)): as a paper, as CSV for a register, and as JSON-LD.

The letters are those of article 30(1). The JSON-LD uses terms of the Data Privacy Vocabulary (DPV).
"""

import csv
import io
import json
from datetime import date
from typing import Any, Final

from volens.consent.declarations import SiteFact, ZoneFact
from volens.consent.law import Source
from volens.consent.processing_record import ProcessingRecord
from volens.rights.dpv_terms import DPV_CONTEXT, PERSONAL_DATA, purpose_terms, right_terms
from volens.rights.papers.paper import Draft, Gap, Row, Section
from volens.rights.papers.paper_facts import PaperFacts

SOURCES: Final = (
    Source(
        "https://www.gdprsummary.com/gdpr-definitions/article-30/",
        date(2026, 11, 30),
        "GDPR 30(1)(a) to (g): what the record of a controller has; a copy of the article, not the Official Journal",
    ),
)
NOT_CHECKED: Final = (
    "Whether the JSON-LD is valid against the SHACL shapes of DPV.",
    "The form that a single authority offers for its register.",
)
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""How a cell begins that a spreadsheet would run."""


def record_paper(facts: PaperFacts) -> Draft:
    """Return the record of one zone."""
    words, sections = facts.words("paper_record"), tuple(_sections(facts))
    return Draft(
        title=words.text("title"),
        sections=sections,
        sources=SOURCES,
        not_checked=NOT_CHECKED,
        more_files={"csv": _csv(sections), "jsonld": _json_ld(facts.record)},
    )


def _sections(facts: PaperFacts) -> list[Section]:
    record, words = facts.record, facts.words("paper_record")
    processors = Gap(facts.shared.text("question processors"), None)
    joint = Gap(facts.shared.text("question joint"), None)
    rows: dict[str, tuple[Row, ...]] = {
        "a": (*facts.controller_rows(), Row(words.text("joint"), joint)),
        "b": (
            facts.row("name", facts.zone_name),
            facts.row("purpose", facts.purpose),
            facts.row("basis", _basis(record)),
        ),
        "c": (facts.zone(ZoneFact.AFFECTED), facts.row("data", facts.data)),
        "d": (facts.row("recipients", facts.recipients), facts.row("processors", processors)),
        "e": (facts.site(SiteFact.TRANSFERS),),
        "f": facts.period_rows(),
        "g": (facts.site(SiteFact.STORAGE_PLACE), *(Row(title, text) for title, text in facts.measures())),
    }
    return [Section(words.text(f"heading {letter}"), rows=its) for letter, its in rows.items()]


def _basis(record: ProcessingRecord) -> str:
    return f"{record.profile.lawful_basis} ({record.profile.law})"


def _csv(sections: tuple[Section, ...]) -> bytes:
    """Return section, label, answer and question of each fact; UTF-8 with a byte order mark, as spreadsheets expect."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(("section", "fact", "answer", "question"))
    for section in sections:
        for row in section.rows:
            answered = ("", row.answer.question) if isinstance(row.answer, Gap) else (row.answer, "")
            cells = (section.heading, row.label, *answered)
            writer.writerow([_cell(one) for one in cells])
    return text.getvalue().encode("utf-8-sig")


def _cell(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text


def _json_ld(record: ProcessingRecord) -> bytes:
    facts, zone = record.to_json(), record.zone
    document: dict[str, Any] = {
        "@context": {**DPV_CONTEXT, "volens": "urn:volens:record#"},
        "@type": "dpv:PersonalDataProcess",
        "dpv:hasPurpose": purpose_terms(record.comparison),
        "dct:title": zone.title or zone.purpose,
        "dpv:hasDataController": {
            "@type": "dpv:DataController",
            "dpv:hasName": record.controller.name,
            "dpv:hasContact": record.controller.contact,
        },
        "dpv:hasPersonalData": list(PERSONAL_DATA),
        "dpv:hasLegalBasis": list(record.profile.legal_basis_terms),
        "dpv:hasJustification": zone.justification,
        "dpv:hasRecipient": [{"dpv:hasName": one.name, "dpv:hasContact": one.contact} for one in record.recipients],
        "dpv:hasRight": right_terms([record]),
        "volens:record": facts,
        "volens:recordSha256": record.sha256,
    }
    return json.dumps(document, indent=2, ensure_ascii=False).encode() + b"\n"
