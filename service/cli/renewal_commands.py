"""`volens consent renew`, `correct` and `reissue-code`: change a consent in force without starting over."""

from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from volens import Site, SubjectKey, TakeHome
from volens.consent import InputError, UnverifiedReceipt
from volens.consent.receipt import notice_language
from volens.consent.receipt_offer import consent_words
from volens.service.cli.carried_secrets import BadgeToHandOver, shown
from volens.service.cli.command_types import Commands, Output
from volens.service.cli.named_files import read_file
from volens.service.cli.options import HomeOption, ReceiptArgument, SecretOption, SecretQrOption, YesIReadItOption
from volens.service.cli.output import counted, members, warn
from volens.service.cli.output import shown as printable
from volens.service.cli.person_argument import receipts_meant
from volens.service.cli.session import opened
from volens.service.cli.take_home_files import TakeHomeFiles, ask_about_identity, ask_to_agree
from volens.service.local_times import local_text
from volens.store import Transaction

app: Final = Commands()


@app.command("renew", "ada.receipt.json --key ada.key --out ada-2.receipt.json")
def renew(
    receipt: ReceiptArgument,
    out: Annotated[
        Path, typer.Option(help="File for the new receipt that the person keeps; its QR code is written next to it.")
    ],
    key: Annotated[
        Path | None, typer.Option(help="The person's own key, which signs the new receipt at this desk.")
    ] = None,
    signed: Annotated[
        Path | None, typer.Option(help="Or the new receipt, signed by the person ('offer --renews', 'sign').")
    ] = None,
    language: Annotated[
        str | None, typer.Option(help="Language of the notice. Default: that of the receipt.", show_default=False)
    ] = None,
    valid_days: Annotated[
        int | None, typer.Option(help="How long the new consent lasts. Default: the zone's retention.")
    ] = None,
    secret: SecretOption = None,
    secret_qr: SecretQrOption = None,
    badge: Annotated[Path | None, typer.Option(help="The person's badge, in a zone with custody badge.")] = None,
    badge_qr: Annotated[list[Path] | None, typer.Option(help="Images of the QR codes of the same badge.")] = None,
    badge_out: Annotated[
        Path | None, typer.Option(help="File for the person's new badge; QR codes are written next to it.")
    ] = None,
    yes_i_read_it: YesIReadItOption = False,
    home: HomeOption = None,
) -> Output:
    """Renew a consent before it ends: the person signs again, and the door goes on recognising them.

    No new photos are taken. PIN, badge number, staff-list link and leaving date stay; the old receipt ends with a
    certificate, and its code is replaced by a new one.
    """
    files = TakeHomeFiles(out)
    new_badge = None if badge_out is None else BadgeToHandOver(badge_out)
    if signed is not None and (language or valid_days):
        raise InputError("the signed receipt says its language and its term; leave --language and --valid-days out")
    signature: SubjectKey | bytes
    if key is not None and signed is None:
        signature = SubjectKey.from_pem(read_file(key, "key"))
    elif signed is not None and key is None:
        signature = read_file(signed, "signed receipt")
    else:
        raise InputError("pass exactly one of --key, to sign at this desk, and --signed, for what the person signed")
    with (
        shown(secret, secret_qr, badge, badge_qr or []) as carried,
        opened(home) as site,
        new_badge or nullcontext(),
        files,
    ):
        stored = site.changes.in_force(receipts_meant(site, receipt))
        label, zone_time = site.zones.get(stored.purpose).label, site.defaults.time_zone()
        agreed = UnverifiedReceipt.parse(signature if isinstance(signature, bytes) else stored.token.encode("utf-8"))
        notice = site.notice(stored.purpose, language or notice_language(agreed))
        if isinstance(signature, SubjectKey) and not yes_i_read_it:
            record = site.declarations.record(stored.purpose, agreed.claims.jurisdiction)
            term = timedelta(days=valid_days or record.max_term_days)
            ask_to_agree(notice.text, label, notice.language, consent_words(record, notice.language, term))

        def hand_over(_tx: Transaction, take_home: TakeHome) -> None:
            files.write(take_home)

        # The files are written before the transaction ends: there is never a consent without its receipt.
        carried_on: dict[str, Any] = {
            "carried": carried,
            "hand_over": new_badge and new_badge.write,
            "in_transaction": hand_over,
        }
        if isinstance(signature, bytes):
            done = site.changes.accept_renewal(stored.receipt_id, notice, signature, **carried_on)
        else:
            done = site.changes.renew(stored.receipt_id, notice, key=signature, valid_days=valid_days, **carried_on)
    if done.take_home.secret is not None:
        done.take_home.secret.wipe()
    if done.problem is not None:
        warn(f"the new consent is in force; the erasure of the old one is not finished: {done.problem}")
    claims = done.take_home.receipt.claims
    until = local_text(claims.expires_at, zone_time)
    document = members(claims, "receipt_id subject_id zone=purpose expires_at")
    document |= {"receipt": str(out), "qr": str(files.qr), "files": [str(one) for one in files.written]}
    document |= {"references": done.references, "renewed_receipt_id": stored.receipt_id}
    document |= {"certificate": None if done.ended is None else str(done.ended.certificate_path)}
    given = [*files.written, *(() if new_badge is None else new_badge.written)]
    text = (
        f"renewed the consent for zone {label}, until {until}; "
        f"{counted(done.references, 'reference')} of the person's face stays\n"
        f"give to the person: {', '.join(map(printable, given))}; the old receipt, its code and an old secret or badge "
        "are no longer valid"
    )
    if done.ended is not None:
        text += f"\ncertificate of the old consent: {printable(done.ended.certificate_path)}"
    return document, text


@app.command("correct", 'ada.receipt.json --name "Ada Newname"')
def correct(
    site: Site,
    receipt: ReceiptArgument,
    name: Annotated[str, typer.Option(help="The person's right name; it replaces the one before.")],
) -> Output:
    """Correct a person's name (GDPR 16). The receipt carries no name, so it stays valid as it is."""
    receipt_id = site.changes.in_force(receipts_meant(site, receipt)).receipt_id
    site.changes.correct_name(receipt_id, name)
    return {"receipt_id": receipt_id}, "corrected; the name before is deleted, and the receipt is valid as it was"


@app.command("reissue-code", "ada.receipt.json --identity-checked --out ada-again.receipt.json")
def reissue_code(
    site: Site,
    receipt: Annotated[
        str,
        typer.Argument(metavar="PERSON", help="A receipt file, an id, or a name; the consent must be in force."),
    ],
    out: Annotated[
        Path, typer.Option(help="File for the receipt with the new code; its QR code is written next to it.")
    ],
    identity_checked: Annotated[
        bool, typer.Option("--identity-checked", help="For scripts: you have checked who the person is.")
    ] = False,
) -> Output:
    """Issue a lost receipt again, with a new withdrawal code; the old code stops working.

    Check the person's identity first: a person who has the code can end the consent.
    """
    receipt_id = site.changes.in_force(receipts_meant(site, receipt)).receipt_id
    with TakeHomeFiles(out) as files:
        if not identity_checked:
            ask_about_identity("a new withdrawal code")
        site.changes.reissue_code(receipt_id, lambda _tx, take_home: files.write(take_home))
    document = {"receipt_id": receipt_id, "receipt": str(files.receipt), "qr": str(files.qr)}
    given = f"{printable(files.receipt)}, {printable(files.qr)}"
    return document, f"give to the person: {given}; the code before does not work any more"
