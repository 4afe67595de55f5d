"""`volens audit`: the log that everything leaves a trace in."""

from typing import Annotated

import typer

from volens.consent import format_time
from volens.service.cli.options import HomeOption, JsonOption
from volens.service.cli.output import emit
from volens.service.cli.session import opened

app = typer.Typer(help="The audit log.", no_args_is_help=True)


@app.command("verify")
def verify(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Verify the whole log: leaves, tree, signed checkpoints, openings. Exit code 4 if it does not hold."""
    with opened(home) as site:
        report = site.log.verify()
    document = {
        "origin": report.origin,
        "size": report.size,
        "root": report.root.hex(),
        "checkpoints": report.checkpoints,
        "openings": report.openings,
        "kinds": dict(report.kinds),
    }
    kinds = "\n".join(f"  {count:6} {kind}" for kind, count in sorted(report.kinds.items()))
    said = (
        f"the log {report.origin} holds: {report.size} entries, {report.checkpoints} signed checkpoints, "
        f"{report.openings} entries that can still be opened\n{kinds}"
    )
    emit(document, said, as_json=as_json)


@app.command("show")
def show(
    kind: Annotated[str | None, typer.Argument(help="Only events of this kind, such as 'decisions.counted'.")] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what the log says, as far as it can be opened and is about no person: who asked what, and how often."""
    with opened(home) as site:
        found = site.log.opened(kind)
    document = [{"kind": one.kind, "at": format_time(one.at), "details": dict(one.details)} for one in found]
    said = "\n".join(
        f"{format_time(one.at)} {one.kind}  {', '.join(f'{name} {value}' for name, value in one.details.items())}"
        for one in found
    )
    emit({"events": document}, said or "there is no such event that can be opened", as_json=as_json)
