"""`volens calibrate`: measures how often the doors of a zone err among its people, and sets its threshold by that."""

from pathlib import Path
from typing import Annotated, Any, Final

import typer

from volens import Site
from volens.consent import InputError
from volens.service.cli.command_types import Commands
from volens.service.cli.named_files import must_be_new
from volens.service.cli.options import HomeOption, JsonOption, PackOptions, ZoneOption
from volens.service.cli.output import emit, facts, shown
from volens.service.cli.session import models, opened
from volens.store.files import write_public

app = Commands()

_LARGEST_PERCENT: Final = 10.0


@app.command("calibrate", "--zone lobby --plot lobby.svg")
def calibrate(
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE.svg", help="Write the error rates at every threshold to this file.")
    ] = None,
    fpir: Annotated[
        str | None,
        typer.Option(
            help="Show the threshold for this rate of strangers accepted, such as 0.05%. Default: the zone's."
        ),
    ] = None,
    apply: Annotated[
        bool, typer.Option("--apply", help="Use the measured threshold from now on, if it is higher.")
    ] = False,
    lower: Annotated[
        bool, typer.Option("--lower", help="With --apply or --reset: also if it is lower than the one in use.")
    ] = False,
    reset: Annotated[bool, typer.Option("--reset", help="Use the thresholds of the model again.")] = False,
    zone: ZoneOption = None,
    pack: PackOptions = PackOptions(),
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure how often the doors of a zone accept strangers, and miss its people.

    The people of the zone stand in for strangers. Only counts of scores are read, which are sealed under each consent.
    """
    if apply and reset:
        raise InputError("got --apply and --reset; pass one of them")
    if lower and not (apply or reset):
        raise InputError("--lower goes with --apply or --reset; without them nothing is changed")
    if apply and fpir is not None:
        raise InputError("--apply uses the rate that the zone aims at; leave --fpir out, or see 'volens zone change'")
    must_be_new(plot, "plot")
    wanted = None if fpir is None else _share(fpir)
    with opened(home, models(pack)) as site:
        document, text = _measured(site, site.defaults.zone(zone), pack, (wanted, plot), (apply, reset, lower))
    emit(document, text, as_json=as_json)


def _measured(
    site: Site,
    name: str,
    pack: PackOptions,
    asked: tuple[float | None, Path | None],
    change: tuple[bool, bool, bool],
) -> tuple[dict[str, Any], str]:
    from volens.face.embedder import SFACE_MODEL  # noqa: PLC0415  loads OpenCV
    from volens.identify.calibration import LEAST_PEOPLE, RatesAt, too_few  # noqa: PLC0415  as above
    from volens.service.calibration_plot import calibration_plot  # noqa: PLC0415  as above

    (wanted, plot), (apply, reset, lower) = asked, change
    model = SFACE_MODEL if pack == PackOptions() else site.extractor.model
    if reset:
        site.zones.end_calibration(name, model, lower=lower)
    found = site.zones.calibrate(name, model, wanted=wanted)
    if apply:
        site.zones.apply_calibration(found, lower=lower)
        found = site.zones.calibrate(name, model)
    if plot is not None:
        write_public(plot, calibration_plot(found).encode("utf-8"))

    def of(one: RatesAt) -> dict[str, Any]:
        rates = {
            rate: {"value": its.value, "low": its.low, "high": its.high, "people_with_errors": its.with_errors}
            for rate, its in (("fpir", one.fpir), ("fnir", one.fnir))
        }
        return {"people": one.gallery_size, "threshold": round(one.threshold, 4), **rates}

    document = {
        "zone": found.zone.purpose,
        "model": found.model_id,
        "measured_people": found.people,
        "enough": found.enough,
        "target": found.target,
        "exceeds_target": found.exceeds,
        "model_threshold": round(found.model_threshold, 4),
        "shift": found.shift,
        "now": of(found.now),
        "doubled": of(found.doubled),
        "wanted": found.wanted,
        "measured": None if found.measured is None else of(found.measured),
    }

    def line(one: RatesAt) -> str:
        rates = (f"{its.value:.3%} ({its.low:.3%} to {its.high:.3%})" for its in (one.fpir, one.fnir))
        strangers, missed = rates
        return f"threshold {one.threshold:.3f}: strangers accepted {strangers}, own people missed {missed}"

    rows = [
        ("measured", f"{found.people} people of {found.references} enrolled", found.model_id),
        ("now", f"{found.now.gallery_size} people", line(found.now)),
        ("twice as many", f"{found.doubled.gallery_size} people", line(found.doubled)),
        (
            "model",
            f"for {found.zone.fpir}",
            f"threshold {found.model_threshold:.3f}, and {found.shift:+.3f} in this zone",
        ),
        (
            "for this zone",
            f"for {found.wanted:.3%}",
            "no threshold accepts so few strangers" if found.measured is None else line(found.measured),
        ),
    ]
    text = facts(rows) + "\nrates of one look, with 95 % intervals over people; not of strangers who come to your door"
    if not found.enough:
        text += f"\n{too_few(found.people)}"
    elif found.exceeds:
        text += f"\nmore strangers are accepted than the zone aims at ({found.zone.fpir}); use --apply"
    if plot is not None:
        text += f"\nplot: {shown(plot)}"
    return document | {"least_people": LEAST_PEOPLE}, text


def _share(percent: str) -> float:
    try:
        value = float("".join(percent.split()).removesuffix("%"))
    except ValueError:
        value = 0.0
    if not 0 < value <= _LARGEST_PERCENT:  # also if it is not a number
        raise InputError(f"got --fpir {percent[:40]!r}; expected a percentage above 0 and up to 10, such as 0.05%")
    return value / 100
