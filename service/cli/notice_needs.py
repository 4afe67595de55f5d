"""Says before a change of a zone whether it needs a new notice or consent again, and asks in the second case."""

import sys
from typing import Final

import typer

from volens import Site
from volens.consent import InputError, RefusedError
from volens.consent.notice_change import NoticeNeed
from volens.service.cli.output import counted

YES_HELP: Final = "For scripts: do not ask, though people who agreed before were not told."


def ask_before(site: Site, zone: str, need: NoticeNeed, *, yes: bool) -> None:
    """Ask whether to change what people agreed to; nothing is asked if no one agreed yet, or with `yes`.

    Raises:
        InputError: there is no terminal to ask on.
        RefusedError: the answer was no.
    """
    people = next((one.live_consents for one in site.status().zones if one.zone.purpose == zone), 0)
    if need is not NoticeNeed.CONSENT_AGAIN or not people or yes:
        return
    told = f"{counted(people, 'person', 'people')} agreed without knowing this, and must be asked again (GDPR 7(1))"
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise InputError(f"{told}; there is no terminal to ask on; pass --yes to change it, then publish a new notice")
    if not typer.confirm(f"{told}. Change it", err=True, default=False):
        raise RefusedError("the answer was no; nothing was changed")


def next_notice(zone: str, need: NoticeNeed) -> str:
    """Return what to do after the change, as lines below the result; empty if nothing is needed."""
    if need is NoticeNeed.NOTHING:
        return ""
    again = " --supersedes-within-days 30" if need is NoticeNeed.CONSENT_AGAIN else ""
    why = "a new notice and consent again" if again else "a new notice"
    return (
        f"\nthis needs {why}, in each language:\n"
        f"  volens notice draft --zone {zone} --language en --out notice.md\n"
        f"  volens notice publish notice.md --zone {zone} --language en{again}"
    )
