"""`volens notice` drafts, checks and publishes what people read before they give consent."""

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from volens import Notice, Site
from volens.consent.notice_check import NoticeProblem, NoticeReport
from volens.service.cli.command_types import Commands, Output
from volens.service.cli.exit_codes import ExitCode
from volens.service.cli.named_files import must_be_new, read_file
from volens.service.cli.options import HomeOption, JsonOption, ZoneOption
from volens.service.cli.output import counted, emit, members, shown, warn
from volens.service.cli.session import opened
from volens.service.notice_markdown import notice_text
from volens.store.files import write_public

app = Commands("notice", "Draft, check and publish the notice that people read before giving consent.")

_Language: TypeAlias = Annotated[str, typer.Option(help="BCP 47 tag, such as en or fr-CA.")]
_Jurisdictions: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--jurisdiction", help="Law that protects the people who are asked, such as FR; repeat it. Default: the site's."
    ),
]
_Text: TypeAlias = Annotated[Path, typer.Argument(help="A UTF-8 text file, at most 256 KiB.", show_default=False)]


@app.command("draft", "--zone lobby --language en --out notice.md")
def draft(
    site: Site,
    language: Annotated[str, typer.Option(help="en, fr or de, or a tag of one of them, such as fr-CA.")],
    zone: ZoneOption = None,
    jurisdiction: _Jurisdictions = None,
    trigger: Annotated[
        str | None, typer.Option(help="Write it for this trigger, before 'volens zone change --trigger'.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write the text to this new file.", show_default=False)] = None,
) -> Output:
    """Draft a notice in Markdown from what the zone does: one screen first, then everything.

    What no one declared is a marked gap with its question: answer it with 'volens declare', and draft again.
    """
    must_be_new(out, "notice")
    name = site.defaults.zone(zone)
    text, missing = site.notices.draft(name, language, jurisdiction or (), trigger=trigger)
    if missing:
        facts = ", ".join(one.value.replace("_", "-") for one in missing)
        warn(f"the draft has {counted(len(missing), 'gap')}: declare {facts} ('volens declare list'), and draft again")
    document = {"zone": name, "language": language, "gaps": [one.value for one in missing]}
    if out is None:
        return document | {"text": text}, text
    write_public(out, text.encode("utf-8"))
    publish = f"read it, then: volens notice publish {shown(out)} --zone {name} --language {language}"
    return document | {"file": str(out)}, f"wrote {shown(out)}; {publish}"


@app.command("check", "notice.md --zone lobby --language en")
def check(
    text: _Text,
    language: _Language,
    zone: ZoneOption = None,
    jurisdiction: _Jurisdictions = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Hold a text against what the zone does, and against GDPR 12 to 14; nothing is published.

    Your own words are fine, with anchors: see docs/notices.md. The exit code is 1 if the text cannot be published.
    """
    with opened(home) as site:
        name = site.defaults.zone(zone)
        report = site.notices.check(name, language, read_file(text, "notice"), jurisdiction or ())
    document = {
        "zone": name,
        "language": language,
        "problems": [_problem(one) for one in report.problems],
        "warnings": [_problem(one) for one in report.warnings],
        "lix": round(report.lix, 1),
    }
    lines = [f"{number}. {one}" for number, one in enumerate(report.problems, 1)]
    lines += [f"to look at: {one}" for one in report.warnings]
    verdict = f"{counted(len(report.problems), 'problem')}: it cannot be published for zone {name}"
    if not report.problems:
        verdict = f"it can be published for zone {name}; readability (LIX) {report.lix:.0f}"
    emit(document, "\n".join([*map(shown, lines), verdict]), as_json=as_json)
    raise typer.Exit(ExitCode.REFUSED if report.problems else ExitCode.DONE)


@app.command("publish", "notice.md --zone lobby --language en")
def publish(
    site: Site,
    text: _Text,
    language: _Language,
    zone: ZoneOption = None,
    jurisdiction: _Jurisdictions = None,
    supersedes_within_days: Annotated[
        int | None,
        typer.Option(help="People who agreed to an older version must agree to this one within this many days."),
    ] = None,
) -> Output:
    """Publish the next version of a zone's notice in one language. A text that does not fit the zone is refused."""
    name, data = site.defaults.zone(zone), read_file(text, "notice")
    notice = site.publish_notice(
        name,
        language=language,
        text=data,
        supersedes_within_days=supersedes_within_days,
        jurisdictions=jurisdiction or (),
    )
    _warn(site.notices.check(name, language, data, jurisdiction or ()))
    version = f"version {notice.version} ({notice.language})"
    return _document(notice), f"published {version} for zone {notice.purpose}, SHA-256 {notice.sha256}"


@app.command("show", "--zone lobby --language en")
def show(
    site: Site,
    zone: ZoneOption = None,
    language: Annotated[str | None, typer.Option(help="The language; not needed if there is only one.")] = None,
    *,
    source: Annotated[bool, typer.Option("--source", help="The exact text that was published, with anchors.")] = False,
) -> Output:
    """Show the newest notice of a zone, as a person reads it."""
    notice = site.notice(site.defaults.zone(zone), language)
    return _document(notice) | {"text": notice.text}, notice.text if source else notice_text(notice.text)


def _warn(report: NoticeReport) -> None:
    for one in report.warnings:
        warn(str(one))


def _problem(one: NoticeProblem) -> dict[str, object]:
    return members(one, "kind statement article found next_step")


def _document(notice: Notice) -> dict[str, object]:
    return members(notice, "zone=purpose language version sha256")
