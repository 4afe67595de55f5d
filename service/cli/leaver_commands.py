"""`volens leaver`: end all consents of a person who leaves, or who asks for it and has lost the receipt.

The processes that serve the site are told before anything is written. With ``--yes`` they are told before the site is
opened, because a lock may keep it closed for some seconds; without ``--yes``, if it cannot be opened.
"""

import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from volens import Erased, Site
from volens.consent import EndReason, InputError, ReceiptId, RefusedError, UnavailableError, format_time
from volens.consent.typed_text import same_text
from volens.service.cli.command_types import Commands
from volens.service.cli.options import HomeOption, JsonOption, home_folder
from volens.service.cli.output import counted, emit, note, progress, shown
from volens.service.cli.person_argument import receipts_meant, searched_by
from volens.service.cli.session import opened
from volens.service.cli.sweep_commands import erased_document
from volens.service.cli.withdraw_commands import not_recorded, term_of
from volens.service.local_times import local_text, parse_moment
from volens.service.process.stop_channel import find_person, tell_stops
from volens.store.people import name_of
from volens.store.people.consents import live_owner
from volens.store.people.standing_consents import standing_among

app = Commands()

_REASONS: Final = {
    EndReason.LEFT: "left (the person left; if they only lost the receipt, stop here and add --reason requested)",
    EndReason.REQUESTED: "requested (the person asked for the erasure)",
}
_QUESTION: Final = "End this and erase it for good? Type yes"
_NO_TERMINAL: Final = (
    "this erases a person's face data for good, and there is no terminal to ask on; pass --yes to confirm"
)


@app.command("leaver", 'ada.receipt.json --on 2026-12-31\n"Ada Example" --reason requested')
def leaver(
    who: Annotated[str, typer.Argument(metavar="PERSON", help="A receipt file, an id, or a name.", show_default=False)],
    on: Annotated[
        str | None,
        typer.Option(
            "--on",
            help="Last day (2026-12-31), or time (18:00, 2026-12-31T18:00), in the site's time zone. Default: now.",
        ),
    ] = None,
    reason: Annotated[
        str,
        typer.Option(
            help="For the certificate: 'left', or 'requested' if the person asks, as after losing the receipt."
        ),
    ] = EndReason.LEFT.value,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before erasing.")] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """End all consents of a person, now or on a date: the person leaves, or asks for it and has lost the receipt.

    You are asked before anything is erased. A date can be moved earlier, never later.
    """
    why = next((one for one in _REASONS if same_text(one, reason)), None)
    if why is None:
        raise InputError(f"got an unknown reason; expected one of {', '.join(_REASONS)}")
    if why is EndReason.REQUESTED and on is not None:
        raise InputError("--on is for a person who leaves; what a person asks for is erased now, so leave --on out")
    folder = home_folder(home)
    stopped_by = _stop_first(folder, who, why) if yes and on is None else []
    is_open = False
    try:
        with opened(home) as site:
            is_open = True
            _end(site, who, on, why, yes=yes, stopped_by=stopped_by, as_json=as_json)
    except UnavailableError as error:
        if is_open:
            raise
        if on is None and not yes:
            stopped_by = _stop_first(folder, who, why, str(error))
        raise _not_opened(str(error), stopped_by, is_dated=on is not None) from None


def _end(
    site: Site, who: str, on: str | None, why: EndReason, *, yes: bool, stopped_by: list[str], as_json: bool
) -> None:
    at = None if on is None else parse_moment(on, site.now(), site.defaults.time_zone())
    meant, is_now = receipts_meant(site, who), at is None or at <= site.now()
    if not yes and is_now:
        _ask(site, meant, why)
    if is_now:
        stopped_by = tell_stops(site.home, _now_ending(site, meant, why)) or stopped_by
    try:
        with progress("erasing") as advance:
            erased = (
                site.clocks.leave(meant, at, advance)
                if why is EndReason.LEFT
                else site.rights.erase_at_once(meant, advance)
            )
        if site.unfinished is not None:
            raise site.unfinished
    except UnavailableError as error:
        if not stopped_by:
            raise
        raise not_recorded(str(error), stopped_by, "the end", "repeat the command") from None
    document = {
        "ends_at": None if at is None else format_time(at),
        "erased": [erased_document(one) for one in erased],
    }
    emit(document, _text(site, erased, at), as_json=as_json)


def _text(site: Site, erased: Sequence[Erased], at: datetime | None) -> str:
    if at is not None and not erased:
        when = local_text(at, site.defaults.time_zone())
        return f"noted: the person is not matched any more from {when}; then 'volens sweep' erases the data"
    return "\n".join(
        f"consent ended in zone {one.zone}; face data erased; certificate: {shown(one.certificate_path)}"
        for one in erased
    )


def _now_ending(site: Site, meant: Sequence[ReceiptId], why: EndReason) -> list[tuple[ReceiptId, EndReason]]:
    with site.installation.store.read() as connection:
        return [(one, why) for one in meant if live_owner(connection, one) is not None]


def _stop_first(home: Path, who: str, why: EndReason, problem: str = "") -> list[str]:
    """Let the processes that serve the site find a person, and stop matching them, before the site is open.

    Ask first, if the site could not be opened because of a `problem`.

    Returns:
        The ids of the processes that stopped; none if none serves the site, or the person is not found.

    Raises:
        InputError: several people have this name, or there is no terminal to ask on.
        RefusedError: the answer is not yes.
    """
    sought = searched_by(who)
    text, receipt = (sought, None) if isinstance(sought, str) else (None, sought.token)
    found = find_person(home, text=text, receipt=receipt)
    if not found:
        return []
    if problem:
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise InputError(_NO_TERMINAL)
        note(
            f"The site cannot be opened now ({problem}), so its facts are not shown. The processes that serve it found "
            f"{counted(len(found), 'consent')} of this person, and can stop matching now.\n"
            f"The certificate will give as the reason: {_REASONS[why]}."
        )
        _confirm()
    return tell_stops(home, [(one, why) for one in found])


def _not_opened(problem: str, stopped_by: list[str], *, is_dated: bool) -> UnavailableError:
    if stopped_by:
        return not_recorded(problem, stopped_by, "the end", "repeat the command")
    left_out = (
        "the date was not noted"
        if is_dated
        else "nothing was stopped, because no process that serves this site found the person"
    )
    return UnavailableError(f"{problem}; {left_out}; repeat the command")


def _ask(site: Site, meant: Sequence[ReceiptId], why: EndReason) -> None:
    """Ask before erasing.

    Without a terminal, consents under which no face was enrolled end unasked: then only a signature is needed again.

    Raises:
        InputError: there is no terminal, and face data would be erased.
        RefusedError: the answer is not yes.
    """
    store = site.installation.store
    with store.read() as connection:
        standing = standing_among(connection, meant)
    if not standing:
        return  # the command says that nothing is in force
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        if any(one.enrolled for one in standing):
            raise InputError(_NO_TERMINAL)
        return
    for one in standing:
        face = "with face data" if one.enrolled else "without face data"
        note(f"{shown(name_of(store, one.receipt_id) or '')}: zone {one.zone}, consent {term_of(one)}, {face}")
    note(f"The certificate will give as the reason: {_REASONS[why]}.")
    _confirm()


def _confirm() -> None:
    if not same_text(typer.prompt(_QUESTION, err=True, default="no"), "yes"):
        raise RefusedError("nothing was changed")
