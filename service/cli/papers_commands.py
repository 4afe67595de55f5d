"""`volens papers`: signed documents for authorities and people, made from what a zone does now."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Final

import typer

from volens import Site
from volens.erase.pages import DEFAULT_LANGUAGE, PageLanguage
from volens.rights.papers import ZONE_PAPERS, Gap, Operation, PaperKind, check_file, verify_paper
from volens.rights.papers.paper_making import WrittenPaper
from volens.service.cli.command_types import Commands, Output
from volens.service.cli.named_files import read_file, read_site_key
from volens.service.cli.options import TrustOption, ZoneOption
from volens.service.cli.output import counted, shown, table
from volens.store.files import read_small_file

app = Commands("papers", "Make signed papers about a zone, such as the record of processing, and verify them.")

_HELP: Final = {
    PaperKind.RECORD: "Make the record of processing activities (GDPR 30), also as CSV and JSON-LD.",
    PaperKind.NECESSITY: "Make the answers on necessity and choice (CNIL, model regulation 2019-001).",
    PaperKind.WORKS_COUNCIL: "Make the works council's pack: what is recorded, and who sees what.",
    PaperKind.BIPA: "Make the public policy and the written release of Illinois (BIPA 15).",
    PaperKind.QUEBEC: "Make the answers for the declaration to Quebec's authority (C-1.1, 44 and 45).",
    PaperKind.AI_ACT: "Make a sheet for the deployer under the AI Act: class, dates, duties.",
    PaperKind.INCIDENT: "Make the protocol for a data security incident, as Colorado asks for.",
    PaperKind.DPIA: "Make a draft of the impact assessment (GDPR 35), also for the CNIL's PIA tool.",
}


def _command(kind: PaperKind) -> Callable[..., Output]:
    def make(
        site: Site,
        out: Annotated[Path, typer.Option(help="Folder for the files; it is made if it is not there.")],
        zone: ZoneOption = None,
        jurisdiction: Annotated[
            str | None, typer.Option(help="ISO 3166 code of the people's law. Default: the site's default.")
        ] = None,
        language: Annotated[PageLanguage, typer.Option(help="Language of the paper: en, fr or de.")] = DEFAULT_LANGUAGE,
    ) -> Output:
        name, code = site.defaults.zone(zone), site.defaults.jurisdiction(jurisdiction)
        written = site.papers.make(kind, name, code, out, language, operations=_operations(kind))
        return written_paper(written)

    make.__doc__ = _HELP[kind]
    return make


def written_paper(written: WrittenPaper) -> Output:
    """Return what a command prints about a paper that it made: the files, and the questions that are left."""
    paper = written.paper
    lines = [f"wrote {shown(path)}" for path in written.files]
    if paper.gaps:
        lines += [f"{counted(len(paper.gaps), 'question')} still to be answered:", _questions(paper.gaps)]
    lines.append("not legal advice; look at what was read, on which day, at the end of the paper")
    document = {
        "kind": paper.kind.value,
        "files": [str(path) for path in written.files],
        "gaps": [{"question": one.question, "declare": one.command} for one in paper.gaps],
    }
    return document, "\n".join(lines)


def _operations(kind: PaperKind) -> Sequence[Operation]:
    if kind is not PaperKind.WORKS_COUNCIL:
        return ()
    from volens.service.http.operation_list import operation_list  # noqa: PLC0415  loads the whole service

    return operation_list()


def _questions(gaps: list[Gap]) -> str:
    return table(
        ("question", "declare it with"), [(one.question, one.command or "write it in the paper") for one in gaps]
    )


_JURISDICTION: Final = {PaperKind.BIPA: "US-IL", PaperKind.QUEBEC: "CA-QC", PaperKind.INCIDENT: "US-CO"}
"""Of the example, if it is not FR."""

for _kind in ZONE_PAPERS:
    _example = f"--zone lobby --jurisdiction {_JURISDICTION.get(_kind, 'FR')} --out papers"
    app.command(_kind.value, _example)(_command(_kind))


@app.command("list")
def list_(site: Site) -> Output:
    """List the papers that were made, and which are stale because the zone says something else now."""
    made, stale = site.papers.made(), site.papers.stale()
    rows = [
        (one.kind, one.purpose, one.jurisdiction, one.language, one.made_at.date(), "STALE" if one in stale else "")
        for one in made
    ]
    document = [
        {
            "kind": one.kind,
            "zone": one.purpose,
            "jurisdiction": one.jurisdiction,
            "language": one.language,
            "made_at": one.made_at.isoformat(),
            "record_sha256": one.record_sha256,
            "stale": one in stale,
        }
        for one in made
    ]
    return document, table(("paper", "zone", "law", "language", "made", ""), rows) if rows else "no paper was made yet"


@app.command("verify", "papers/lobby-fr-dpia-en.json --trust site.pub")
def verify(
    paper: Annotated[Path, typer.Argument(help="The signed JSON file of the paper.", show_default=False)],
    trust: TrustOption,
) -> Output:
    """Check offline that the site signed a paper, and that the files beside it are the ones that it signed."""
    trusted = read_site_key(trust)
    found = verify_paper(read_file(paper, "paper"), trusted)
    beside = [name for name in found.files if (paper.parent / name).is_file()]
    for name in beside:
        check_file(found, name, read_small_file(paper.parent / name, "file of the paper"))
    absent = sorted(set(found.files) - set(beside))
    content = found.content
    text = (
        f"valid: signed by {trusted.name}, {content['kind']} ({content['subject']}), made at {content['made_at']}; "
        f"{counted(len(beside), 'file')} beside it as signed"
        + (f"; not here: {', '.join(map(shown, absent))}" if absent else "")
    )
    document = {"valid": True, "signed_by": trusted.name, "kind": content["kind"], "files": beside, "absent": absent}
    return document, text
