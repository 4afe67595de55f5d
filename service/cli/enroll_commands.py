"""`volens enroll`: create the biometric reference of a person who gave consent."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from volens import Enrolled
from volens.consent import InputError
from volens.face.image import Photo
from volens.service.cli.carried_secrets import BadgeToHandOver, shown_secret
from volens.service.cli.command_types import Commands, Output
from volens.service.cli.named_files import read_file
from volens.service.cli.options import HomeOption, PackOptions, SecretOption, SecretQrOption
from volens.service.cli.output import counted, info, members, progress, shown, warn
from volens.service.cli.session import models, opened

app = Commands()

_CAMERA_PHOTOS = 5
_CAMERA_EVERY = 15


@app.command("enroll", "ada.receipt.json photos/ada-1.jpg photos/ada-2.jpg photos/ada-3.jpg")
def enroll(
    receipt: Annotated[
        Path, typer.Argument(help="The receipt file that 'volens consent give' wrote.", show_default=False)
    ],
    photos: Annotated[
        list[Path] | None, typer.Argument(help="Photos of this one person, or a folder of them.", show_default=False)
    ] = None,
    camera: Annotated[
        int | None, typer.Option(min=0, help="Take the photos with this camera; 0 is the first camera.")
    ] = None,
    allow_few: Annotated[bool, typer.Option("--allow-few", help="Accept fewer than 3 photos.")] = False,
    secret: SecretOption = None,
    secret_qr: SecretQrOption = None,
    badge_out: Annotated[
        Path | None,
        typer.Option(
            help="File for the person's badge, in a zone with custody badge; QR codes are written next to it."
        ),
    ] = None,
    pack: PackOptions = PackOptions(),
    home: HomeOption = None,
) -> Output:
    """Enroll a person: create their biometric reference from photos.

    The consent must be in force. Photos are not stored.

    In a zone with custody subject_key the person shows their secret; with custody badge they get their badge.
    """
    taken = read_file(receipt, "receipt", "give the receipt first, then the photos: volens enroll RECEIPT PHOTO ...")
    images = _photos(photos or [], camera)
    badge = None if badge_out is None else BadgeToHandOver(badge_out)
    with (
        shown_secret(secret, secret_qr) as half,
        opened(home, models(pack)) as site,
        progress("checking photos") as advance,
        badge or nullcontext(),
    ):
        enrolled = site.enroll(
            taken, images, allow_few=allow_few, progress=advance, secret=half, hand_over=badge and badge.write
        )
    if enrolled.few:
        warn(f"only {counted(enrolled.photo_count, 'photo')}; the reference is less reliable")
    document = members(enrolled, "reference_id subject_id zone=purpose model=model_id photo_count few")
    document |= {"quality": [asdict(report) for report in enrolled.qualities]}
    text = _text(enrolled)
    if badge is not None:
        document["badge"] = [str(path) for path in badge.written]
        text += f"\ngive to the person: {', '.join(map(shown, badge.written))}; the site keeps no copy"
    return document, text


def _photos(paths: list[Path], camera: int | None) -> Sequence[Photo]:
    from volens.face import EncodedImage, camera_frames, image_paths  # noqa: PLC0415  loads OpenCV

    if (camera is None) == (not paths):
        raise InputError("pass either photos or --camera")
    if camera is not None:
        info(f"taking {_CAMERA_PHOTOS} photos; look into the camera, and move a little between them")
        return [frame for _label, frame in camera_frames(camera, _CAMERA_PHOTOS, _CAMERA_EVERY)]
    return [EncodedImage.read(path) for path in image_paths(paths)]


def _text(enrolled: Enrolled) -> str:
    sharpest = max(report.sharpness for report in enrolled.qualities)
    smallest = min(report.eye_distance_px for report in enrolled.qualities)
    few = " (few: the reference is less reliable)" if enrolled.few else ""
    return (
        f"enrolled as reference {enrolled.reference_id} in zone {enrolled.purpose}, from "
        f"{counted(enrolled.photo_count, 'photo')}{few}\n"
        f"quality: at least {smallest:.0f} px between the eyes, sharpness up to {sharpest:.3f}\n"
        "the photos were not stored"
    )
