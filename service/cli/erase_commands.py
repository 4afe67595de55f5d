"""`volens erase`: erasure orders for many people; resume erasures, and prove that they held."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from volens import Site
from volens.consent import InputError
from volens.erase.order import Selection
from volens.erase.proof import Absent
from volens.service.cli import cohort_commands as cohort
from volens.service.cli.command_types import Commands, Output
from volens.service.cli.exit_codes import ExitCode
from volens.service.cli.named_files import read_file
from volens.service.cli.options import HomeOption, JsonOption, OperatorKeyOption, PassphraseOption
from volens.service.cli.output import counted, emit, progress
from volens.service.cli.person_argument import consents_meant
from volens.service.cli.session import opened
from volens.service.cli.sweep_commands import erased_document

app = Commands(
    "erase",
    example="--jurisdiction FR --out fr.json\n--approve fr.json --operator-key marie.key\n--execute fr.json",
    invoke_without_command=True,
)

_DAY = "%Y-%m-%d"
_MOMENT = "%Y-%m-%dT%H:%M:%SZ"


@app.callback()
def erase(
    context: typer.Context,
    jurisdiction: Annotated[
        str | None, typer.Option(help="People protected by this law: ISO 3166, such as FR.")
    ] = None,
    zone: Annotated[str | None, typer.Option(help="Consents for this zone.")] = None,
    notice_version: Annotated[int | None, typer.Option(help="Consents to this version of the notice.")] = None,
    model: Annotated[str | None, typer.Option(help="People with a reference of this model.")] = None,
    before: Annotated[
        datetime | None, typer.Option(formats=[_DAY, _MOMENT], help="Consents given before this moment, UTC.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="File for the plan, or with --approve for the approval.")] = None,
    approve: Annotated[Path | None, typer.Option(help="Approve this plan, with --operator-key.")] = None,
    trust: Annotated[
        Path | None, typer.Option(help="With --approve: the site's public key. Default: the home's.")
    ] = None,
    execute: Annotated[Path | None, typer.Option(help="Carry out this plan, or continue with it.")] = None,
    approval: Annotated[
        list[Path] | None, typer.Option(metavar="<path>", help="With --execute: another operator's approval.")
    ] = None,
    dossier: Annotated[Path | None, typer.Option(help="With --execute: the dossier's folder.")] = None,
    answers: Annotated[
        Path | None, typer.Option(help="With --execute: a folder for the answers to open access requests.")
    ] = None,
    stop_collecting: Annotated[
        bool, typer.Option("--stop-collecting", help="Refuse new consents of --jurisdiction or --zone until lifted.")
    ] = False,
    standing: Annotated[bool, typer.Option("--standing", help="List the orders to stop collecting.")] = False,
    lift: Annotated[str | None, typer.Option(help="Lift the order with this id.")] = None,
    operator_key: OperatorKeyOption = None,
    passphrase_file: PassphraseOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Erase many people by order: plan, approve, carry out.

    A selection alone is a dry run: it counts people and writes a plan. --execute carries the plan out.
    """
    if context.invoked_subcommand is not None:
        return
    actions = [approve is not None, execute is not None, stop_collecting, standing, lift is not None]
    if sum(actions) > 1:
        raise InputError("pass only one of --approve, --execute, --stop-collecting, --standing and --lift")
    if any(actions) and not stop_collecting and (jurisdiction, zone, notice_version, model, before) != (None,) * 5:
        raise InputError("remove the selection; the plan or the order defines which people are concerned")
    if execute is None and (approval or dossier or answers):
        raise InputError("--approval, --dossier and --answers need --execute with the plan")
    keys = cohort.Keys(operator_key or [], passphrase_file)
    if approve is not None:
        output = cohort.approve(approve, keys, trust, out, home)
    elif execute is not None:
        output = cohort.execute(execute, approval or [], dossier, answers, home)
    elif standing:
        output = cohort.standing(home)
    elif lift is not None:
        output = cohort.lift(lift, keys, home)
    else:
        moment = None if before is None else before.replace(tzinfo=UTC)
        selection = Selection.declare(
            jurisdiction=jurisdiction, zone=zone, notice_version=notice_version, model=model, before=moment
        )
        output = (cohort.stop if stop_collecting else cohort.plan)(selection, keys, out, home)
    emit(*output, as_json=as_json)


@app.command("resume")
def resume(home: HomeOption = None) -> Output:
    """Finish erasures and orders that a crash, a full disk or a locked file stopped. No new erasure is started."""
    # Every command finishes single erasures when it opens the site. Only this one and the sweep continue orders,
    # which may concern thousands of people.
    with progress("erasing") as advance, opened(home, progress=advance) as site:
        if site.unfinished is not None:
            raise site.unfinished
        orders = site.cohorts.resume(advance)
    finished = [erased_document(one) for one in site.resumed]
    text = f"{counted(len(finished), 'erasure')} finished, none is left"
    if orders:
        text += f"\n{counted(len(orders), 'order')} finished; to write a dossier: volens erase --execute PLAN"
    return {"finished": finished, "orders": [one.cohort_id for one in orders]}, text


@app.command("proposed", "0f6a2c9d4e1b48f7a3d5c6b7e8f90a1b --out fr.json")
def proposed(
    site: Site,
    cohort_id: Annotated[str | None, typer.Argument(help="Write the plan of this order, for signing.")] = None,
    out: Annotated[Path | None, typer.Option(help="File for the plan.")] = None,
) -> Output:
    """List the orders that privacy officers proposed over the service, or write the plan of one."""
    return cohort.proposed(site, cohort_id, out)


@app.command("prove", "ada.receipt.json")
def prove(
    who: Annotated[
        str,
        typer.Argument(metavar="PERSON", help="A receipt file, a certificate file, or an id.", show_default=False),
    ],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Search every file of the site again for data of an erased person. Exit code 5 if something is found."""
    with opened(home) as site:
        certified = None
        if Path(who).is_file():
            certified = site.erasures.of_certificate(read_file(Path(who), "receipt or certificate"))
        absent = site.erasures.prove(consents_meant(site, who) if certified is None else [certified])
    emit(_document(absent), _text(absent), as_json=as_json)
    if absent.hits:
        raise typer.Exit(ExitCode.ERASURE_INCOMPLETE)


def _text(absent: Absent) -> str:
    places = "\n".join(
        f"  {one['name']}: {one['size_bytes']} bytes"
        + (f" in {counted(int(one['files']), 'file')}" if "files" in one else "")
        for one in absent.places
    )
    searched = "\n".join(f"  {what}: {pieces}" for what, pieces in sorted(absent.searched.items()))
    found = "\n".join(f"FOUND {hit.what} in {hit.where}" for hit in absent.hits) or "nothing was found"
    return (
        f"erased, certificate {', '.join(absent.certificate_ids)}\n"
        f"no row and no key is left; {absent.size_bytes} bytes searched:\n{places}\n"
        f"for fingerprints of the sealed data that was destroyed:\n{searched}\n{found}"
    )


def _document(absent: Absent) -> dict[str, object]:
    return {
        "certificates": list(absent.certificate_ids),
        "searched": dict(absent.searched),
        "searched_in": [dict(one) for one in absent.places],
        "size_bytes": absent.size_bytes,
        "found": [{"what": hit.what, "where": hit.where} for hit in absent.hits],
    }
