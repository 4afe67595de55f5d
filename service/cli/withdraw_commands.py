"""`volens withdraw` ends a consent and erases its data."""

from pathlib import Path
from typing import Annotated, Final

import typer

from volens.consent import (
    InputError,
    UnavailableError,
    format_time,
)
from volens.consent.lease import LeaseStop
from volens.rights import Withdrawal
from volens.service.cli.carried_secrets import withdrawal_shown
from volens.service.cli.command_types import Commands
from volens.service.cli.exit_codes import ExitCode
from volens.service.cli.lease_commands import lease_lines
from volens.service.cli.named_files import read_stdin_line
from volens.service.cli.options import HomeOption, JsonOption, home_folder
from volens.service.cli.output import counted, emit, members, shown
from volens.service.cli.session import opened
from volens.service.cli.sweep_commands import erased_document
from volens.service.process.stop_channel import show_withdrawal
from volens.store import PUBLIC_KEY_FILE
from volens.store.files import shell_command
from volens.store.people.standing_consents import StandingConsent

app = Commands()

_MAX_CODE_CHARACTERS: Final = 300


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
        raise not_recorded(str(error), stopped_by, "the withdrawal", again) from None
    document = erased_document(done.erased) | members(done, "ended_at stopped_everywhere_at")
    document["holders"] = [one.to_json() for one in done.holders]
    document |= {
        "newer_in_force": done.newer is not None,
        "in_force": [members(one, "zone given_at ends_at") for one in done.in_force],
        "also_ended": [erased_document(one) for one in done.also_ended],
    }
    again = shell_command("volens", "withdraw", *named, "--all-of-this-person")
    emit(document, _withdrawn(done, trust, again), as_json=as_json)
    if done.newer is not None:
        raise typer.Exit(ExitCode.REFUSED)


def not_recorded(problem: str, stopped_by: list[str], what: str, again: str) -> UnavailableError:
    """Return the error that says which processes no longer match, and that the end is not recorded yet."""
    return UnavailableError(
        f"matching has stopped in {counted(len(stopped_by), 'process', 'processes')} of this site "
        f"({', '.join(stopped_by)}); {what} is not on the disk yet ({problem}); they retry it; {again} if they end "
        "before that, or to get the certificate"
    )


def _withdrawn(done: Withdrawal, trust: Path, again: str) -> str:
    path = done.erased.certificate_path
    lines = [
        f"consent ended in zone {done.erased.zone}; face data erased",
        f"certificate: {shown(path)}",
        f"check it with: {shell_command('volens', 'certificate', 'verify', path, '--trust', trust)}",
    ]
    lines += lease_lines(LeaseStop(done.ended_at, tuple(done.holders)), "the person")
    lines += [f"also ended in zone {one.zone}; certificate: {shown(one.certificate_path)}" for one in done.also_ended]
    if done.newer is not None:
        known = "the doors still know the person: " if done.newer.enrolled else ""
        lines[0] = (
            f"this consent for zone {done.erased.zone} ended at {format_time(done.ended_at)} ({done.erased.reason}), "
            f"but {known}a newer consent of the same person, {term_of(done.newer)}, is in force. End it too: {again}"
        )
    lines += [f"in force: zone {one.zone}, consent {term_of(one)}" for one in done.in_force if one is not done.newer]
    if done.in_force and done.newer is None:
        lines.append(f"to end that too: {again}")
    return "\n".join(lines)


def term_of(one: StandingConsent) -> str:
    """Return from when and until when a consent is in force."""
    given = "" if one.given_at is None else f"of {format_time(one.given_at)} "
    return f"{given}until {format_time(one.ends_at)}"
