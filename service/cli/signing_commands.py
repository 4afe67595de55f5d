"""`volens consent offer`, `sign` and `accept`: the person signs on their own machine; the site never sees the key."""

from pathlib import Path
from typing import Annotated, Final

import typer

from volens import Site, SubjectKey, TakeHome
from volens.consent import InputError, UnverifiedReceipt
from volens.consent.offer_file import OfferFile
from volens.consent.receipt import notice_language
from volens.consent.receipt_offer import OFFER_LIFETIME, read_offer, signed_words
from volens.consent.receipt_signature import SignatureForm
from volens.consent.subject_key import SubjectPublicKey
from volens.service.cli.command_types import Commands, Output
from volens.service.cli.named_files import must_be_new, read_file, write_public
from volens.service.cli.options import HomeOption, YesIReadItOption, ZoneOption
from volens.service.cli.output import members, note, shown
from volens.service.cli.person_argument import receipts_meant
from volens.service.cli.recorded_consents import recorded
from volens.service.cli.session import opened
from volens.service.cli.take_home_files import TakeHomeFiles, ask_to_agree
from volens.service.local_times import local_text, parse_until
from volens.store import Transaction
from volens.store.files import shell_command

app: Final = Commands()


@app.command("offer", "--zone lobby --public-key ada.pub --out ada.offer.json")
def offer(
    site: Site,
    out: Annotated[Path, typer.Option(help="File for the unsigned receipt and the notice.")],
    public_key: Annotated[
        Path | None, typer.Option(help="The person's public key, Ed25519: PEM or JWK.", show_default=False)
    ] = None,
    renews: Annotated[
        str | None,
        typer.Option(
            metavar="RECEIPT", help="Instead: a consent in force that is to be renewed; file or id.", show_default=False
        ),
    ] = None,
    zone: ZoneOption = None,
    jurisdiction: Annotated[
        str | None,
        typer.Option(help="The law that protects the person: ISO 3166, such as FR or US-IL. Default: the site's."),
    ] = None,
    language: Annotated[str | None, typer.Option(help="Language of the notice.")] = None,
    valid_days: Annotated[
        int | None, typer.Option(help="How long the consent lasts. Default: the zone's retention.")
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Or until when it lasts: 18:00 (today), 2026-12-24 (that day's end)."),
    ] = None,
) -> Output:
    """Write a receipt for a person to sign on their own machine. Nothing is stored until it comes back signed."""
    must_be_new(out, "offer")
    if (public_key is None) == (renews is None):
        raise InputError("pass exactly one of --public-key, for a new consent, and --renews, for one in force")
    if public_key is not None:
        key = SubjectPublicKey.from_file(read_file(public_key, "public key"))
        notice = site.notice(site.defaults.zone(zone), language)
        made = site.offer_consent(
            notice,
            public_key=key,
            form=SignatureForm.PERSON_KEY,
            jurisdiction=site.defaults.jurisdiction(jurisdiction),
            valid_days=valid_days,
            valid_until=None if until is None else parse_until(until, site.now(), site.defaults.time_zone()),
        )
    elif zone or jurisdiction or until:
        raise InputError("zone and jurisdiction of a renewal are those of the receipt, and --until is for new consents")
    else:
        stored = site.changes.in_force(receipts_meant(site, str(renews)))
        before = UnverifiedReceipt.parse(stored.token.encode("utf-8"))
        notice = site.notice(stored.purpose, language or notice_language(before))
        made = site.changes.offer_renewal(stored.receipt_id, notice, valid_days=valid_days)
    file = OfferFile(made, notice.text)
    write_public(out, file.to_json())
    until_text = local_text(file.claims.issued_at + OFFER_LIFETIME, site.defaults.time_zone())
    document = members(file.claims, "receipt_id subject_id zone=purpose expires_at") | {"offer": str(out)}
    text = (
        f"wrote {shown(out)}: the receipt for zone {file.claims.purpose}, not signed, and its notice\n"
        f"the person signs it where their key is: {shell_command('volens', 'consent', 'sign', out, '--key')} KEY --out "
        f"SIGNED; bring it back before {until_text}"
    )
    return document, text


@app.command("sign", "ada.offer.json --key ada.key --out ada.signed")
def sign(
    offered: Annotated[Path, typer.Argument(metavar="OFFER", help="The file that the site gave you.")],
    key: Annotated[Path, typer.Option(help="Your private key, Ed25519. It stays on this machine.")],
    out: Annotated[Path, typer.Option(help="File for the signed receipt, to give back to the site.")],
    yes_i_read_it: YesIReadItOption = False,
) -> Output:
    """Sign a receipt on your own machine, after you read what it says. Needs no site and no network."""
    must_be_new(out, "signed receipt")
    file = OfferFile.parse(read_file(offered, "offer"))
    signing = SubjectKey.from_pem(read_file(key, "key"))
    said = file.claims
    note(f"Receipt {said.receipt_id} for zone {said.purpose}, custody {said.custody.value}, law of {said.jurisdiction}")
    note(f"In force from {said.issued_at:%Y-%m-%d %H:%M} to {said.expires_at:%Y-%m-%d %H:%M} UTC")
    if not yes_i_read_it:
        ask_to_agree(file.notice_text, said.purpose, file.language, signed_words(read_offer(file.offer.document)))
    write_public(out, file.offer.sign(signing) + b"\n")
    document = members(said, "receipt_id subject_id zone=purpose expires_at") | {"signed": str(out)}
    return document, f"signed; give {shown(out)} to the site, and keep your key: it renews this consent later"


@app.command("accept", 'ada.signed --name "Ada Example" --out ada.receipt.json')
def accept(
    signed: Annotated[Path, typer.Argument(metavar="SIGNED", help="The receipt, as the person signed it.")],
    name: Annotated[str, typer.Option(help="The person's name; stored encrypted, erased with the consent.")],
    out: Annotated[
        Path, typer.Option(help="File for the receipt that the person keeps; its QR code is written next to it.")
    ],
    external_id: Annotated[
        str | None, typer.Option(help="The person's id in the staff list; only a keyed hash is stored.")
    ] = None,
    home: HomeOption = None,
) -> Output:
    """Record the consent of a person who signed the receipt that this site offered."""
    data = read_file(signed, "signed receipt")
    receipt = UnverifiedReceipt.parse(data)
    with opened(home) as site, TakeHomeFiles(out) as files:

        def hand_over(_tx: Transaction, take_home: TakeHome) -> None:
            files.write(take_home)

        # The files are written before the transaction ends: there is never a consent without its receipt.
        take_home = site.accept_consent(
            site.notice(receipt.claims.purpose, notice_language(receipt)),
            data,
            name=name,
            external_id=external_id,
            in_transaction=hand_over,
        )
        return recorded(site, take_home, files)
