"""`volens verify`: is the person in this frame the one who signed this receipt?"""

from pathlib import Path
from typing import Annotated

import typer

from service.cli.exit_codes import ExitCode
from service.cli.files import read_file
from service.cli.identify import face_document
from service.cli.options import (
    HomeOption,
    JsonOption,
    LicenceOption,
    PackClaimOption,
    PackOption,
    PackSearchOption,
)
from service.cli.output import emit
from service.cli.session import models, opened


def verify(
    receipt: Annotated[Path, typer.Argument(help="What 'volens consent give' wrote.", show_default=False)],
    frame: Annotated[Path, typer.Argument(help="An image; its largest face is compared.", show_default=False)],
    pack: PackOption = None,
    accept_licence: LicenceOption = None,
    pack_claim: PackClaimOption = None,
    pack_search: PackSearchOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Confirm or refuse a claim (1:1). Exit code 3 if it is somebody else, or nobody."""
    from enroll import read  # noqa: PLC0415  loads OpenCV

    claimed = read_file(receipt, "receipt")
    with opened(home, models(pack, accept_licence, pack_claim, pack_search)) as site:
        face = site.verify_claim(claimed, read(frame))
    document = {
        "threshold": None if face is None else face.decision.threshold,
        "face": None if face is None else face_document(face),
    }
    if face is None:
        said = "no face"
    elif face.match is None:
        said = "no match: this is not the person who signed the receipt"
    else:
        said = f"match: score {face.match.comparison_score:.2f}, threshold {face.decision.threshold:.2f}"
    emit(document, said, as_json=as_json)
    raise typer.Exit(ExitCode.DONE if face is not None and face.match is not None else ExitCode.NO_MATCH)
