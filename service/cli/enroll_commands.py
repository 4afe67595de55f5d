"""`volens enroll`: create the biometric reference of a person who gave consent."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from volens import Enrolled, Site
from volens.consent import InputError, PersonSecret
from volens.consent.panel_badge import PanelBadge
from volens.enroll import NewPhotos, PhotoChange, people_in
from volens.face.image import Photo
from volens.service.cli.carried_secrets import BadgeToHandOver
from volens.service.cli.carried_secrets import shown as carried_by
from volens.service.cli.command_types import Commands
from volens.service.cli.factor_prompt import read_panel_badge
from volens.service.cli.import_commands import ReportOption, enroll_with_report
from volens.service.cli.named_files import must_be_new, read_file
from volens.service.cli.options import HomeOption, JsonOption, PackOptions, SecretOption, SecretQrOption
from volens.service.cli.output import counted, emit, info, members, progress, shown, warn
from volens.service.cli.person_argument import receipt_meant
from volens.service.cli.session import models, opened

app = Commands()


_CAMERA_PHOTOS = 5
_CAMERA_EVERY = 15


@app.command("enroll", "ada.receipt.json photos/ada-1.jpg photos/ada-2.jpg photos/ada-3.jpg")
def enroll(
    receipt: Annotated[
        Path | None, typer.Argument(help="The receipt file that 'volens consent give' wrote.", show_default=False)
    ] = None,
    photos: Annotated[
        list[Path] | None, typer.Argument(help="Photos of this one person, or a folder of them.", show_default=False)
    ] = None,
    camera: Annotated[
        int | None, typer.Option(min=0, help="Take the photos with this camera; 0 is the first camera.")
    ] = None,
    allow_few: Annotated[bool, typer.Option("--allow-few", help="Accept fewer than 3 photos.")] = False,
    folder_of_people: Annotated[
        Path | None,
        typer.Option(
            "--folder-of-people",
            help="Enroll many: a folder with one folder for each person, receipt and photos in it.",
        ),
    ] = None,
    report: ReportOption = None,
    replace_photos: Annotated[
        bool, typer.Option("--replace-photos", help="Make the person's reference again, from these photos alone.")
    ] = False,
    add_photos: Annotated[
        bool, typer.Option("--add-photos", help="Add these photos to the person's reference; one is enough.")
    ] = False,
    another_look: Annotated[
        bool,
        typer.Option(
            "--another-look",
            help="With --replace-photos: the face looks different, and you checked the person's identity.",
        ),
    ] = False,
    two_people: Annotated[
        bool,
        typer.Option("--two-people", help="A look-alike is enrolled here, and you checked that they are two people."),
    ] = False,
    badge_number: Annotated[
        Path | None,
        typer.Option(
            help="File with the badge number that the panel of the house knows the person by; - asks, or reads stdin."
        ),
    ] = None,
    secret: SecretOption = None,
    secret_qr: SecretQrOption = None,
    badge_out: Annotated[
        Path | None,
        typer.Option(
            help="File for the person's badge, in a zone with custody badge; QR codes are written next to it."
        ),
    ] = None,
    old_badge: Annotated[
        Path | None,
        typer.Option("--badge", help="The badge that the new one replaces, in a zone with custody badge."),
    ] = None,
    pack: PackOptions = PackOptions(),
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Enroll a person: create their biometric reference from photos.

    The consent must be in force. Photos are not stored.

    In a zone with custody subject_key the person shows their secret; with custody badge they get their badge.

    With --replace-photos or --add-photos the person is enrolled already. New photos must show the same face as the
    reference, unless --another-look says that you checked who the person is.
    """
    if folder_of_people is not None:
        must_be_new(report, "report")
        others = (receipt, camera, badge_out, badge_number)
        if any(one is not None for one in others) or replace_photos or add_photos:
            raise InputError("--folder-of-people goes with --report, --allow-few and the options of a pack only")
        with opened(home, models(pack)) as site:
            enroll_with_report(site, people_in(folder_of_people), report, allow_few=allow_few, as_json=as_json)
        return
    if receipt is None or report is not None:
        raise InputError("pass a receipt and photos of its person, or --folder-of-people, with which --report goes")
    if replace_photos and add_photos:
        raise InputError("pass only one of --replace-photos and --add-photos")
    change = PhotoChange.REPLACE if replace_photos else PhotoChange.ADD if add_photos else None
    if (another_look and not replace_photos) or (old_badge is not None and change is None):
        raise InputError("--another-look goes with --replace-photos, and --badge with new photos only")
    taken = read_file(receipt, "receipt", "give the receipt first, then the photos: volens enroll RECEIPT PHOTO ...")
    images = _photos(photos or [], camera)
    number = _panel_badge(badge_number)
    badge = None if badge_out is None else BadgeToHandOver(badge_out)
    with (
        carried_by(secret, secret_qr, old_badge, []) as carried,
        opened(home, models(pack)) as site,
        progress("checking photos") as advance,
        badge or nullcontext(),
    ):
        _set_panel_badge(site, receipt, number)
        give_badge = badge and badge.write
        if change is None:
            half = carried if isinstance(carried, PersonSecret) else None
            enrolled = site.enroll(
                taken,
                images,
                allow_few=allow_few,
                two_people=two_people,
                progress=advance,
                secret=half,
                hand_over=give_badge,
            )
        else:
            new = NewPhotos(images, change, another_look, allow_few, two_people)
            enrolled = site.changes.photos(taken, new, progress=advance, carried=carried, hand_over=give_badge)
    if enrolled.few:
        warn(f"only {counted(enrolled.photo_count, 'photo')}; the reference is less reliable")
    document = members(enrolled, "reference_id subject_id zone=purpose model=model_id photo_count few")
    document |= {"quality": [asdict(report) for report in enrolled.qualities]}
    text = _text(enrolled)
    if badge is not None:
        document["badge"] = [str(path) for path in badge.written]
        text += f"\ngive to the person: {', '.join(map(shown, badge.written))}; the site keeps no copy"
    emit(document, text, as_json=as_json)


def _panel_badge(file: Path | None) -> PanelBadge | None:
    return None if file is None else read_panel_badge(file)


def _set_panel_badge(site: Site, receipt: Path, number: PanelBadge | None) -> None:
    if number is not None:
        site.panel_badges.set(receipt_meant(site, str(receipt)), number)


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
