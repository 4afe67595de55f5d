"""`volens withdraw` ends a consent and erases its data; `volens leaver` ends all consents of a person who leaves."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import typer

from volens import Site
from volens.consent import (
    EndReason,
    InputError,
    ReceiptId,
    RefusedError,
    UnavailableError,
    format_time,
)
from volens.consent.typed_text import same_text
from volens.rights import Withdrawal
from volens.service.cli.carried_secrets import withdrawal_shown
from volens.service.cli.command_types import Commands, Output
from volens.service.cli.exit_codes import ExitCode
from volens.service.cli.named_files import read_stdin_line
from volens.service.cli.options import HomeOption, JsonOption, home_folder
from volens.service.cli.output import counted, emit, members, note, progress, shown
from volens.service.cli.person_argument import receipts_meant
from volens.service.cli.session import opened
from volens.service.cli.sweep_commands import erased_document
from volens.service.local_times import local_text, parse_moment
from volens.service.process.stop_channel import show_withdrawal, tell_stops
from volens.store import PUBLIC_KEY_FILE
from volens.store.files import shell_command
from volens.store.people import name_of
from volens.store.people.consents import live_owner
from volens.store.people.standing_consents import StandingConsent, standing_among

app = Commands()

_MAX_CODE_CHARACTERS: Final = 300
_LEAVER_REASONS: Final = {
    EndReason.LEFT: "left (the person left; if they only lost the receipt, stop here and add --reason requested)",
    EndReason.REQUESTED: "requested (the person asked for the erasure)",
}


@app.command("withdraw", "ada.receipt.json\nada.receipt.qr.png")
def withdraw(
    receipt: Annotated[
        Path | None,
        typer.Argument(
            help="The receipt file, expired or not; or a picture of the withdrawal code's QR code.", show_default=False
        ),
    ] = None,
    code: Annotated[
        str | None, typer.Option(help="The withdrawal code instead of the receipt; '-' reads it from stdin.")
    ] = None,
    all_of_this_person: Annotated[
        bool, typer.Option("--all-of-this-person", help="End every consent that the same person's key has signed.")
    ] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """End a consent and erase its data. No login and no reason are needed; repeating the command is safe.

    Exit code 1 if a newer consent of the same person for this zone is still in force; --all-of-this-person ends it too.
    """
    if (receipt is None) == (code is None):
        raise InputError("pass either a receipt or --code")
    if code == "-":
        code = read_stdin_line(_MAX_CODE_CHARACTERS, "the withdrawal code")
    taken, named = None, ("--code", "CODE") if receipt is None else (str(receipt),)
    if receipt is not None:
        taken, code = withdrawal_shown(receipt)
    # Before anything is opened: a lock, or a full disk, must not let the processes that serve the site go on matching.
    stopped_by = show_withdrawal(home_folder(home), receipt=taken, code=code)
    try:
        with opened(home) as site:
            done = site.withdraw(receipt=taken, code=code, all_of_this_person=all_of_this_person)
            if site.unfinished is not None:
                raise site.unfinished
            trust = site.home / PUBLIC_KEY_FILE
    except UnavailableError as error:
        if not stopped_by:
            raise
        again = "keep the code or receipt, and withdraw again"
        raise _pending(str(error), stopped_by, "the withdrawal", again) from None
    document = erased_document(done.erased) | members(done, "ended_at")
    document |= {
        "newer_in_force": done.newer is not None,
        "in_force": [members(one, "zone given_at ends_at") for one in done.in_force],
        "also_ended": [erased_document(one) for one in done.also_ended],
    }
    again = shell_command("volens", "withdraw", *named, "--all-of-this-person")
    emit(document, _withdrawn(done, trust, again), as_json=as_json)
    if done.newer is not None:
        raise typer.Exit(ExitCode.REFUSED)


def _pending(problem: str, stopped_by: list[str], what: str, again: str) -> UnavailableError:
    return UnavailableError(
        f"matching has stopped in {counted(len(stopped_by), 'process', 'processes')} of this site "
        f"({', '.join(stopped_by)}); {what} is not on the disk yet ({problem}); they retry it; {again} if they end "
        "before that, or to get the certificate"
    )


def _now_ending(site: Site, meant: Sequence[ReceiptId], why: EndReason) -> list[tuple[ReceiptId, EndReason]]:
    with site.installation.store.read() as connection:
        return [(one, why) for one in meant if live_owner(connection, one) is not None]


@app.command("leaver", 'ada.receipt.json --on 2026-12-31\n"Ada Example" --reason requested')
def leaver(
    site: Site,
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
) -> Output:
    """End all consents of a person, now or on a date: the person leaves, or asks for it and has lost the receipt.

    You are asked before anything is erased. A date can be moved earlier, never later.
    """
    at = None if on is None else parse_moment(on, site.now(), site.defaults.time_zone())
    why = next((one for one in _LEAVER_REASONS if same_text(one, reason)), None)
    if why is None:
        raise InputError(f"got an unknown reason; expected one of {', '.join(_LEAVER_REASONS)}")
    if why is EndReason.REQUESTED and at is not None:
        raise InputError("--on is for a person who leaves; what a person asks for is erased now, so leave --on out")
    meant = receipts_meant(site, who)
    if not yes and (at is None or at <= site.now()):
        _ask(site, meant, why)
    stopped_by = tell_stops(site.home, _now_ending(site, meant, why)) if at is None or at <= site.now() else []
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
        raise _pending(str(error), stopped_by, "the end", "repeat the command") from None
    if erased or at is None:
        text = "\n".join(
            f"consent ended in zone {one.zone}; face data erased; certificate: {shown(one.certificate_path)}"
            for one in erased
        )
    else:
        when = local_text(at, site.defaults.time_zone())
        text = f"noted: the person is not matched any more from {when}; then 'volens sweep' erases the data"
    document = {
        "ends_at": None if at is None else format_time(at),
        "erased": [erased_document(one) for one in erased],
    }
    return document, text


def _withdrawn(done: Withdrawal, trust: Path, again: str) -> str:
    path = done.erased.certificate_path
    lines = [
        f"consent ended in zone {done.erased.zone}; face data erased",
        f"certificate: {shown(path)}",
        f"check it with: {shell_command('volens', 'certificate', 'verify', path, '--trust', trust)}",
    ]
    lines += [f"also ended in zone {one.zone}; certificate: {shown(one.certificate_path)}" for one in done.also_ended]
    if done.newer is not None:
        known = "the doors still know the person: " if done.newer.enrolled else ""
        lines[0] = (
            f"this consent for zone {done.erased.zone} ended at {format_time(done.ended_at)} ({done.erased.reason}), "
            f"but {known}a newer consent of the same person, {_standing(done.newer)}, is in force. End it too: {again}"
        )
    lines += [f"in force: zone {one.zone}, consent {_standing(one)}" for one in done.in_force if one is not done.newer]
    if done.in_force and done.newer is None:
        lines.append(f"to end that too: {again}")
    return "\n".join(lines)


def _standing(one: StandingConsent) -> str:
    given = "" if one.given_at is None else f"of {format_time(one.given_at)} "
    return f"{given}until {format_time(one.ends_at)}"


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
            raise InputError(
                "this erases a person's face data for good, and there is no terminal to ask on; pass --yes to confirm"
            )
        return
    for one in standing:
        face = "with face data" if one.enrolled else "without face data"
        note(f"{shown(name_of(store, one.receipt_id) or '')}: zone {one.zone}, consent {_standing(one)}, {face}")
    note(f"The certificate will give as the reason: {_LEAVER_REASONS[why]}.")
    answer = typer.prompt("End this and erase it for good? Type yes", err=True, default="no")
    if not same_text(answer, "yes"):
        raise RefusedError("nothing was changed")
