"""`volens erase`: what is erased beyond one person's withdrawal. Without a subcommand: by order, for many."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from volens.consent import InputError
from volens.erase.order import Selection
from volens.service.cli import cohort_commands as cohort
from volens.service.cli import erasure_commands as erasure
from volens.service.cli.options import HomeOption, JsonOption, OperatorKeyOption, PassphraseOption

app = typer.Typer(help="Erase by order: plan, approve, carry out, prove.", invoke_without_command=True)
app.command("resume")(erasure.resume)
app.command("prove")(erasure.prove)

_DAY = "%Y-%m-%d"
_MOMENT = "%Y-%m-%dT%H:%M:%SZ"


@app.callback()
def erase(
    context: typer.Context,
    jurisdiction: Annotated[str | None, typer.Option(help="People protected by this law: ISO 3166, as FR.")] = None,
    zone: Annotated[str | None, typer.Option(help="Consents for this zone.")] = None,
    notice_version: Annotated[int | None, typer.Option(help="Consents to the notice of this version.")] = None,
    model: Annotated[str | None, typer.Option(help="People with a reference of this model.")] = None,
    before: Annotated[
        datetime | None, typer.Option(formats=[_DAY, _MOMENT], help="Consents given before this moment, UTC.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Where to write the plan, or with --approve the approval.")] = None,
    approve: Annotated[Path | None, typer.Option(help="Approve this plan, with --operator-key.")] = None,
    trust: Annotated[Path | None, typer.Option(help="With --approve: the site's public key; else the home's.")] = None,
    execute: Annotated[Path | None, typer.Option(help="Carry this plan out, or go on with it.")] = None,
    approval: Annotated[list[Path] | None, typer.Option(help="With --execute: another operator's approval.")] = None,
    dossier: Annotated[Path | None, typer.Option(help="With --execute: the dossier's folder.")] = None,
    answers: Annotated[
        Path | None, typer.Option(help="With --execute: a folder for the answers to open requests.")
    ] = None,
    stop_collecting: Annotated[
        bool, typer.Option("--stop-collecting", help="Refuse new consents of --jurisdiction or --zone until lifted.")
    ] = False,
    standing: Annotated[bool, typer.Option("--standing", help="List the orders to stop collecting.")] = False,
    lift: Annotated[str | None, typer.Option(help="Lift the order of this id.")] = None,
    operator_key: OperatorKeyOption = None,
    passphrase_file: PassphraseOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Erase many by order. A selection alone is a dry run that counts and writes a plan; --execute carries it out."""
    if context.invoked_subcommand is not None:
        return
    acts = [approve is not None, execute is not None, stop_collecting, standing, lift is not None]
    if sum(acts) > 1:
        raise InputError("got several of --approve, --execute, --stop-collecting, --standing and --lift; give one")
    if any(acts) and not stop_collecting and (jurisdiction, zone, notice_version, model, before) != (None,) * 5:
        raise InputError("got a selection with something that takes none; the plan or the order says who is meant")
    if execute is None and (approval or dossier or answers):
        raise InputError("got --approval, --dossier or --answers without --execute; name the plan")
    keys = cohort.Keys(operator_key or [], passphrase_file)
    if approve is not None:
        cohort.approve(approve, keys, trust, out, home, as_json=as_json)
    elif execute is not None:
        cohort.execute(execute, approval or [], dossier, answers, home, as_json=as_json)
    elif standing:
        cohort.standing(home, as_json=as_json)
    elif lift is not None:
        cohort.lift(lift, keys, home, as_json=as_json)
    else:
        moment = None if before is None else before.replace(tzinfo=UTC)
        selection = Selection.declare(
            jurisdiction=jurisdiction, zone=zone, notice_version=notice_version, model=model, before=moment
        )
        (cohort.stop if stop_collecting else cohort.plan)(selection, keys, out, home, as_json=as_json)
