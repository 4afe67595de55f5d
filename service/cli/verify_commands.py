"""`volens verify`: 1:1 verification: compare the person in a frame with a receipt or a badge."""

import time
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from volens import RgbImage, Site
from volens.consent import InputError
from volens.face.head_turn import random_side
from volens.face.liveness import SENTENCES, NotLive
from volens.identify import REASONS, HeadTurnAnswer, HeadTurnGuide
from volens.service.cli.carried_secrets import shown
from volens.service.cli.command_types import Commands
from volens.service.cli.exit_codes import ExitCode
from volens.service.cli.factor_prompt import BadgeNumberFile, PinFile, factor_shown
from volens.service.cli.identify_commands import face_document
from volens.service.cli.named_files import read_file
from volens.service.cli.options import HomeOption, JsonOption, PackOptions, SecretOption, SecretQrOption
from volens.service.cli.output import emit, note
from volens.service.cli.session import models, opened

app = Commands()


@app.command("verify", "ada.receipt.json door.jpg")
def verify(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="RECEIPT FRAME",
            help="The receipt file (not needed with a badge), and an image; its largest face is compared.",
            show_default=False,
        ),
    ] = None,
    camera: Annotated[
        int | None,
        typer.Option(min=0, help="No image: ask the person before this camera to turn the head; 0 is the first."),
    ] = None,
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
    """Confirm or refuse a claim of identity (1:1 comparison). Exit code 3 if it is refused.

    With --camera the person is asked to turn the head to both sides (docs/liveness.md), and a photo is refused.
    """
    given = files or []
    frame = given[-1] if given and camera is None else None
    receipts = given if frame is None else given[:-1]
    if (frame is None and camera is None) or len(receipts) > 1 or not (receipts or badge is not None or badge_qr):
        raise InputError(
            f"got {len(given)} files; expected a receipt and a frame, or a badge and a frame, or with --camera a "
            "receipt or a badge alone"
        )
    claimed = read_file(receipts[0], "receipt") if receipts else None
    with (
        shown(secret, secret_qr, badge, badge_qr or []) as carried,
        factor_shown(badge_number_file, pin_file) as factor,
        opened(home, models(pack)) as site,
    ):
        if camera is not None:
            site.check_claim(claimed, carried)
        looked = _look(site, frame, camera)
        face = None
        if looked is not None:
            answer, image = looked
            face = site.verify_claim(claimed, image, carried=carried, factor=factor, answer=answer)
    document = {
        "threshold": None if face is None else face.decision.threshold,
        "face": None if face is None else face_document(face),
    }
    if face is None:
        text = "no face" if looked is not None else f"no match: {SENTENCES[NotLive.TIME_OVER]}"
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


def _look(site: Site, frame: Path | None, camera: int | None) -> tuple[HeadTurnAnswer | None, RgbImage] | None:
    """Return the frame to decide about, and what the person before a camera did; None if they did not turn in time."""
    from volens.face import camera_frames, read_image  # noqa: PLC0415  loads OpenCV

    if frame is not None:
        return None, read_image(frame)
    guide = HeadTurnGuide(site.extractor, random_side(site.installation.store.random), time.monotonic, note)
    with closing(camera_frames(camera or 0)) as frames:
        return guide.run(image for _label, image in frames)
