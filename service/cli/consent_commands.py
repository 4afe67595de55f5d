"""`volens consent`: a person reads, says yes, signs, and takes the proof home; and what goes with a yes."""

import os
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from volens import Notice, Site
from volens.consent import (
    Custody,
    InputError,
    RefusedError,
    SecondFactor,
    SubjectKey,
    TakeHome,
    VolensError,
    format_time,
)
from volens.service.cli.factor_prompt import read_factor
from volens.service.cli.named_files import must_be_new, read_file, write_private
from volens.service.cli.options import HomeOption, JsonOption
from volens.service.cli.output import STDERR, emit
from volens.service.cli.person_argument import receipts_meant
from volens.service.cli.session import opened
from volens.service.qr_codes import secret_qr, withdrawal_qr

app = typer.Typer(help="Consents: read, say yes, sign, take the proof home.", no_args_is_help=True)

_YES: Final = "yes"


@app.command("give")
def give(
    zone: Annotated[str, typer.Option(help="For which zone.")],
    name: Annotated[str, typer.Option(help="The person's name; kept sealed, gone with the consent.")],
    jurisdiction: Annotated[str, typer.Option(help="Whose law protects the person: ISO 3166, such as FR or US-IL.")],
    out: Annotated[Path, typer.Option(help="Where to write what the person takes home; its QR goes beside it.")],
    new_key: Annotated[Path | None, typer.Option(help="Make the person's key and write it here (0600).")] = None,
    key: Annotated[Path | None, typer.Option(help="The person's key, if they have one.")] = None,
    language: Annotated[str | None, typer.Option(help="Language of the notice.")] = None,
    valid_days: Annotated[
        int | None, typer.Option(help="The term that the person wants; without it, the zone's retention.")
    ] = None,
    external_id: Annotated[
        str | None, typer.Option(help="What the staff list calls the person; only a keyed hash of it is kept.")
    ] = None,
    yes_i_read_it: Annotated[
        bool, typer.Option("--yes-i-read-it", help="The person has read the notice and agrees; for scripts.")
    ] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the notice, take an explicit yes, sign with the person's key, record the consent."""
    if (new_key is None) == (key is None):
        raise InputError("got both or neither of --new-key and --key; give one of the two")
    must_be_new(out, "receipt")
    qr = out.with_suffix(".qr.png")
    must_be_new(qr, "QR")
    for path in (_secret_file(out), _secret_qr_file(out)):
        must_be_new(path, "secret")
    if new_key is not None:
        must_be_new(new_key, "key")
        if new_key.absolute() in {one.absolute() for one in (out, qr, _secret_file(out), _secret_qr_file(out))}:
            raise InputError(f"got {new_key} for the key and for what is written beside it; choose two names")
    subject_key = SubjectKey.from_seed(os.urandom(32)) if key is None else SubjectKey.from_pem(read_file(key, "key"))
    with opened(home) as site:
        notice = site.notice(zone, language)
        if not yes_i_read_it:
            _ask(notice)
        if new_key is not None:
            write_private(new_key, subject_key.to_pem())
        take_home = _record(site, notice, name, jurisdiction, subject_key, new_key, valid_days, external_id)
        _hand_over(site, take_home, out, qr, new_key)
        asked = next(one.zone.second_factor for one in site.status().zones if one.zone.purpose == notice.purpose)
    claims = take_home.receipt.claims
    document = {
        "receipt": str(out),
        "qr": str(qr),
        "receipt_id": claims.receipt_id,
        "subject_id": claims.subject_id,
        "zone": claims.purpose,
        "expires_at": format_time(claims.expires_at),
    }
    whose = f"volens enroll {out} PHOTOS"
    secret = ""
    if take_home.secret is not None:
        take_home.secret.wipe()
        document |= {"secret": str(_secret_file(out)), "secret_qr": str(_secret_qr_file(out))}
        secret = (
            f"\nfor the person alone: {_secret_file(out)}, {_secret_qr_file(out)} (the same as QR); the site does not "
            "keep this secret, and nobody can enroll or come in without it"
        )
        whose += f" --secret {_secret_file(out)}"
    elif claims.custody is Custody.BADGE:
        whose += " --badge-out BADGE"
    if asked is not SecondFactor.NONE:
        option = "--pin" if asked is SecondFactor.PIN else "--badge-number"
        whose += f"\nthen, for without it nobody comes in here: volens consent factor {out} {option}"
    said = (
        f"recorded the consent for zone {claims.purpose}, until {format_time(claims.expires_at)}\n"
        f"for the person to keep: {out} (receipt and withdrawal code), {qr} (the code as QR)"
        + (f", {new_key} (their key)" if new_key else "")
        + secret
        + f"\nnext: {whose}"
    )
    emit(document, said, as_json=as_json)


@app.command("link")
def link(
    who: Annotated[str, typer.Argument(metavar="RECEIPT", help="The receipt's file or id; the consent is in force.")],
    external_id: Annotated[str, typer.Argument(help="What the staff list calls the person.")],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what the staff list calls a person, so that it may tell when they leave. Only a keyed hash is kept."""
    with opened(home) as site:
        meant = receipts_meant(site, who)
        if len(meant) != 1:
            raise InputError(f"got {len(meant)} consents for this; give the file or the id of one receipt")
        site.revocations.link(meant[0], external_id)
    emit(
        {"receipt_id": meant[0]},
        "linked; whoever keeps the staff list may now say that the person left",
        as_json=as_json,
    )


@app.command("factor")
def factor(
    who: Annotated[str, typer.Argument(metavar="RECEIPT", help="The receipt's file or id; the consent is in force.")],
    badge_number: Annotated[bool, typer.Option("--badge-number", help="Set the number of the person's badge.")] = False,
    pin: Annotated[bool, typer.Option("--pin", help="Set the person's PIN, 4 to 12 digits.")] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Remove it; the person does not get in then.")] = False,
    file: Annotated[
        Path | None,
        typer.Option("--from", help="Holds the number or PIN; without it you are asked.", show_default=False),
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Set, replace or remove what a person shows besides their face, in a zone that asks for it."""
    if badge_number + pin + remove != 1 or (remove and file is not None):
        raise InputError("give one of --badge-number, --pin and --remove, and --from with the first two only")
    with opened(home) as site:
        meant = receipts_meant(site, who)
        if len(meant) != 1:
            raise InputError(f"got {len(meant)} consents for this; give the file or the id of one receipt")
        if remove:
            is_gone = site.factors.remove(meant[0])
            emit({"receipt_id": meant[0], "removed": is_gone}, "removed" if is_gone else "none is set", as_json=as_json)
            return
        kind = SecondFactor.PIN if pin else SecondFactor.BADGE
        with read_factor(kind, file, again=pin) as shown:
            site.factors.set(meant[0], shown)
    said = "set; what was set before opens nothing any more. Only a keyed hash is kept"
    emit({"receipt_id": meant[0], "kind": kind.value}, said, as_json=as_json)


def _secret_file(out: Path) -> Path:
    return out.with_suffix(".secret.txt")


def _secret_qr_file(out: Path) -> Path:
    return out.with_suffix(".secret.qr.png")


def _ask(notice: Notice) -> None:
    if not (sys.stdin.isatty() and sys.stderr.isatty()):  # the notice is shown on stderr; stdout is for the result
        raise InputError(
            "nobody can be asked here, for this is no terminal; let the person read the notice ('volens notice show'), "
            "then give --yes-i-read-it"
        )
    STDERR.print(notice.text)
    answer = typer.prompt(f"Do you agree? Type {_YES} to agree, anything else to say no", err=True, default="no")
    if answer.strip().lower() != _YES:
        raise RefusedError("the person did not agree; nothing was recorded")


def _record(
    site: Site,
    notice: Notice,
    name: str,
    jurisdiction: str,
    key: SubjectKey,
    new_key: Path | None,
    valid_days: int | None,
    external_id: str | None,
) -> TakeHome:
    try:
        return site.give_consent(
            notice, name=name, jurisdiction=jurisdiction, key=key, valid_days=valid_days, external_id=external_id
        )
    except VolensError:
        if new_key is not None:
            new_key.unlink(missing_ok=True)  # a key that has signed nothing
        raise


def _hand_over(site: Site, take_home: TakeHome, out: Path, qr: Path, new_key: Path | None) -> None:
    if take_home.code is None:
        raise InputError("got a take-home file without a code")
    written = [] if new_key is None else [new_key]
    try:
        files = [(out, take_home.to_json()), (qr, withdrawal_qr(take_home.code))]
        if take_home.secret is not None:
            files.append((_secret_file(out), take_home.secret.reveal().encode("ascii") + b"\n"))
            files.append((_secret_qr_file(out), secret_qr(take_home.secret)))
        for path, data in files:
            write_private(path, data)
            written.append(path)
    except BaseException:  # Ctrl-C too
        # Without the receipt in the person's hands there is no way out, so there must be no way in.
        site.withdraw(receipt=take_home.to_json())
        for path in written:
            path.unlink(missing_ok=True)
        raise
