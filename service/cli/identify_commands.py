"""`volens identify`: 1:N identification: which people with consent for a zone are in a frame."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from volens import FaceDecision, Identification, RgbImage, Site
from volens.consent import InputError, SecondFactor, ShownFactor
from volens.identify import REASONS, DoorStream
from volens.service.cli.command_types import Commands
from volens.service.cli.exit_codes import ExitCode
from volens.service.cli.factor_prompt import BadgeNumberFile, PinFile, factor_shown
from volens.service.cli.options import HomeOption, JsonOption, PackOptions, ZoneOption
from volens.service.cli.output import counted, emit, info, shown, tracked, warn
from volens.service.cli.session import models, opened

app = Commands()


@app.command("identify", "--zone lobby door.jpg --draw decided.png")
def identify(
    frames: Annotated[
        list[Path] | None, typer.Argument(help="Images, folders of images, or videos.", show_default=False)
    ] = None,
    camera: Annotated[
        int | None, typer.Option(min=0, help="Read this camera until Ctrl-C; 0 is the first camera.")
    ] = None,
    camera_frame_count: Annotated[
        int | None, typer.Option("--frames", min=1, help="Stop after this many camera frames.")
    ] = None,
    draw: Annotated[
        Path | None, typer.Option(help="Write the last frame with its decisions to this PNG file; it is overwritten.")
    ] = None,
    zone: ZoneOption = None,
    badge_number_file: BadgeNumberFile = None,
    pin_file: PinFile = None,
    pack: PackOptions = PackOptions(),
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Identify every face among people whose consent is in force. Exit code 3 if there is no match."""
    from volens.face import is_video  # noqa: PLC0415  loads OpenCV

    paths = frames or []
    if (camera is None) == (not paths):
        raise InputError("pass either frames or --camera")
    if camera_frame_count is not None and camera is None:
        raise InputError("--frames counts camera frames; it needs --camera")
    if draw is not None:
        _check_drawing(draw, paths)
    single = camera is None and len(paths) == 1 and not paths[0].is_dir() and not is_video(paths[0])
    documents: list[dict[str, Any]] = []
    matched = False
    with (
        factor_shown(badge_number_file, pin_file) as factor,
        opened(home, models(pack)) as site,
        contextlib.ExitStack() as after,
    ):
        where = site.defaults.zone(zone)
        door = None if camera is None else _asked(site, where, factor)
        if door is not None:
            after.callback(door.close)
        for label, image in _frames(paths, camera, camera_frame_count):
            found = site.identify(where, image, factor) if door is None else door.look(image, time.monotonic())
            matched = matched or any(face.match for face in found.faces)
            documents.append({"source": label} | _document(found))
            if not as_json:
                emit(None, _text(site, label, found), as_json=False)
            if draw is not None:
                _draw(site, image, found, draw)
    if as_json:
        one = {key: value for key, value in documents[0].items() if key != "source"} if single else None
        emit(one or {"frames": documents}, "", as_json=True)
    elif draw is not None:
        emit(None, f"picture: {shown(draw)}", as_json=False)
    raise typer.Exit(ExitCode.DONE if matched else ExitCode.NO_MATCH)


def _frames(paths: list[Path], camera: int | None, count: int | None) -> Iterator[tuple[str, RgbImage]]:
    from volens.face import camera_frames, image_paths, is_video, read_image, video_frames  # noqa: PLC0415  loads OpenCV

    if camera is not None:
        info("reading the camera; Ctrl-C ends")
        yield from camera_frames(camera, count)
        return
    videos = [path for path in paths if is_video(path)]
    stills = [path for path in paths if not is_video(path)]
    images = image_paths(stills) if stills else []
    if len(images) == 1:
        yield str(images[0]), read_image(images[0])
    else:
        yield from ((str(path), read_image(path)) for path in tracked(images, "frames"))
    for video in videos:
        yield from video_frames(video)


def _asked(site: Site, zone: str, factor: ShownFactor | None) -> DoorStream:
    """Watch a zone; to call this command is a request."""
    door = site.watch(zone)
    if factor is None:
        door.request(time.monotonic())
    else:
        door.present(factor, time.monotonic())
    return door


def _check_drawing(path: Path, frames: list[Path]) -> None:
    if path.suffix.lower() != ".png" or path.is_dir() or not path.absolute().parent.is_dir():
        raise InputError(f"got --draw {path}; pass the name of a .png file in a folder that exists")
    drawn = path.resolve()
    if any(drawn == frame.resolve() or drawn.parent == frame.resolve() for frame in frames):
        raise InputError(f"got --draw {path}, which is one of the frames; nothing was changed, choose another name")


def _document(found: Identification) -> dict[str, Any]:
    factor = {} if found.second_factor is SecondFactor.NONE else {"second_factor": found.second_factor.value}
    return factor | {
        "zone": found.purpose,
        "model": found.model_id,
        "threshold": found.threshold,
        "faces": [face_document(face) for face in found.faces],
    }


def face_document(face: FaceDecision) -> dict[str, Any]:
    """Return the decision on one face, for JSON."""
    return {
        "box": [round(side, 1) for side in face.box],
        "decision": face.outcome,
        "subject_id": face.subject_id,
        "comparison_score": None if face.comparison_score is None else round(face.comparison_score, 4),
        "reason": face.reason,
        "looks": face.looks,
        "sealed_opened": face.decision.sealed_opened,
    }


def _text(site: Site, label: str, found: Identification) -> str:
    if not found.faces:
        return f"{shown(label)}: no face"
    lines = [
        f"{shown(label)}: {counted(len(found.faces), 'face')}, zone {found.purpose}, threshold {found.threshold:.2f}"
    ]
    for face in found.faces:
        if face.factor_required:
            lines.append(
                f"  face recognised, but the zone also requires the second factor ({found.second_factor.value})"
            )
        elif not face.is_decided:
            lines.append(f"  looking, {counted(face.looks, 'look')}")
        elif face.match is None:
            lines.append("  no match" + ("" if face.reason is None else f": {REASONS[face.reason]}"))
        else:
            name = site.name_of(face.match) or "(consent just ended)"
            lines.append(
                f"  match: {shown(name)}, score {face.match.comparison_score:.2f}, subject {face.match.subject_id}"
            )
    return "\n".join(lines)


def _draw(site: Site, image: RgbImage, found: Identification, path: Path) -> None:
    from volens.service.drawing import annotated, write_png  # noqa: PLC0415  loads Pillow's drawing
    from volens.service.typeface import unknown_letters  # noqa: PLC0415  the same

    labels = [None if face.match is None else site.name_of(face.match) for face in found.faces]
    write_png(annotated(image, found, labels), path)
    if letters := unknown_letters("".join(filter(None, labels))):
        named = ", ".join(f"U+{ord(one):04X}" for one in letters)
        warn(f"no font of this machine has {named}; Debian's fonts-noto-core or fonts-unifont may have it")
