"""`volens consent restrict` and `resume`: pause a consent at the person's request (GDPR 18), and resume it."""

from pathlib import Path
from typing import Annotated, Final

import typer

from volens import Site
from volens.consent import InputError, ReceiptId
from volens.service.cli.carried_secrets import withdrawal_shown
from volens.service.cli.command_types import Commands, Output
from volens.service.cli.lease_commands import lease_lines
from volens.service.cli.named_files import read_stdin_line
from volens.service.cli.person_argument import is_file, receipts_meant
from volens.service.cli.take_home_files import ask_about_identity
from volens.service.local_times import local_text

app: Final = Commands()

_MAX_CODE_CHARACTERS: Final = 200

_Who = Annotated[
    str | None,
    typer.Argument(
        metavar="PERSON", help="A receipt file, a picture of the code's QR code, an id, or a name.", show_default=False
    ),
]
_Code = Annotated[str | None, typer.Option(help="The withdrawal code instead of the receipt; '-' reads it from stdin.")]


@app.command("restrict", "ada.receipt.json")
def restrict(site: Site, who: _Who = None, code: _Code = None) -> Output:
    """Pause a consent: no door matches the person, and nothing is erased (GDPR 18). No reason is needed.

    The term goes on running. The person can resume, withdraw or renew it, and correct their name.
    """
    receipt_id, _is_shown = _meant(site, who, code)
    zone = site.changes.in_force([receipt_id]).purpose
    since = site.changes.restrict(receipt_id)
    text = (
        f"paused since {local_text(since, site.defaults.time_zone())}: no door matches the person, and nothing is "
        "erased; 'volens consent resume' lifts it, 'volens withdraw' ends the consent"
    )
    stop = site.zones.stop_at(zone, since, wait=True)
    document = {"receipt_id": receipt_id, "restricted": True, **stop.to_json()}
    return document, "\n".join([text, *lease_lines(stop, "the person")])


@app.command("resume", "ada.receipt.json")
def resume(
    site: Site,
    who: _Who = None,
    code: _Code = None,
    identity_checked: Annotated[
        bool, typer.Option("--identity-checked", help="For scripts: you have checked who the person is.")
    ] = False,
) -> Output:
    """Resume a consent that was paused: the doors match the person again.

    With the person's receipt or code, or after you have checked who the person is.
    """
    receipt_id, is_shown = _meant(site, who, code)
    if not (is_shown or identity_checked):
        ask_about_identity("the doors matching this person again")
    done = site.changes.lift_restriction(receipt_id)
    text = "resumed: the doors match the person again" if done else "this consent was not paused; nothing was changed"
    return {"receipt_id": receipt_id, "resumed": done}, text


def _meant(site: Site, who: str | None, code: str | None) -> tuple[ReceiptId, bool]:
    """Return the consent in force that is meant, and whether its receipt or code was shown.

    Raises:
        NoLiveConsentError: there is none.
        InputError: both or neither are given, or several consents are meant.
        ReceiptError, TamperError: the receipt is malformed, or not the person's.
    """
    if (who is None) == (code is None):
        raise InputError("pass either a person or --code")
    if who is not None and not is_file(who):
        return site.changes.in_force(receipts_meant(site, who)).receipt_id, False
    if code == "-":
        code = read_stdin_line(_MAX_CODE_CHARACTERS, "the withdrawal code")
    receipt = None
    if who is not None:
        receipt, code = withdrawal_shown(Path(who))
    shown = site.rights.consent_shown(receipt=receipt, code=code)
    return site.changes.in_force([shown]).receipt_id, True
