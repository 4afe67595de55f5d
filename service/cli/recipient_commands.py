"""`volens recipient`: organisations that receive data of a zone, and their statements that they erased it."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from volens import Site
from volens.consent import InputError
from volens.consent.notice_change import RECIPIENT_ADDED
from volens.erase import OperatorKey, is_protected, read_public_pem
from volens.erase.proof import sign_statement, verify_certificate
from volens.service.cli.command_types import Commands, Output
from volens.service.cli.named_files import must_be_new, read_file, read_site_key, write_public
from volens.service.cli.notice_needs import YES_HELP, ask_before, next_notice
from volens.service.cli.options import PassphraseOption, TrustOption
from volens.service.cli.output import members, shown, table
from volens.store.promises import Recipient

app = Commands("recipient", "Register organisations that receive data of a zone.")

_Name = Annotated[str, typer.Argument(help="The recipient's name; certificates and answers show it.")]
_Zone = Annotated[str, typer.Option(help="The zone.")]


@app.command("add", '"Door panels" --zone lobby --contact privacy@panels.example')
def add(
    site: Site,
    name: _Name,
    zone: _Zone,
    contact: Annotated[str | None, typer.Option(help="How to reach the recipient.")] = None,
    key: Annotated[
        Path | None, typer.Option(help="The recipient's public key (PEM, Ed25519), if it signs statements of erasure.")
    ] = None,
    *,
    yes: Annotated[bool, typer.Option("--yes", help=YES_HELP)] = False,
) -> Output:
    """Register a recipient of a zone's data. The notice must name it, and people who agreed before are asked again."""
    ask_before(site, zone, RECIPIENT_ADDED, yes=yes)
    public = None if key is None else read_public_pem(read_file(key, "public key"))
    added = site.rights.recipients.add(zone, name, contact=contact, public_key=public)
    text = f"registered {added.name} as recipient in zone {added.zone}{next_notice(zone, RECIPIENT_ADDED)}"
    return _document(added), text


@app.command("list", "--zone lobby")
def list_(
    site: Site,
    zone: Annotated[str | None, typer.Option(help="Only of this zone.")] = None,
    removed: Annotated[bool, typer.Option("--all", help="Include recipients that were removed.")] = False,
) -> Output:
    """List recipients."""
    found = site.rights.recipients.list(zone, removed=removed)
    rows = [
        (one.name, one.zone, one.contact, "signs" if one.public_key else "", "removed" if one.removed_at else "")
        for one in found
    ]
    human = table(("recipient", "zone", "contact", "key", "state"), rows) if rows else "no recipients"
    return [_document(one) for one in found], human


@app.command("remove", '"Door panels" --zone lobby')
def remove(site: Site, name: _Name, zone: _Zone) -> Output:
    """Remove a recipient. Certificates of people who were enrolled before still name it."""
    gone = site.rights.recipients.remove(zone, name)
    return _document(gone), f"{gone.name} is no longer a recipient in zone {gone.zone}"


@app.command("sign", "certificate.json --trust site.pub --key panels.key --out erased.json")
def sign(
    certificate: Annotated[Path, typer.Argument(help="The certificate's file, as the site sent it.")],
    trust: TrustOption,
    key: Annotated[Path, typer.Option(help="The recipient's private key; 'volens operator keygen' makes one.")],
    out: Annotated[Path, typer.Option(help="File for the statement, to send to the site.")],
    passphrase_file: PassphraseOption = None,
) -> Output:
    """For the recipient: sign a statement that the data of this certificate was erased, too. No site is needed."""
    must_be_new(out, "the statement")
    checked = verify_certificate(read_file(certificate, "certificate"), read_site_key(trust))
    data = read_file(key, "key")
    if is_protected(data) and passphrase_file is None:
        raise InputError("the key has a passphrase; pass --passphrase-file")
    phrase = None if passphrase_file is None else read_file(passphrase_file, "passphrase").rstrip(b"\r\n")
    signer = OperatorKey.from_pem(data, phrase)
    write_public(out, sign_statement(signer, checked.certificate_id, datetime.now(UTC)))
    document = {"statement": str(out), "certificate_id": checked.certificate_id}
    return document, f"wrote {shown(out)}; send it to the site, which runs: volens certificate acknowledge"


def _document(recipient: Recipient) -> dict[str, Any]:
    signs = {"signs": recipient.public_key is not None}
    return members(recipient, "recipient_id zone name contact") | signs | members(recipient, "added_at removed_at")
