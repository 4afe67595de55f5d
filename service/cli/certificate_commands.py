"""`volens certificate` and `volens dossier`: check certificates and dossiers of erasures offline, with a public key.

Also: show a certificate as a page, and add acknowledgements of recipients.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple

import typer

from volens import Site
from volens.audit import VerifierKey
from volens.audit.cosignature import Cosignature, require_quorum
from volens.consent import TakeHome, TamperError, VerifiedReceipt, VolensError, format_time
from volens.consent.errors import WrongKeyError
from volens.consent.receipt import notice_language, verify_receipt
from volens.erase.order import Dossier, verify_dossier
from volens.erase.pages import page_language
from volens.erase.proof import Certificate, is_for, verify_certificate
from volens.service.certificate_page import certificate_page
from volens.service.cli.cohort_commands import people_counted
from volens.service.cli.command_types import Commands, Output
from volens.service.cli.exit_codes import ExitCode, code_of
from volens.service.cli.named_files import Quorum, must_be_new, read_file, read_site_key, write_public
from volens.service.cli.options import JsonOption, LanguageOption, QuorumOption, TrustOption, WitnessKeyOption
from volens.service.cli.output import counted, emit, shown, tracked

app = Commands("certificate", "Find, check and print erasure certificates.")
dossier_app = Commands("dossier", "Check the dossier of an erasure order.")

_ANOTHER: Final = "integrity: no certificate here is about this receipt's consent; ask the site for the right one"
_File = Annotated[Path, typer.Argument(help="The certificate's file.", show_default=False)]


@app.command(
    "verify", "certificate.json --trust site.pub --receipt ada.receipt.json\ncertificates/*.json --trust site.pub"
)
def verify(
    certificates: Annotated[
        list[Path], typer.Argument(metavar="CERTIFICATE", help="The certificates' files.", show_default=False)
    ],
    trust: TrustOption,
    receipt: Annotated[
        Path | None,
        typer.Option(
            help="A receipt, or the take-home file: one of the certificates must be about its consent.",
            show_default=False,
        ),
    ] = None,
    witness: WitnessKeyOption = None,
    quorum: QuorumOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check certificates offline: signature, statement, place in the log, what was searched for. No site is needed.

    Of several files, each has a line and the last line counts them; the exit code is that of the worst.
    """
    key = read_site_key(trust)
    witnesses = Quorum.of(witness, quorum)
    consent = None if receipt is None else _signed_receipt(receipt)
    if len(certificates) == 1:
        checked = _checked(certificates[0], key, consent, witnesses)
        if consent is not None and not checked.is_for_receipt:
            raise TamperError(_ANOTHER)
        emit(_document(checked, key), _text(checked, key), as_json=as_json)
        return
    document, text, code = _verify_all(certificates, key, consent, witnesses)
    emit(document, text, as_json=as_json)
    raise typer.Exit(code)


@app.command("show", "certificate.json --trust site.pub --receipt ada.receipt.json --html certificate.html")
def show(
    certificate: _File,
    trust: TrustOption,
    html: Annotated[Path, typer.Option(help="The page to write: one sheet of A4, for the person.")],
    receipt: Annotated[
        Path | None,
        typer.Option(
            help="The person's receipt: the certificate must be about it, and the page has its language.",
            show_default=False,
        ),
    ] = None,
    language: LanguageOption = None,
) -> Output:
    """Check a certificate and write it as an HTML page in plain words. No site and no network are needed."""
    must_be_new(html, "the page")
    key = read_site_key(trust)
    consent = None if receipt is None else _signed_receipt(receipt)
    checked = _checked(certificate, key, consent)
    if consent is not None and not checked.is_for_receipt:
        raise TamperError(_ANOTHER)
    chosen = language or page_language(None if consent is None else notice_language(consent))
    write_public(html, certificate_page(checked.certificate, key, chosen).encode("utf-8"))
    document = {"page": str(html), "certificate_id": checked.certificate.certificate_id, "language": chosen}
    return document, f"wrote {shown(html)}; open it in a browser, or print it"


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
    text = f"acknowledgement of {shown(recipient)} added; give the person the new file: {shown(written)}"
    return document, text


class _Checked(NamedTuple):
    """A certificate that verified; whether it is about the receipt's consent, None if there is no receipt.

    `cosigned` are the cosignatures of the witnesses that the reader trusts.
    """

    certificate: Certificate
    is_for_receipt: bool | None
    cosigned: Sequence[Cosignature] = ()


def _signed_receipt(path: Path) -> VerifiedReceipt:
    """Read a receipt; the person's key is in it, and its thumbprint is the person's id."""
    receipt = TakeHome.parse(read_file(path, "receipt")).receipt
    return verify_receipt(receipt, receipt.claims.subject_key)


def _checked(
    path: Path, key: VerifierKey, consent: VerifiedReceipt | None, witnesses: Quorum | None = None
) -> _Checked:
    certificate = verify_certificate(read_file(path, "certificate"), key)
    return _Checked(
        certificate,
        None if consent is None else is_for(certificate, consent),
        () if witnesses is None else _cosignatures(certificate, witnesses),
    )


def _cosignatures(certificate: Certificate, witnesses: Quorum) -> list[Cosignature]:
    if certificate.witnessed is None:
        raise TamperError(
            "integrity: this certificate carries no checkpoint that witnesses have cosigned; ask the site for the "
            "newest file: volens certificate export"
        )
    return require_quorum(certificate.witnessed.note, witnesses.keys, witnesses.needed)


def _document(checked: _Checked, key: VerifierKey) -> dict[str, Any]:
    certificate = checked.certificate
    document = {
        "valid": True,
        "signed_by": key.name,
        "statement": dict(certificate.statement),
        "statement_sha256": certificate.entry.details["statement_sha256"],
        "acknowledgements": [dict(one) for one in certificate.acknowledgements],
    }
    if checked.cosigned:
        document["cosigned_by"] = [one.witness.name for one in checked.cosigned]
    return document if checked.is_for_receipt is None else document | {"is_for_receipt": checked.is_for_receipt}


def _verify_all(
    paths: Sequence[Path], key: VerifierKey, consent: VerifiedReceipt | None, witnesses: Quorum | None
) -> tuple[dict[str, Any], str, ExitCode]:
    documents: list[dict[str, Any]] = []
    lines: list[str] = []
    codes: list[ExitCode] = []
    is_found = False
    for path in tracked(paths, "checking"):
        try:
            checked = _checked(path, key, consent, witnesses)
        except VolensError as error:
            codes.append(code_of(error))
            documents.append({"file": str(path), "valid": False, "error": str(error)})
            lines.append(
                f"{'WRONG KEY' if isinstance(error, WrongKeyError) else 'NOT VALID'}  {shown(path)}: {shown(error)}"
            )
            continue
        is_found = is_found or checked.is_for_receipt is True
        documents.append({"file": str(path), **_document(checked, key)})
        mine = {None: "", True: ", for this receipt", False: ", for another receipt"}[checked.is_for_receipt]
        zone, reason = checked.certificate.zone, checked.certificate.reason
        lines.append(f"valid  {shown(path)}: zone {zone}, {reason}, {format_time(checked.certificate.erased_at)}{mine}")
    lines.append(f"{len(paths) - len(codes)} of {counted(len(paths), 'certificate')} valid, signed by {key.name}")
    if consent is not None and not is_found:
        codes.append(ExitCode.INTEGRITY)
        lines.append(_ANOTHER)
    document: dict[str, Any] = {"valid": not codes, "signed_by": key.name, "certificates": documents}
    if consent is not None:
        document["is_for_receipt"] = is_found
    return document, "\n".join(lines), _worst(codes)


def _worst(codes: Sequence[ExitCode]) -> ExitCode:
    """Return the code of what must be investigated before anything else: a wrong signature, then an unusable file."""
    return ExitCode.INTEGRITY if ExitCode.INTEGRITY in codes else max(codes, default=ExitCode.DONE)


def _text(found: _Checked, key: VerifierKey) -> str:
    checked, is_for_receipt = found.certificate, found.is_for_receipt
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
        f"\nacknowledged by {shown(one.get('recipient', 'a recipient'))} at "
        f"{shown(one.get('acknowledged_at', 'an unknown time'))}, "
        f"{'signed by the recipient' if 'statement' in one else 'recorded by the site'}"
        for one in checked.acknowledgements
    )
    recipients = "".join(f"\nrecipient: {shown(one['name'])}" for one in statement.get("recipients", ()))
    cosigned = "".join(f"\ncosigned by {shown(one.witness.name)} at {format_time(one.at)}" for one in found.cosigned)
    places = ", ".join(shown(one["name"]) for one in statement["searched_in"])
    return (
        f"valid: signed by {key.name}, in a log of {counted(checked.checkpoint.size, 'entry', 'entries')}\n"
        f"certificate {checked.certificate_id}\n"
        f"for the receipt with SHA-256 {checked.receipt_sha256}{', which is this receipt' if is_for_receipt else ''}\n"
        f"statement with SHA-256 {checked.entry.details['statement_sha256']}, as the log has it\n"
        f"zone {checked.zone}, {checked.reason}; matching ended {format_time(checked.ended_at)}, "
        f"erased {format_time(checked.erased_at)}\n"
        + (f"sealed data that existed:{existed}\n" if existed else "")
        + f"destroyed:\n{destroyed}\n"
        f"search with the old embedding, before: {before}\n"
        f"search with the old embedding, afterwards: {after}\n"
        f"searched for, and not found:\n{searched}\n"
        f"searched in: {places}\n"
        f"not promised: {statement['not_promised']}{recipients}{answers}{cosigned}"
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
