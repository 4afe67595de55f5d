"""`volens verify`: 1:1 verification: compare the person in a frame with a receipt or a badge."""

from pathlib import Path
from typing import Annotated

import typer

from volens.consent import InputError
from volens.identify import REASONS
from volens.service.cli.carried_secrets import shown
from volens.service.cli.command_types import Commands
from volens.service.cli.exit_codes import ExitCode
from volens.service.cli.factor_prompt import BadgeNumberFile, PinFile, factor_shown
from volens.service.cli.identify_commands import face_document
from volens.service.cli.named_files import read_file
from volens.service.cli.options import HomeOption, JsonOption, PackOptions, SecretOption, SecretQrOption
from volens.service.cli.output import emit
from volens.service.cli.session import models, opened

app = Commands()


@app.command("verify", "ada.receipt.json door.jpg")
def verify(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="RECEIPT FRAME",
            help="The receipt file (not needed with a badge), and an image; its largest face is compared.",
            show_default=False,
        ),
    ],
    secret: SecretOption = None,
    secret_qr: SecretQrOption = None,
    badge: Annotated[Path | None, typer.Option(help="The person's badge, as 'volens enroll' wrote it.")] = None,
    badge_qr: Annotated[
        list[Path] | None,
        typer.Option(metavar="<path>", help="The same badge, as images of its QR codes; repeat it, in any order."),
    ] = None,
    badge_number_file: BadgeNumberFile = None,
    pin_file: PinFile = None,
    pack: PackOptions = PackOptions(),
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Confirm or refuse a claim of identity (1:1 comparison). Exit code 3 if it is refused."""
    from volens.face import read_image  # noqa: PLC0415  loads OpenCV

    *receipts, frame = files
    if len(receipts) > 1 or (not receipts and badge is None and not badge_qr):
        raise InputError(f"got {len(files)} files; expected a receipt and a frame, or a badge and a frame")
    claimed = read_file(receipts[0], "receipt") if receipts else None
    with (
        shown(secret, secret_qr, badge, badge_qr or []) as carried,
        factor_shown(badge_number_file, pin_file) as factor,
        opened(home, models(pack)) as site,
    ):
        face = site.verify_claim(claimed, read_image(frame), carried=carried, factor=factor)
    document = {
        "threshold": None if face is None else face.decision.threshold,
        "face": None if face is None else face_document(face),
    }
    if face is None:
        text = "no face"
    elif face.factor_required:
        text = "no match: the zone also requires a badge number or a PIN (--badge-number-file, --pin-file)"
    elif face.reason is not None:
        text = f"no match: {REASONS[face.reason]}"
    elif face.match is None:
        text = "no match: this is not the person who signed the receipt"
    else:
        text = f"match: score {face.match.comparison_score:.2f}, threshold {face.decision.threshold:.2f}"
    emit(document, text, as_json=as_json)
    raise typer.Exit(ExitCode.DONE if face is not None and face.match is not None else ExitCode.NO_MATCH)
