"""`volens enroll`: photos of somebody who said yes."""

from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from volens import Enrolled, RgbImage
from volens.consent import InputError
from volens.service.cli.carried_secrets import BadgeToHandOver, shown_secret
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
from volens.service.cli.output import emit, progress, tell, warn
from volens.service.cli.session import models, opened

_CAMERA_PHOTOS = 5
_CAMERA_EVERY = 15


def enroll(
    receipt: Annotated[Path, typer.Argument(help="What 'volens consent give' wrote.", show_default=False)],
    photos: Annotated[
        list[Path] | None, typer.Argument(help="Photos, or a folder of photos, of this one person.", show_default=False)
    ] = None,
    camera: Annotated[int | None, typer.Option(min=0, help="Take the photos with this camera; 0 is the first.")] = None,
    allow_few: Annotated[bool, typer.Option("--allow-few", help="Accept fewer than 3 photos.")] = False,
    secret: SecretOption = None,
    secret_qr: SecretQrOption = None,
    badge_out: Annotated[
        Path | None,
        typer.Option(help="Where to write the person's badge, in a zone of custody badge; its QR codes go beside it."),
    ] = None,
    pack: PackOption = None,
    accept_licence: LicenceOption = None,
    pack_claim: PackClaimOption = None,
    pack_search: PackSearchOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make the biometric reference of a person whose consent is in force. Photos are not kept.

    In a zone of custody subject_key the person shows their secret; in one of custody badge they get their badge.
    """
    taken = read_file(receipt, "receipt")
    images = _photos(photos or [], camera)
    loader = models(pack, accept_licence, pack_claim, pack_search)
    badge = None if badge_out is None else BadgeToHandOver(badge_out)
    with (
        shown_secret(secret, secret_qr) as half,
        opened(home, loader) as site,
        progress("looking at photos") as advance,
        badge or nullcontext(),
    ):
        enrolled = site.enroll(
            taken, images, allow_few=allow_few, progress=advance, secret=half, hand_over=badge and badge.write
        )
    if enrolled.few:
        warn(f"made of {enrolled.photo_count} photos only; the reference is less reliable")
    document = {
        "reference_id": enrolled.reference_id,
        "subject_id": enrolled.subject_id,
        "zone": enrolled.purpose,
        "model": enrolled.model_id,
        "photo_count": enrolled.photo_count,
        "few": enrolled.few,
        "quality": [asdict(report) for report in enrolled.qualities],
    }
    said = _said(enrolled)
    if badge is not None:
        document["badge"] = [str(path) for path in badge.written]
        said += f"\nfor the person to carry: {', '.join(map(str, badge.written))}; the site keeps no copy"
    emit(document, said, as_json=as_json)


def _photos(paths: list[Path], camera: int | None) -> list[RgbImage]:
    from volens.face import camera_frames, image_paths, read_image  # noqa: PLC0415  loads OpenCV

    if (camera is None) == (not paths):
        raise InputError("got both or neither of photos and --camera; give one of the two")
    if camera is not None:
        tell(f"taking {_CAMERA_PHOTOS} photos; look into the camera, and move a little between them")
        return [frame for _label, frame in camera_frames(camera, _CAMERA_PHOTOS, _CAMERA_EVERY)]
    return [read_image(path) for path in image_paths(paths)]


def _said(enrolled: Enrolled) -> str:
    sharpest = max(report.sharpness for report in enrolled.qualities)
    smallest = min(report.eye_distance_px for report in enrolled.qualities)
    few = " (few: the reference is less reliable)" if enrolled.few else ""
    return (
        f"enrolled as reference {enrolled.reference_id} in zone {enrolled.purpose}, from {enrolled.photo_count} "
        f"photos{few}\nquality: at least {smallest:.0f} px between the eyes, sharpness up to {sharpest:.3f}\n"
        "the photos were not kept"
    )
