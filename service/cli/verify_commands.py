"""`volens verify`: is the person in this frame the one who signed this receipt, or whose badge this is?"""

from pathlib import Path
from typing import Annotated

import typer

from volens.consent import InputError
from volens.service.cli.carried_secrets import shown
from volens.service.cli.exit_codes import ExitCode
from volens.service.cli.factor_prompt import BadgeNumberFile, PinFile, factor_shown
from volens.service.cli.identify_commands import face_document
from volens.service.cli.named_files import read_file
from volens.service.cli.options import (
    HomeOption,
    JsonOption,
    LicenceOption,
    PackClaimOption,
    PackOption,
    PackSearchOption,
    SecretOption,
    SecretQrOption,
)
from volens.service.cli.output import emit
from volens.service.cli.session import models, opened


def verify(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="[RECEIPT] FRAME",
            help="What 'volens consent give' wrote, which a badge makes needless; and an image, whose largest face is "
            "compared.",
            show_default=False,
        ),
    ],
    secret: SecretOption = None,
    secret_qr: SecretQrOption = None,
    badge: Annotated[Path | None, typer.Option(help="The person's badge, as 'volens enroll' wrote it.")] = None,
    badge_qr: Annotated[
        list[Path] | None, typer.Option(help="The same badge, as an image of a QR; once for each, in any order.")
    ] = None,
    badge_number_file: BadgeNumberFile = None,
    pin_file: PinFile = None,
    pack: PackOption = None,
    accept_licence: LicenceOption = None,
    pack_claim: PackClaimOption = None,
    pack_search: PackSearchOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Confirm or refuse a claim (1:1). Exit code 3 if it is somebody else, or nobody."""
    from volens.face import read_image  # noqa: PLC0415  loads OpenCV

    *receipts, frame = files
    if len(receipts) > 1 or (not receipts and badge is None and not badge_qr):
        raise InputError(f"got {len(files)} files; expected a receipt and a frame, or a badge and a frame")
    claimed = read_file(receipts[0], "receipt") if receipts else None
    loader = models(pack, accept_licence, pack_claim, pack_search)
    with (
        shown(secret, secret_qr, badge, badge_qr or []) as carried,
        factor_shown(badge_number_file, pin_file) as factor,
        opened(home, loader) as site,
    ):
        face = site.verify_claim(claimed, read_image(frame), carried=carried, factor=factor)
    document = {
        "threshold": None if face is None else face.decision.threshold,
        "face": None if face is None else face_document(face),
    }
    if face is None:
        said = "no face"
    elif face.factor_required:
        said = "no match: the zone asks for a badge number or a PIN besides (--badge-number-file, --pin-file)"
    elif face.match is None:
        said = "no match: this is not the person who signed the receipt"
    else:
        said = f"match: score {face.match.comparison_score:.2f}, threshold {face.decision.threshold:.2f}"
    emit(document, said, as_json=as_json)
    raise typer.Exit(ExitCode.DONE if face is not None and face.match is not None else ExitCode.NO_MATCH)
