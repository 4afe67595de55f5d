"""`volens pad`: how often attacks pass for people, and people for attacks, on recordings of this site."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from volens.consent import InputError
from volens.consent.zone import parse_liveness
from volens.identify.pad_rates import Outcome, PadRate, report_of
from volens.service.cli.command_types import Commands
from volens.service.cli.options import HomeOption, JsonOption, PackOptions, ZoneOption
from volens.service.cli.output import emit, table, tracked
from volens.service.cli.session import models, opened

if TYPE_CHECKING:
    from volens.identify.pad_measure import PadMeasurement, TimedFrame

app = Commands("pad", "Measure how often photos pass for people (presentation attack detection).")

BONA_FIDE: Final = "bona-fide"
ATTACKS: Final = "attacks"
_LAYOUT: Final = (
    f"expected {BONA_FIDE}/ and {ATTACKS}/NAME/, and in each one entry for each presentation: a folder of images in "
    "their order, a video, or an image"
)


@app.command("measure", "recordings --zone lobby")
def measure(
    folder: Annotated[
        Path,
        typer.Argument(help=f"A folder with {BONA_FIDE}/ and {ATTACKS}/NAME/; docs/liveness.md.", show_default=False),
    ],
    level: Annotated[str | None, typer.Option(help="challenge or pack; without it, the level of the zone.")] = None,
    frames_per_second: Annotated[
        float, typer.Option("--fps", min=0.1, max=100, help="Frames in a second, for folders of images.")
    ] = 4.0,
    zone: ZoneOption = None,
    pack: PackOptions = PackOptions(),
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Report APCER by kind of attack and BPCER with 95 % intervals (ISO/IEC 30107-3), and what cannot be claimed.

    Nothing of the recordings is stored. This is a measurement of your own, and no certification.
    """
    from volens.identify.pad_measure import PadMeasurement  # noqa: PLC0415  loads OpenCV

    attacks, people = _presentations(folder)
    with opened(home, models(pack)) as site:
        measured = site.zones.get(site.defaults.zone(zone))
        chosen = measured.liveness if level is None else parse_liveness(level)
        pad = PadMeasurement(site.extractor, measured, chosen)
        outcomes = {
            name: [_outcome(pad, one, frames_per_second) for one in tracked(found, f"attacks {name}")]
            for name, found in attacks.items()
        }
        bona_fide = [_outcome(pad, one, frames_per_second) for one in tracked(people, "bona fide presentations")]
    report = report_of(dict(outcomes), bona_fide)
    document = {
        "zone": measured.purpose,
        "level": chosen.value,
        "apcer": {name: _document(rate) for name, rate in report.apcer.items()},
        "worst_attack": report.worst,
        "bpcer": _document(report.bpcer),
        "not_claimed": report.not_claimed(),
    }
    rows = [_row(f"APCER {name}", rate) for name, rate in report.apcer.items()] + [_row("BPCER", report.bpcer)]
    columns = ("rate", "presentations", "errors", "no face", "%", "95 % interval")
    lines = [f"zone {measured.purpose}, liveness {chosen}", table(columns, rows), "Not claimed:"]
    emit(document, "\n".join(lines + [f"- {one}" for one in report.not_claimed()]), as_json=as_json)


def _presentations(folder: Path) -> tuple[dict[str, list[Path]], list[Path]]:
    """Return the presentations of each kind of attack by its name, and the bona fide ones."""
    if not folder.is_dir():
        raise InputError(f"got {folder}, which is no folder; {_LAYOUT}")
    kinds = [one for one in _entries(folder / ATTACKS) if one.is_dir()]
    attacks = {one.name: found for one in kinds if (found := _entries(one))}
    people = _entries(folder / BONA_FIDE)
    if not attacks and not people:
        raise InputError(f"found no presentation in {folder}; {_LAYOUT}")
    return attacks, people


def _entries(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    try:
        return sorted(one for one in folder.iterdir() if not one.name.startswith("."))
    except OSError as error:
        raise InputError(f"cannot list {folder} ({type(error).__name__}); check its permissions") from None


def _outcome(pad: "PadMeasurement", presentation: Path, frames_per_second: float) -> Outcome:
    return pad.outcome(_frames(presentation, frames_per_second))


def _frames(presentation: Path, frames_per_second: float) -> Iterator["TimedFrame"]:
    from volens.face import image_paths, is_video, read_image, video_frames  # noqa: PLC0415  loads OpenCV

    every_s = 1 / frames_per_second
    if is_video(presentation):
        images = (image for _label, image in video_frames(presentation, every_s))
    else:
        images = (read_image(path) for path in image_paths([presentation]))
    yield from ((number * every_s, image) for number, image in enumerate(images))


def _document(rate: PadRate) -> dict[str, Any]:
    low, high = rate.interval or (None, None)
    return {
        "presentations": rate.presentations,
        "errors": rate.errors,
        "no_response": rate.no_response,
        "rate": rate.value,
        "low": low,
        "high": high,
    }


def _row(name: str, rate: PadRate) -> tuple[object, ...]:
    if rate.interval is None or rate.value is None:
        return (name, 0, "", "", "", "")
    low, high = rate.interval
    return (name, rate.presentations, rate.errors, rate.no_response, f"{rate.value:.1%}", f"{low:.1%} to {high:.1%}")
