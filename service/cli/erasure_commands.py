"""`volens erase resume` and `volens erase prove`: erasures that were begun are finished, and shown to have held."""

from pathlib import Path
from typing import Annotated

import typer

from volens.erase.proof import Absent
from volens.service.cli.exit_codes import ExitCode
from volens.service.cli.named_files import read_file
from volens.service.cli.options import HomeOption, JsonOption
from volens.service.cli.output import emit, progress
from volens.service.cli.person_argument import receipts_meant
from volens.service.cli.session import opened


def resume(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Finish erasures and orders that were begun, after a crash, a full disk or a locked file. Nothing new is begun."""
    # Opening a site finishes erasures, whatever the command; an order under way, of thousands perhaps, only this and
    # the sweep.
    with progress("erasing") as advance, opened(home, progress=advance) as site:
        if site.unfinished is not None:
            raise site.unfinished
        orders = site.cohorts.resume(advance)
    finished = [
        {
            "certificate": str(one.certificate_path),
            "certificate_id": one.certificate_id,
            "zone": one.zone,
            "reason": one.reason,
        }
        for one in site.resumed
    ]
    said = f"{len(finished)} begun erasures finished, none is left"
    if orders:
        said += f"\n{len(orders)} orders finished; 'volens erase --execute' with the same plan writes the dossier"
    emit({"finished": finished, "orders": [one.cohort_id for one in orders]}, said, as_json=as_json)


def prove(
    who: Annotated[
        str,
        typer.Argument(help="The receipt or the certificate, as a file; or the person's id.", show_default=False),
    ],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Search every file of the site again for what is left of an erased person."""
    with opened(home) as site:
        certified = None
        if Path(who).is_file():
            certified = site.erasures.of_certificate(read_file(Path(who), "receipt or certificate"))
        absent = site.erasures.prove(receipts_meant(site, who) if certified is None else [certified])
    emit(_document(absent), _said(absent), as_json=as_json)
    if absent.hits:
        raise typer.Exit(ExitCode.ERASURE_INCOMPLETE)


def _said(absent: Absent) -> str:
    places = "\n".join(
        f"  {one['name']}: {one['size_bytes']} bytes" + (f" in {one['files']} files" if "files" in one else "")
        for one in absent.places
    )
    searched = "\n".join(f"  {what}: {pieces}" for what, pieces in sorted(absent.searched.items()))
    found = "\n".join(f"FOUND {hit.what} in {hit.where}" for hit in absent.hits) or "nothing was found"
    return (
        f"erased, certificate {', '.join(absent.certificate_ids)}\n"
        f"no row and no key is left; searched {absent.size_bytes} bytes:\n{places}\n"
        f"for the fingerprints of the sealed boxes that were destroyed:\n{searched}\n{found}"
    )


def _document(absent: Absent) -> dict[str, object]:
    return {
        "certificates": list(absent.certificate_ids),
        "searched": dict(absent.searched),
        "searched_in": [dict(one) for one in absent.places],
        "size_bytes": absent.size_bytes,
        "found": [{"what": hit.what, "where": hit.where} for hit in absent.hits],
    }
