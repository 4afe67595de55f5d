"""`volens certificate`: checked by anybody, anywhere; shown as a page; with the answers of recipients."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from volens.audit import VerifierKey
from volens.consent import InputError, format_time
from volens.erase.proof import Certificate, verify_certificate
from volens.service.certificate_page import certificate_page
from volens.service.cli.named_files import must_be_new, read_file, write_private
from volens.service.cli.options import HomeOption, JsonOption
from volens.service.cli.output import emit
from volens.service.cli.session import opened

app = typer.Typer(help="Erasure certificates.", no_args_is_help=True)


@app.command("verify")
def verify(
    certificate: Annotated[Path, typer.Argument(help="The certificate's file.", show_default=False)],
    trust: Annotated[Path, typer.Option(help="The site's public key, site.pub.", show_default=False)],
    as_json: JsonOption = False,
) -> None:
    """Check a certificate offline: signature, place in the log, and what was searched for. Needs no site."""
    checked, key = _checked(certificate, trust)
    document = {
        "valid": True,
        "signed_by": key.name,
        "statement": dict(checked.statement),
        "acknowledgements": [dict(one) for one in checked.acknowledgements],
    }
    emit(document, _said(checked, key), as_json=as_json)


@app.command("show")
def show(
    certificate: Annotated[Path, typer.Argument(help="The certificate's file.", show_default=False)],
    trust: Annotated[Path, typer.Option(help="The site's public key, site.pub.", show_default=False)],
    html: Annotated[Path, typer.Option(help="The page to write: one sheet of A4, for the person.")],
    as_json: JsonOption = False,
) -> None:
    """Check a certificate and write it as a page in plain words. Needs no site and no network."""
    must_be_new(html, "the page")
    checked, key = _checked(certificate, trust)
    write_private(html, certificate_page(checked, key).encode("utf-8"))
    document = {"page": str(html), "certificate_id": checked.certificate_id}
    emit(document, f"wrote {html}; open it in a browser, or print it", as_json=as_json)


@app.command("acknowledge")
def acknowledge(
    certificate: Annotated[str, typer.Argument(help="The certificate's id, or its file.", show_default=False)],
    recipient: Annotated[str, typer.Option(help="Who answered, as 'volens recipient list' has them.")],
    statement: Annotated[Path, typer.Option(help="What they answered; signed, if the recipient has a key here.")],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add to a certificate that a recipient erased too (GDPR 19)."""
    data = read_file(statement, "statement")
    path = Path(certificate)
    certificate_id = path.stem if path.suffix else certificate
    with opened(home) as site:
        written = site.rights.recipients.acknowledge(certificate_id, recipient, data)
    document = {"certificate_id": certificate_id, "recipient": recipient, "certificate": str(written)}
    emit(document, f"{recipient} has acknowledged; give the person the file anew: {written}", as_json=as_json)


def _checked(certificate: Path, trust: Path) -> tuple[Certificate, VerifierKey]:
    try:
        key = VerifierKey.parse(read_file(trust, "public key").decode("utf-8").strip())
    except UnicodeDecodeError:
        raise InputError(f"got {trust}, which is no public key; give the site's site.pub") from None
    return verify_certificate(read_file(certificate, "certificate"), key), key


def _said(checked: Certificate, key: VerifierKey) -> str:
    statement = checked.statement
    destroyed = "\n".join(f"  {count} {what}" for what, count in sorted(statement["destroyed"].items()))
    searched = "\n".join(
        f"  {one['what']}: {one['pieces']} pieces, found {one['found']}" for one in statement["searched"]
    )
    existed = "".join(
        f"\n  {one['what']}, salted SHA-256 {one['salted_sha256']}" for one in statement.get("existed", ())
    )
    before, after = (
        "; ".join(_search(one) for one in statement.get(f"search_{when}", ())) or "not recorded"
        for when in ("before", "after")
    )
    answers = "".join(
        f"\nacknowledged by {one.get('recipient', 'a recipient')} at {one.get('acknowledged_at', 'an unknown time')}, "
        f"{'signed by themselves' if 'statement' in one else 'as the site recorded it'}"
        for one in checked.acknowledgements
    )
    told = "".join(f"\nrecipient: {one['name']}" for one in statement.get("recipients", ()))
    places = ", ".join(one["name"] for one in statement["searched_in"])
    return (
        f"valid: signed by {key.name}, entry of a log of {checked.checkpoint.size} entries\n"
        f"certificate {checked.certificate_id}\n"
        f"for the receipt with SHA-256 {checked.receipt_sha256}\n"
        f"zone {checked.zone}, {checked.reason}; matching ended {format_time(checked.ended_at)}, "
        f"erased {format_time(checked.erased_at)}\n"
        + (f"what there was, sealed:{existed}\n" if existed else "")
        + f"destroyed:\n{destroyed}\n"
        f"search by the old embedding, before the end: {before}\n"
        f"search by the old embedding, afterwards: {after}\n"
        f"searched for, and not found:\n{searched}\n"
        f"searched in: {places}\n"
        f"not promised: {statement['not_promised']}{told}{answers}"
    )


def _search(one: Mapping[str, Any]) -> str:
    if "not_run" in one:
        return f"not run, {one['not_run']}"
    return f"found at rank {one['rank']}" if "rank" in one else "found" if one["found"] else "not found"
