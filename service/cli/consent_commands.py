"""`volens consent`: record a signed consent, link it to the staff list, set its second factor."""

import os
from pathlib import Path
from typing import Annotated

import typer

from volens import Site
from volens.consent import (
    InputError,
    Notice,
    RefusedError,
    SecondFactor,
    SubjectKey,
    TakeHome,
    VolensError,
)
from volens.consent.receipt_offer import consent_words, end_of_term
from volens.service.cli.command_types import Commands, Output
from volens.service.cli.factor_prompt import read_factor, read_panel_badge
from volens.service.cli.guardian_keys import GuardianKey, GuardianKeyOption, GuardianNewKeyOption, OfAgeOption
from volens.service.cli.named_files import must_be_new, read_file, write_private
from volens.service.cli.options import HomeOption, ReceiptArgument, YesIReadItOption, ZoneOption
from volens.service.cli.person_argument import receipt_meant
from volens.service.cli.recorded_consents import recorded
from volens.service.cli.session import opened
from volens.service.cli.take_home_files import TakeHomeFiles, ask_to_agree
from volens.service.local_times import parse_until

app = Commands("consent", "Record a person's signed consent, and what belongs to it.")


@app.command("give", '--zone lobby --name "Ada Example" --jurisdiction FR --new-key ada.key --out ada.receipt.json')
def give(
    name: Annotated[str, typer.Option(help="The person's name; stored encrypted, erased with the consent.")],
    out: Annotated[
        Path, typer.Option(help="File for the receipt that the person keeps; its QR code is written next to it.")
    ],
    zone: ZoneOption = None,
    jurisdiction: Annotated[
        str | None,
        typer.Option(help="The law that protects the person: ISO 3166, such as FR or US-IL. Default: the site's."),
    ] = None,
    new_key: Annotated[
        Path | None, typer.Option(help="Make a key for the person and write it to this file (0600).")
    ] = None,
    key: Annotated[Path | None, typer.Option(help="The person's own key, if they have one.")] = None,
    language: Annotated[str | None, typer.Option(help="Language of the notice.")] = None,
    valid_days: Annotated[
        int | None, typer.Option(help="How long the consent lasts. Default: the zone's retention.")
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Or until when it lasts: 18:00 (today), 2026-12-24 (that day's end), in the site's zone.",
        ),
    ] = None,
    external_id: Annotated[
        str | None, typer.Option(help="The person's id in the staff list; only a keyed hash is stored.")
    ] = None,
    of_age: OfAgeOption = None,
    guardian_key: GuardianKeyOption = None,
    guardian_new_key: GuardianNewKeyOption = None,
    yes_i_read_it: YesIReadItOption = False,
    home: HomeOption = None,
) -> Output:
    """Show the notice, take explicit consent, sign it here with the person's key, record it.

    The receipt says that it was signed at the desk. With 'offer', 'sign' and 'accept' the person signs alone.
    """
    if (new_key is None) == (key is None):
        raise InputError("pass exactly one of --new-key or --key")
    files = TakeHomeFiles(out)
    _check_key_file(new_key, files)
    others = {*files.names()} if new_key is None else {*files.names(), new_key}
    guardian = GuardianKey.of(guardian_key, guardian_new_key, others)
    subject_key = SubjectKey.from_seed(os.urandom(32)) if key is None else SubjectKey.from_pem(read_file(key, "key"))
    with opened(home) as site:
        law = site.defaults.jurisdiction(jurisdiction)
        valid_until = None if until is None else parse_until(until, site.now(), site.defaults.time_zone())
        notice = site.notice(site.defaults.zone(zone), language)
        if not yes_i_read_it:
            record = site.declarations.record(notice.purpose, law)
            term = end_of_term(record, site.now(), valid_days=valid_days, valid_until=valid_until) - site.now()
            _ask(site, notice, record.zone.label, consent_words(record, notice.language, term))
        if new_key is not None:
            write_private(new_key, subject_key.to_pem())
        guardian.write()
        try:
            take_home = site.give_consent(
                notice,
                name=name,
                jurisdiction=law,
                key=subject_key,
                valid_days=valid_days,
                valid_until=valid_until,
                external_id=external_id,
                age=guardian.answer(of_age),
            )
        except VolensError:
            guardian.remove()
            if new_key is not None:
                new_key.unlink(missing_ok=True)  # the key has signed nothing
            raise
        try:
            _hand_over(site, take_home, files, new_key)
        except BaseException:
            guardian.remove()
            raise
        return recorded(site, take_home, files, new_key)


@app.command("link", "ada.receipt.json employee-4711")
def link(
    site: Site,
    receipt: ReceiptArgument,
    external_id: Annotated[str, typer.Argument(help="The person's id in the staff list.")],
) -> Output:
    """Link a consent to the person's id in the staff list, which can then revoke it. Only a keyed hash is stored."""
    receipt_id = receipt_meant(site, receipt)
    site.link_external_id(receipt_id, external_id)
    return {"receipt_id": receipt_id}, "linked; the staff list can now report that the person left"


@app.command("factor", "ada.receipt.json --pin")
def factor(
    site: Site,
    receipt: ReceiptArgument,
    badge_number: Annotated[bool, typer.Option("--badge-number", help="Set the number of the person's badge.")] = False,
    pin: Annotated[bool, typer.Option("--pin", help="Set the person's PIN, 4 to 12 digits.")] = False,
    remove: Annotated[
        bool, typer.Option("--remove", help="Remove it; the door then stays closed for the person.")
    ] = False,
    file: Annotated[
        Path | None,
        typer.Option("--from", help="File with the number or PIN. Default: you are asked.", show_default=False),
    ] = None,
) -> Output:
    """Set, replace or remove a person's second factor, in a zone that requires one."""
    if badge_number + pin + remove != 1 or (remove and file is not None):
        raise InputError("pass exactly one of --badge-number, --pin and --remove; --from goes with the first two only")
    receipt_id = receipt_meant(site, receipt)
    if remove:
        done = site.factors.remove(receipt_id)
        return {"receipt_id": receipt_id, "removed": done}, "removed" if done else "none was set"
    kind = SecondFactor.PIN if pin else SecondFactor.BADGE
    with read_factor(kind, file, again=pin) as shown:
        site.factors.set(receipt_id, shown)
    text = "set; an earlier number or PIN is no longer accepted. Only a keyed hash is stored"
    return {"receipt_id": receipt_id, "kind": kind.value}, text


@app.command("panel-badge", "ada.receipt.json")
def panel_badge(
    site: Site,
    receipt: ReceiptArgument,
    file: Annotated[
        Path | None,
        typer.Option(
            "--badge-number",
            help="File with the number, NUMBER or FACILITY-NUMBER. Default: you are asked.",
            show_default=False,
        ),
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Remove it; the panel then gets none.")] = False,
) -> Output:
    """Set, replace or remove the badge number that the panel of the house knows a person by (see docs/doors.md)."""
    if remove and file is not None:
        raise InputError("got both --badge-number and --remove; pass one of them")
    receipt_id = receipt_meant(site, receipt)
    if remove:
        done = site.panel_badges.remove(receipt_id)
        return {"receipt_id": receipt_id, "removed": done}, "removed" if done else "none was set"
    site.panel_badges.set(receipt_id, read_panel_badge(file))
    text = "set; a door that is a reader of the panel sends it after a match. It is sealed, and erased with the consent"
    return {"receipt_id": receipt_id}, text


def _check_key_file(new_key: Path | None, files: TakeHomeFiles) -> None:
    must_be_new(new_key, "key")
    if new_key is not None and new_key.absolute() in {path.absolute() for path in files.names()}:
        raise InputError(f"got {new_key} for the key and for another file; choose two names")


def _ask(site: Site, notice: Notice, zone: str, words: str) -> None:
    try:
        ask_to_agree(notice.text, zone, notice.language, words)
    except RefusedError:
        site.offers.refuse(notice.purpose)
        raise


def _hand_over(site: Site, take_home: TakeHome, files: TakeHomeFiles, new_key: Path | None) -> None:
    try:
        files.write(take_home)
    except BaseException:  # Ctrl-C too
        # Without the receipt the person could not withdraw, so the consent must not stay in force.
        site.withdraw(receipt=take_home.to_json())
        files.remove()
        if new_key is not None:
            new_key.unlink(missing_ok=True)
        raise
