"""`volens audit`: the audit log, a Merkle tree of signed events."""

from typing import Annotated

import typer

from volens import Site
from volens.consent import format_time
from volens.service.cli.command_types import Commands, Output
from volens.service.cli.output import members

app = Commands("audit", "Verify and show the audit log.")


@app.command("verify")
def verify(site: Site) -> Output:
    """Verify the whole audit log: leaves, tree, signed checkpoints, openings. Exit code 4 if it does not hold."""
    report = site.log.verify()
    kinds = "\n".join(f"  {count:6} {kind}" for kind, count in sorted(report.kinds.items()))
    text = (
        f"the log {report.origin} holds: {report.size} entries, {report.checkpoints} signed checkpoints, "
        f"{report.openings} entries that can still be opened\n{kinds}"
    )
    return members(report, "origin size root checkpoints openings kinds"), text


@app.command("show", "decisions.counted")
def show(
    site: Site,
    kind: Annotated[str | None, typer.Argument(help="Only events of this kind, such as 'decisions.counted'.")] = None,
) -> Output:
    """Show events of the audit log that can be opened and concern no person, such as requests for each caller."""
    found = site.log.opened(kind)
    text = "\n".join(
        f"{format_time(one.at)} {one.kind}  {', '.join(f'{name} {value}' for name, value in one.details.items())}"
        for one in found
    )
    return {"events": [members(one, "kind at details") for one in found]}, text or "no event of this kind can be opened"
