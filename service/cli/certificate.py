"""`volens certificate verify`: anybody, anywhere, with the certificate and the public key alone."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from audit import VerifierKey
from consent import InputError, format_time
from erase import Certificate, verify_certificate
from service.cli.files import read_file
from service.cli.options import JsonOption
from service.cli.output import emit

app = typer.Typer(help="Erasure certificates.", no_args_is_help=True)


@app.command("verify")
def verify(
    certificate: Annotated[Path, typer.Argument(help="The certificate's file.", show_default=False)],
    trust: Annotated[Path, typer.Option(help="The site's public key, site.pub.", show_default=False)],
    as_json: JsonOption = False,
) -> None:
    """Check a certificate offline: signature, place in the log, and what was searched for. Needs no site."""
    try:
        key = VerifierKey.parse(read_file(trust, "public key").decode("utf-8").strip())
    except UnicodeDecodeError:
        raise InputError(f"got {trust}, which is no public key; give the site's site.pub") from None
    checked = verify_certificate(read_file(certificate, "certificate"), key)
    document = {
        "valid": True,
        "signed_by": key.name,
        "statement": dict(checked.statement),
        "acknowledgements": [dict(one) for one in checked.acknowledgements],
    }
    emit(document, _said(checked, key), as_json=as_json)


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
        f"\nacknowledged by {one.get('recipient', 'a recipient')} at {one.get('acknowledged_at', 'an unknown time')}"
        for one in checked.acknowledgements
    )
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
        f"not promised: {statement['not_promised']}{answers}"
    )


def _search(one: Mapping[str, Any]) -> str:
    if "not_run" in one:
        return f"not run, {one['not_run']}"
    return f"found at rank {one['rank']}" if "rank" in one else "found" if one["found"] else "not found"
