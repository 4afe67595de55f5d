"""`volens withdraw` ends a consent and erases its data; `volens leaver` ends all consents of a person who leaves."""

from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Annotated

import typer

from volens import Site
from volens.consent import InputError, UnavailableError, format_time, parse_time
from volens.service.cli.carried_secrets import withdrawal_shown
from volens.service.cli.command_types import Commands, Output
from volens.service.cli.named_files import read_stdin_line
from volens.service.cli.options import HomeOption, home_folder
from volens.service.cli.output import counted, progress, shown
from volens.service.cli.person_argument import receipts_meant
from volens.service.cli.session import opened
from volens.service.cli.sweep_commands import erased_document
from volens.service.process.stop_channel import show_withdrawal
from volens.store import PUBLIC_KEY_FILE
from volens.store.files import shell_command

app = Commands()

_MAX_CODE_CHARACTERS = 200


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
    home: HomeOption = None,
) -> Output:
    """End a consent and erase its data. No login and no reason are needed; repeating the command is safe."""
    if (receipt is None) == (code is None):
        raise InputError("pass either a receipt or --code")
    if code == "-":
        code = read_stdin_line(_MAX_CODE_CHARACTERS, "the withdrawal code")
    taken = None
    if receipt is not None:
        taken, code = withdrawal_shown(receipt)
    # Before anything is opened: a lock, or a full disk, must not let the processes that serve the site go on matching.
    stopped_by = show_withdrawal(home_folder(home), receipt=taken, code=code)
    try:
        with opened(home) as site:
            erased = site.withdraw(receipt=taken, code=code)
            if site.unfinished is not None:
                raise site.unfinished
    except UnavailableError as error:
        if not stopped_by:
            raise
        raise _pending(str(error), stopped_by) from None
    text = (
        f"consent ended in zone {erased.zone}; face data erased\n"
        f"certificate: {shown(erased.certificate_path)}\n"
        "check it with: "
        + shell_command(
            *("volens", "certificate", "verify", erased.certificate_path), "--trust", site.home / PUBLIC_KEY_FILE
        )
    )
    return erased_document(erased), text


def _pending(problem: str, stopped_by: list[str]) -> UnavailableError:
    return UnavailableError(
        f"matching has stopped in {counted(len(stopped_by), 'process', 'processes')} of this site "
        f"({', '.join(stopped_by)}); the withdrawal is not on the disk yet ({problem}); they retry it; keep the code "
        "or receipt, and withdraw again if they end before that, or to get the certificate"
    )


@app.command("leaver", "ada.receipt.json --on 2026-12-31")
def leaver(
    site: Site,
    who: Annotated[str, typer.Argument(metavar="PERSON", help="A receipt file, an id, or a name.", show_default=False)],
    on: Annotated[
        str | None,
        typer.Option(
            "--on", help="Last day (2026-12-31, until midnight UTC) or moment (2026-12-31T16:00:00Z). Default: now."
        ),
    ] = None,
) -> Output:
    """End all consents of a person who leaves, now or on a date. A date can be moved earlier, never later."""
    at = None if on is None else _moment(on)
    with progress("erasing") as advance:
        erased = site.clocks.leave(receipts_meant(site, who), at, advance)
    if site.unfinished is not None:
        raise site.unfinished
    if erased or at is None:
        text = "\n".join(
            f"consent ended in zone {one.zone}; face data erased; certificate: {shown(one.certificate_path)}"
            for one in erased
        )
    else:
        text = f"noted: the person is not matched any more from {format_time(at)}; then 'volens sweep' erases the data"
    document = {
        "ends_at": None if at is None else format_time(at),
        "erased": [erased_document(one) for one in erased],
    }
    return document, text


def _moment(text: str) -> datetime:
    try:
        return datetime.combine(date.fromisoformat(text) + timedelta(days=1), time(), UTC)
    except (ValueError, OverflowError):
        pass
    try:
        return parse_time(text)
    except InputError:
        raise InputError("got another date format; expected 2026-12-31 or 2026-12-31T16:00:00Z") from None
