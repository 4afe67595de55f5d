"""`volens recipient`: who receives data of a zone, and their side of an erasure."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from volens.audit import VerifierKey
from volens.consent import InputError, format_time
from volens.erase import OperatorKey, is_protected, read_public_pem
from volens.erase.proof import sign_statement, verify_certificate
from volens.service.cli.named_files import must_be_new, read_file, write_private
from volens.service.cli.options import HomeOption, JsonOption, PassphraseOption
from volens.service.cli.output import emit, table
from volens.service.cli.session import opened
from volens.store.programs import Recipient

app = typer.Typer(help="Who receives data of a zone; certificates name them.", no_args_is_help=True)

_Name = Annotated[str, typer.Argument(help="The recipient's name; it stands in certificates and answers.")]
_Zone = Annotated[str, typer.Option(help="Of which zone.")]


@app.command("add")
def add(
    name: _Name,
    zone: _Zone,
    contact: Annotated[str | None, typer.Option(help="Where to reach them.")] = None,
    key: Annotated[
        Path | None, typer.Option(help="Their public key (PEM, Ed25519), if they sign that they erased too.")
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Record that somebody receives data of a zone. The notice must say so too (GDPR 13(1)(e))."""
    public = None if key is None else read_public_pem(read_file(key, "public key"))
    with opened(home) as site:
        added = site.rights.recipients.add(zone, name, contact=contact, public_key=public)
    said = f"{added.name} receives data of {added.zone} from now on\nsee that the notice says so, or publish it anew"
    emit(_document(added), said, as_json=as_json)


@app.command("list")
def list_(
    zone: Annotated[str | None, typer.Option(help="Only of this zone.")] = None,
    removed: Annotated[bool, typer.Option("--all", help="Also those who receive no more.")] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """List who receives what."""
    with opened(home) as site:
        found = site.rights.recipients.list(zone, removed=removed)
    rows = [
        (one.name, one.zone, one.contact, "signs" if one.public_key else "", "removed" if one.removed_at else "")
        for one in found
    ]
    human = table(("recipient", "zone", "contact", "", ""), rows) if rows else "nobody receives anything"
    emit([_document(one) for one in found], human, as_json=as_json)


@app.command("remove")
def remove(name: _Name, zone: _Zone, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Record that somebody receives no more. Certificates of people who were there before name them all the same."""
    with opened(home) as site:
        gone = site.rights.recipients.remove(zone, name)
    emit(_document(gone), f"{gone.name} receives nothing of {gone.zone} any more", as_json=as_json)


@app.command("sign")
def sign(
    certificate: Annotated[Path, typer.Argument(help="The certificate's file, as the site gave it.")],
    trust: Annotated[Path, typer.Option(help="The site's public key, site.pub.", show_default=False)],
    key: Annotated[Path, typer.Option(help="The recipient's private key; 'volens operator keygen' makes one.")],
    out: Annotated[Path, typer.Option(help="The statement to write, for the site.")],
    passphrase_file: PassphraseOption = None,
    as_json: JsonOption = False,
) -> None:
    """As the recipient: state that what this certificate is about was erased here too. Needs no site."""
    must_be_new(out, "the statement")
    try:
        trusted = VerifierKey.parse(read_file(trust, "public key").decode("utf-8").strip())
    except UnicodeDecodeError:
        raise InputError(f"got {trust}, which is no public key; give the site's site.pub") from None
    checked = verify_certificate(read_file(certificate, "certificate"), trusted)
    data = read_file(key, "key")
    if is_protected(data) and passphrase_file is None:
        raise InputError("got a key with a passphrase; give --passphrase-file")
    phrase = None if passphrase_file is None else read_file(passphrase_file, "passphrase").rstrip(b"\r\n")
    signer = OperatorKey.from_pem(data, phrase)
    write_private(out, sign_statement(signer, checked.certificate_id, datetime.now(UTC)))
    document = {"statement": str(out), "certificate_id": checked.certificate_id}
    emit(document, f"wrote {out}; give it to the site: volens certificate acknowledge", as_json=as_json)


def _document(recipient: Recipient) -> dict[str, Any]:
    return {
        "recipient_id": recipient.recipient_id,
        "zone": recipient.zone,
        "name": recipient.name,
        "contact": recipient.contact,
        "signs": recipient.public_key is not None,
        "added_at": format_time(recipient.added_at),
        "removed_at": None if recipient.removed_at is None else format_time(recipient.removed_at),
    }
