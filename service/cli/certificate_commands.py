"""`volens certificate` and `volens dossier`: check certificates and dossiers of erasures offline, with a public key.

Also: show a certificate as a page, and add acknowledgements of recipients.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from volens import Site
from volens.audit import VerifierKey
from volens.consent import format_time
from volens.erase.order import Dossier, verify_dossier
from volens.erase.proof import Certificate, verify_certificate
from volens.service.certificate_page import certificate_page
from volens.service.cli.cohort_commands import people_counted
from volens.service.cli.command_types import Commands, Output
from volens.service.cli.named_files import must_be_new, read_file, read_site_key, write_private
from volens.service.cli.options import TrustOption
from volens.service.cli.output import counted

app = Commands("certificate", "Check erasure certificates, or show them as a page.")
dossier_app = Commands("dossier", "Check the dossier of an erasure order.")

_File = Annotated[Path, typer.Argument(help="The certificate's file.", show_default=False)]


@app.command("verify", "certificate.json --trust site.pub")
def verify(certificate: _File, trust: TrustOption) -> Output:
    """Check a certificate offline: signature, place in the log, what was searched for. No site is needed."""
    key = read_site_key(trust)
    checked = verify_certificate(read_file(certificate, "certificate"), key)
    document = {
        "valid": True,
        "signed_by": key.name,
        "statement": dict(checked.statement),
        "acknowledgements": [dict(one) for one in checked.acknowledgements],
    }
    return document, _text(checked, key)


@app.command("show", "certificate.json --trust site.pub --html certificate.html")
def show(
    certificate: _File,
    trust: TrustOption,
    html: Annotated[Path, typer.Option(help="The page to write: one sheet of A4, for the person.")],
) -> Output:
    """Check a certificate and write it as an HTML page in plain words. No site and no network are needed."""
    must_be_new(html, "the page")
    key = read_site_key(trust)
    checked = verify_certificate(read_file(certificate, "certificate"), key)
    write_private(html, certificate_page(checked, key).encode("utf-8"))
    document = {"page": str(html), "certificate_id": checked.certificate_id}
    return document, f"wrote {html}; open it in a browser, or print it"


@app.command("acknowledge", 'certificate.json --recipient "Door panels" --statement erased.json')
def acknowledge(
    site: Site,
    certificate: Annotated[str, typer.Argument(help="The certificate's id, or its file.", show_default=False)],
    recipient: Annotated[str, typer.Option(help="The recipient's name, as in 'volens recipient list'.")],
    statement: Annotated[Path, typer.Option(help="The recipient's statement; signed, if the site has its key.")],
) -> Output:
    """Add to a certificate a recipient's acknowledgement that it erased the data, too (GDPR 19)."""
    data = read_file(statement, "statement")
    path = Path(certificate)
    certificate_id = path.stem if path.suffix else certificate
    written = site.rights.recipients.acknowledge(certificate_id, recipient, data)
    document = {"certificate_id": certificate_id, "recipient": recipient, "certificate": str(written)}
    text = f"acknowledgement of {recipient} added; give the person the new file: {written}"
    return document, text


def _text(checked: Certificate, key: VerifierKey) -> str:
    statement = checked.statement
    destroyed = "\n".join(f"  {count} {what}" for what, count in sorted(statement["destroyed"].items()))
    searched = "\n".join(
        f"  {one['what']}: {counted(one['pieces'], 'piece')}, found {one['found']}" for one in statement["searched"]
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
        f"{'signed by the recipient' if 'statement' in one else 'recorded by the site'}"
        for one in checked.acknowledgements
    )
    recipients = "".join(f"\nrecipient: {one['name']}" for one in statement.get("recipients", ()))
    places = ", ".join(one["name"] for one in statement["searched_in"])
    return (
        f"valid: signed by {key.name}, in a log of {counted(checked.checkpoint.size, 'entry', 'entries')}\n"
        f"certificate {checked.certificate_id}\n"
        f"for the receipt with SHA-256 {checked.receipt_sha256}\n"
        f"zone {checked.zone}, {checked.reason}; matching ended {format_time(checked.ended_at)}, "
        f"erased {format_time(checked.erased_at)}\n"
        + (f"sealed data that existed:{existed}\n" if existed else "")
        + f"destroyed:\n{destroyed}\n"
        f"search with the old embedding, before: {before}\n"
        f"search with the old embedding, afterwards: {after}\n"
        f"searched for, and not found:\n{searched}\n"
        f"searched in: {places}\n"
        f"not promised: {statement['not_promised']}{recipients}{answers}"
    )


def _search(one: Mapping[str, Any]) -> str:
    if "not_run" in one:
        return f"not run, {one['not_run']}"
    return f"found at rank {one['rank']}" if "rank" in one else "found" if one["found"] else "not found"


@dossier_app.command("verify", "order-7.dossier --key site.pub")
def verify_order(
    dossier: Annotated[Path, typer.Argument(help="The dossier's folder.", show_default=False)],
    key: Annotated[
        Path,
        typer.Option(help="The site's public key, site.pub, from another source than the dossier.", show_default=False),
    ],
) -> Output:
    """Check a dossier offline: plan, approvals, counts, every certificate, the log. Exit code 4 if it does not hold."""
    trusted = read_site_key(key)
    checked = verify_dossier(dossier, trusted)
    document = {
        "valid": True,
        "signed_by": trusted.name,
        "cohort_id": checked.plan.cohort_id,
        "selection": checked.plan.selection.document(),
        "certificates": len(checked.certificates),
        "approved_by": list(checked.approved_by),
        "before": checked.counts["before"],
        "after": checked.counts["after"],
        "log_size": checked.checkpoint.size,
    }
    return document, _dossier_text(checked, trusted)


def _dossier_text(checked: Dossier, key: VerifierKey) -> str:
    before, after = checked.counts["before"], checked.counts["after"]
    selection = ", ".join(f"{name} {value}" for name, value in checked.plan.selection.document().items())
    return (
        f"valid: signed by {key.name}, in a log of {counted(checked.checkpoint.size, 'entry', 'entries')}\n"
        f"ordered: {selection}; approved by {', '.join(checked.approved_by) or 'the operator at the desk'}\n"
        f"before ({before['measured_at']}): {people_counted(before['cohort'])}; "
        f"{counted(before['requests_answered'], 'request')} for access answered first\n"
        f"after ({after['measured_at']}): {people_counted(after['cohort'])}\n"
        f"{counted(len(checked.certificates), 'certificate')}, each of them checked; "
        f"others: {people_counted(after['outside'])}"
    )
