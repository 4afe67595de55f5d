"""`volens dossier verify`: anybody, anywhere, with the dossier and the public key alone."""

from pathlib import Path
from typing import Annotated

import typer

from volens.audit import VerifierKey
from volens.consent import InputError
from volens.erase.order import Dossier, verify_dossier
from volens.service.cli.named_files import read_file
from volens.service.cli.options import JsonOption
from volens.service.cli.output import emit

app = typer.Typer(help="Dossiers of erasures by order.", no_args_is_help=True)


@app.command("verify")
def verify(
    dossier: Annotated[Path, typer.Argument(help="The dossier's folder.", show_default=False)],
    key: Annotated[
        Path, typer.Option(help="The site's public key, site.pub, from elsewhere than the dossier.", show_default=False)
    ],
    as_json: JsonOption = False,
) -> None:
    """Check a dossier offline: plan, approvals, counts, every certificate, the log. Exit code 4 if it does not hold."""
    try:
        trusted = VerifierKey.parse(read_file(key, "public key").decode("utf-8").strip())
    except UnicodeDecodeError:
        raise InputError(f"got {key}, which is no public key; give the site's site.pub") from None
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
    emit(document, _said(checked, trusted), as_json=as_json)


def _said(checked: Dossier, key: VerifierKey) -> str:
    before, after = checked.counts["before"], checked.counts["after"]
    selection = ", ".join(f"{name} {value}" for name, value in checked.plan.selection.document().items())
    return (
        f"valid: signed by {key.name}, in a log of {checked.checkpoint.size} entries\n"
        f"ordered: {selection}; approved by {', '.join(checked.approved_by) or 'the operator at the desk'}\n"
        f"before ({before['measured_at']}): {_counted(before['cohort'])}; {before['requests_answered']} requests for "
        "access answered first\n"
        f"after ({after['measured_at']}): {_counted(after['cohort'])}\n"
        f"{len(checked.certificates)} certificates, each of them checked; others: {_counted(after['outside'])}"
    )


def _counted(counts: dict[str, int]) -> str:
    return f"{counts['people']} people, {counts['consents']} consents, {counts['references']} references"
