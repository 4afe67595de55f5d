"""`volens breach`: facts for the notice of a personal data breach within 72 hours (GDPR 33)."""

from datetime import datetime
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from volens import Site
from volens.consent import Custody, format_time
from volens.erase.pages import DEFAULT_LANGUAGE, PageLanguage
from volens.rights.papers import BreachFacts
from volens.service.cli.command_types import Commands, Output
from volens.service.cli.output import counted, table
from volens.service.cli.papers_commands import written_paper
from volens.service.local_times import local_text, parse_moment, parse_since

app = Commands()


@app.command("breach", "--from 2026-11-28 --to today --learnt-at 2026-11-30T09:00:00Z --out papers")
def breach(
    site: Site,
    begun: Annotated[str, typer.Option("--from", help="The first day or moment at which something may be taken.")],
    ended: Annotated[str, typer.Option("--to", help="The last one; today at the latest.")] = "today",
    learnt_at: Annotated[
        str | None, typer.Option(help="When you became aware of it: the 72 hours count from then.", show_default=False)
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for a signed paper; it is made if it is not there.", show_default=False)
    ] = None,
    language: Annotated[PageLanguage, typer.Option(help="Language of the paper: en, fr or de.")] = DEFAULT_LANGUAGE,
) -> Output:
    """Say who was in force in a time, under which keys, and what a thief of which file opens. Counts only.

    Not legal advice. It states what the site knows, not what was taken.
    """
    now, zone = site.now(), site.defaults.time_zone()
    facts = site.papers.breach(
        parse_since(begun, now, zone),
        _until(ended, now, zone),
        None if learnt_at is None else _until(learnt_at, now, zone),
    )
    document, text = _document(facts), _text(facts, site)
    if out is not None:
        written, files = written_paper(site.papers.write_breach(facts, out, language))
        return {**document, "paper": written}, f"{text}\n\n{files}"
    return document, f"{text}\n\n--out DIR writes a signed paper with what a thief of which file opens"


def _until(text: str, now: datetime, zone: ZoneInfo) -> datetime:
    """Return a moment; ``today`` is now, because the end of the day is still to come."""
    return now if text.strip() == "today" else parse_moment(text, now, zone)


def _document(facts: BreachFacts) -> dict[str, object]:
    return {
        "from": format_time(facts.begun_at),
        "to": format_time(facts.ended_at),
        "learnt_at": None if facts.learnt_at is None else format_time(facts.learnt_at),
        "notify_by": None if facts.due_at is None else format_time(facts.due_at),
        "people": facts.people,
        "consents": [
            {"zone": one.zone, "custody": one.custody.value, "jurisdiction": one.jurisdiction, "count": count}
            for one, count in facts.consents.items()
        ],
        "openable_with_server_and_root_key": facts.held_by(Custody.OPERATOR),
        "store_key": facts.keys.epoch,
        "store_key_at": format_time(facts.keys.store_key_at),
        "root_key_at": format_time(facts.keys.root_key_at),
        "signing_key": facts.keys.signing_key,
        "signing_key_at": format_time(facts.keys.signing_key_at),
        "events": dict(facts.events),
    }


def _text(facts: BreachFacts, site: Site) -> str:
    zone = site.defaults.time_zone()
    lines = [f"{counted(facts.people, 'person', 'people')} had a consent in force at some moment of that time"]
    rows = [(one.zone, one.custody.value, one.jurisdiction, count) for one, count in facts.consents.items()]
    if rows:
        lines.append(table(("zone", "custody", "law", "consents"), rows))
    held = facts.held_by(Custody.OPERATOR)
    lines.append(
        f"a thief of every file and the root key opens at most {counted(held, 'face')}; without one of them, none"
    )
    if facts.due_at is None:
        lines.append("pass --learnt-at to see the end of the 72 hours (GDPR 33(1))")
    else:
        state = "passed: give the reasons for the delay" if facts.due_at < facts.now else "72 hours after it was learnt"
        lines.append(f"notify the authority by {local_text(facts.due_at, zone)} ({state})")
    return "\n".join(lines)
