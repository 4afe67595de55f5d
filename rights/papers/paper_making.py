"""`Site.papers`: makes papers about a zone, and knows which of those that were made are stale."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, final

from volens.consent import InputError, Purpose, TamperError, VolensError, parse_purpose
from volens.consent.typed_text import comparison_key, nearest
from volens.erase.pages import PageLanguage
from volens.index import Installation
from volens.rights.papers.ai_act_paper import ai_act_paper
from volens.rights.papers.bipa_paper import bipa_paper
from volens.rights.papers.breach_facts import BreachFacts, breach_facts
from volens.rights.papers.breach_paper import breach_paper, subject_line
from volens.rights.papers.dpia_paper import dpia_paper
from volens.rights.papers.incident_paper import incident_paper
from volens.rights.papers.necessity_paper import necessity_paper
from volens.rights.papers.operations import Operation
from volens.rights.papers.paper import Draft, Paper, PaperKind
from volens.rights.papers.paper_facts import UNION, PaperFacts
from volens.rights.papers.paper_renderings import paper_markdown, paper_page
from volens.rights.papers.quebec_paper import quebec_paper
from volens.rights.papers.record_paper import record_paper
from volens.rights.papers.signed_paper import sign_paper
from volens.rights.papers.works_council_paper import works_council_paper
from volens.store.files import make_private_folder, write_private
from volens.store.people.consents_in_force import count_live
from volens.store.promises import MadePaper, made_papers, note_paper, processing_record

_WRITERS: Final[Mapping[PaperKind, Callable[[PaperFacts], Draft]]] = {
    PaperKind.RECORD: record_paper,
    PaperKind.DPIA: dpia_paper,
    PaperKind.NECESSITY: necessity_paper,
    PaperKind.WORKS_COUNCIL: works_council_paper,
    PaperKind.BIPA: bipa_paper,
    PaperKind.QUEBEC: quebec_paper,
    PaperKind.AI_ACT: ai_act_paper,
    PaperKind.INCIDENT: incident_paper,
}

_LAWS: Final[Mapping[PaperKind, tuple[str, ...]]] = {
    PaperKind.BIPA: ("US-IL",),
    PaperKind.QUEBEC: ("CA-QC",),
    PaperKind.AI_ACT: UNION,
}
"""The jurisdictions that a paper is about; a kind that is not here is about any."""
ZONE_PAPERS: Final = tuple(_WRITERS)
"""The papers about one zone; the others have methods of their own."""


@final
@dataclass(frozen=True, slots=True)
class WrittenPaper:
    """A paper that was made, and its files: the signed JSON first."""

    paper: Paper
    files: tuple[Path, ...]


@final
class Papers:
    """The papers of one open site."""

    def __init__(self, installation: Installation) -> None:
        self._store = installation.store

    def make(
        self,
        kind: str,
        zone: str,
        jurisdiction: str,
        folder: Path,
        language: PageLanguage = "en",
        *,
        operations: Sequence[Operation] = (),
    ) -> WrittenPaper:
        """Make a paper about a zone for people of one jurisdiction: signed JSON, HTML, Markdown and its further files.

        The folder is made if it is not there. Files are written before the site notes that the paper was made; a
        process that is killed between the two leaves files of which `stale` knows nothing.

        Args:
            kind: one of `PaperKind`.
            zone: its name in commands.
            jurisdiction: the ISO 3166 code of the law that protects the people.
            folder: for the files.
            language: of headings, facts and questions.
            operations: of the HTTP interface (`volens.service.http.operation_list`); the works council's pack needs it.

        Raises:
            InputError: there is no such kind or zone, the jurisdiction is no code or not one of this paper, a file
                exists already, or the operations are missing; nothing was changed.
            RefusedError: no profile covers the jurisdiction.
            UnavailableError: the disk refuses.
            TamperError: the rows of the zone or of the site do not verify.
        """
        wanted, purpose = parse_kind(kind), parse_purpose(zone)
        if wanted is PaperKind.WORKS_COUNCIL and not operations:
            raise InputError("got no operations of the HTTP interface; make it with 'volens papers works-council'")
        facts = self._facts(purpose, jurisdiction, language, tuple(operations))
        _check_law(wanted, facts.record.jurisdiction)
        record = facts.record
        subject = facts.shared.text("zone", zone=facts.zone_name, law=record.profile.law)
        paper = Paper(wanted, language, record.controller, subject, record, self._store.now(), _WRITERS[wanted](facts))
        written = self._written(paper, folder, f"{purpose}-{record.jurisdiction.lower()}-{wanted}-{language}")
        made = MadePaper(purpose, wanted.value, record.jurisdiction, language, record.sha256, paper.made_at)
        with self._store.write() as tx:
            note_paper(tx, made)
        return written

    def breach(self, begun_at: datetime, ended_at: datetime, learnt_at: datetime | None = None) -> BreachFacts:
        """Return what is known of a time in which something may have been taken; see `breach_facts`.

        Raises:
            InputError: the time ends before it begins, or ends or was learnt of in the future.
            TamperError: rows of the site or a leaf of the log do not verify.
        """
        return breach_facts(self._store, begun_at, ended_at, learnt_at)

    def write_breach(self, facts: BreachFacts, folder: Path, language: PageLanguage = "en") -> WrittenPaper:
        """Write the facts of a breach as a signed paper. The site does not note it: it is of one moment.

        Raises:
            InputError: a file exists already; nothing was changed.
            UnavailableError: the disk refuses.
        """
        draft, subject = breach_paper(facts, language), subject_line(facts, language)
        paper = Paper(PaperKind.BREACH, language, facts.controller, subject, None, facts.now, draft)
        return self._written(paper, folder, f"{PaperKind.BREACH}-{facts.now:%Y%m%dT%H%M%SZ}-{language}")

    def _written(self, paper: Paper, folder: Path, stem: str) -> WrittenPaper:
        signed_name = f"{stem}.json"
        others = {
            f"{stem}.html": paper_page(paper, signed_name).encode(),
            f"{stem}.md": paper_markdown(paper, signed_name).encode(),
            **{f"{stem}.{ending}": data for ending, data in paper.draft.more_files.items()},
        }
        files = {signed_name: sign_paper(paper.to_json(), others, self._store.keyring), **others}
        _write(folder, files)
        return WrittenPaper(paper, tuple(folder / name for name in files))

    def made(self) -> list[MadePaper]:
        """Return the newest paper of each kind, zone, jurisdiction and language.

        Raises:
            TamperError: the rows of the site do not verify.
        """
        with self._store.read() as connection:
            return made_papers(connection)

    def stale(self) -> list[MadePaper]:
        """Return the papers that state something else than what holds now, so that they must be made again.

        A paper of a zone that was removed, or of a jurisdiction that no profile covers any more, is stale too.

        Raises:
            TamperError: the rows of the site do not verify.
        """
        return [one for one in self.made() if self._hash_now(one) != one.record_sha256]

    def _hash_now(self, made: MadePaper) -> str | None:
        with self._store.read() as connection:
            try:
                controller = self._store.site.controller
                return processing_record(connection, controller, made.purpose, made.jurisdiction).sha256
            except TamperError:
                raise
            except VolensError:
                return None

    def _facts(
        self, purpose: Purpose, jurisdiction: str, language: PageLanguage, operations: tuple[Operation, ...]
    ) -> PaperFacts:
        with self._store.read() as connection:
            record = processing_record(connection, self._store.site.controller, purpose, jurisdiction)
            return PaperFacts(record, language, count_live(connection, purpose), operations)


def parse_kind(name: str) -> PaperKind:
    """Return the kind of a typed name.

    Raises:
        InputError: there is no such kind.
    """
    wanted, kinds = comparison_key(name).replace("_", "-"), {one.value: one for one in _WRITERS}
    if wanted not in kinds:
        close = nearest(wanted, kinds)
        hint = f"; did you mean {close[0]}" if close else ""
        raise InputError(f"there is no paper {name[:40]!r} of a zone{hint}; expected one of {', '.join(kinds)}")
    return kinds[wanted]


def _check_law(kind: PaperKind, jurisdiction: str) -> None:
    laws = _LAWS.get(kind)
    if laws is not None and not {jurisdiction, jurisdiction.partition("-")[0]} & set(laws):
        raise InputError(
            f"the paper {kind.value} is about the law of {', '.join(laws)}; got {jurisdiction}; pass --jurisdiction "
            f"{laws[0]}, or make another paper"
        )


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    for name in files:
        if (folder / name).exists():
            raise InputError(f"{folder / name} exists already; nothing was changed, choose another folder")
    make_private_folder(folder)
    for name, data in files.items():
        write_private(folder / name, data)
