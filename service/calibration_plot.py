"""The plot of a calibration: error rates of a zone at every threshold, as SVG."""

from typing import Final

from volens.identify.calibration import Calibration
from volens.service.line_plot import Series, svg

_FROM: Final = 0.2
_TO: Final = 1.0
_LEAST: Final = 1e-5
"""The lowest rate that is drawn."""

_STRANGERS: Final = "#b3261e"
_MISSED: Final = "#1f5fa8"
_LINES: Final = "#444"


def calibration_plot(found: Calibration) -> str:
    """Return the plot: strangers accepted (FPIR) and own people missed (FNIR), with their intervals, by threshold."""
    thresholds = [number / 100 for number in range(round(_FROM * 100), round(_TO * 100) + 1)]
    size = found.now.gallery_size
    fpir = [(at, found.rates.fpir(at, size)) for at in thresholds]
    fnir = [(at, found.rates.fnir(at)) for at in thresholds]
    series: list[Series] = []
    for name, rates, colour in (
        (f"strangers accepted (FPIR), {size} people enrolled", fpir, _STRANGERS),
        ("own people missed (FNIR)", fnir, _MISSED),
    ):
        for which, kind in (("value", name), ("high", f"{name}: upper end of the 95 % interval over people")):
            points = [(at, getattr(rate, which)) for at, rate in rates]
            drawn = [(at, value) for at, value in points if value >= _LEAST]
            if drawn:
                series.append(Series(kind, drawn, colour, line=True, dashed=which == "high"))
    in_use = found.now.threshold
    series.append(Series(f"threshold in use, {in_use:.3f}", [(in_use, _LEAST), (in_use, 1.0)], _LINES, line=True))
    if found.measured is not None and found.measured.threshold >= _FROM:
        at = found.measured.threshold
        name = f"threshold for {found.wanted:.3%} of strangers accepted, {at:.2f}"
        series.append(Series(name, [(at, _LEAST), (at, 1.0)], _LINES, line=True, dashed=True))
    return svg(series, "threshold (cosine similarity)", "share of looks", linear_x=(_FROM, _TO), legend_below=True)
