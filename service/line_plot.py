"""A plot with logarithmic axes as SVG text: points, lines, a legend. It needs no package.

The axis of x may be linear.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

_WIDTH: Final = 760
_HEIGHT: Final = 420
_LEFT: Final = 70
_RIGHT: Final = 20
_TOP: Final = 20
_BOTTOM: Final = 50
_LEGEND: Final = 18
_TICKS: Final = 8


@dataclass(frozen=True, slots=True)
class Series:
    """Values above 0, in the order of x.

    Attributes:
        name: in the legend.
        points: x and y.
        colour: any that CSS knows.
        line: whether drawn as a line; otherwise as points.
        dashed: a line of dashes.
    """

    name: str
    points: Sequence[tuple[float, float]]
    colour: str
    line: bool = False
    dashed: bool = False


def svg(
    series: Sequence[Series],
    x_label: str,
    y_label: str,
    *,
    linear_x: tuple[float, float] | None = None,
    legend_below: bool = False,
) -> str:
    """Return the plot; a logarithmic axis covers whole powers of ten.

    With `linear_x` the axis of x is linear, between these ends, which hold all points.

    Raises:
        ValueError: a value on a logarithmic axis is not above 0, or there is none.
    """
    below = _LEGEND * (len(series) + 1) if legend_below else 0
    height = _HEIGHT + below
    points = [point for one in series for point in one.points]
    if not points or min(y if linear_x else min(x, y) for x, y in points) <= 0:
        raise ValueError(
            "got no values, or some that are not above 0; expected values above 0, because axes are logarithmic"
        )
    y_low, y_high = _powers(y for _, y in points)
    x_low, x_high = linear_x or _powers(x for x, _ in points)

    def across(x: float) -> float:
        place = x if linear_x else math.log10(x)
        return round(_LEFT + (place - x_low) / (x_high - x_low) * (_WIDTH - _LEFT - _RIGHT), 1)

    def down(y: float) -> float:
        return round(_TOP + (y_high - math.log10(y)) / (y_high - y_low) * (_HEIGHT - _TOP - _BOTTOM), 1)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}">',
        '<g font-family="sans-serif" font-size="12">',
        f'<rect width="{_WIDTH}" height="{height}" fill="white"/>',
    ]
    for at, tick in _ticks(linear_x, x_low, x_high):
        x = across(at)
        parts.append(f'<path d="M{x} {_TOP}V{_HEIGHT - _BOTTOM}" stroke="#ddd"/>')
        parts.append(f'<text x="{x}" y="{_HEIGHT - _BOTTOM + 18}" text-anchor="middle">{tick}</text>')
    for power in range(y_low, y_high + 1):
        y = down(10.0**power)
        parts.append(f'<path d="M{_LEFT} {y}H{_WIDTH - _RIGHT}" stroke="#ddd"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{y + 4}" text-anchor="end">{_number(power)}</text>')
    for number, one in enumerate(series):
        places = [(across(x), down(y)) for x, y in one.points]
        parts += _drawn(one, places)
        y = _TOP + 16 + _LEGEND * number + (_HEIGHT - _TOP if below else 0)
        parts += _drawn(one, [(_LEFT + 12, y - 4), (_LEFT + 36, y - 4)])
        parts.append(f'<text x="{_LEFT + 44}" y="{y}">{escape(one.name)}</text>')
    middle = (_TOP + _HEIGHT - _BOTTOM) / 2
    parts += [
        f'<text x="{(_LEFT + _WIDTH - _RIGHT) / 2}" y="{_HEIGHT - 12}" text-anchor="middle">{escape(x_label)}</text>',
        f'<text x="16" y="{middle}" text-anchor="middle" transform="rotate(-90 16 {middle})">{escape(y_label)}</text>',
        "</g>",
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _drawn(one: Series, places: Sequence[tuple[float, float]]) -> list[str]:
    if not one.line:
        return [f'<circle cx="{x}" cy="{y}" r="4" fill="{one.colour}"/>' for x, y in places]
    dashes = ' stroke-dasharray="6 4"' if one.dashed else ""
    path = "M" + "L".join(f"{x} {y}" for x, y in places)
    return [f'<path d="{path}" fill="none" stroke="{one.colour}" stroke-width="2"{dashes}/>']


def _ticks(linear: tuple[float, float] | None, low: float, high: float) -> list[tuple[float, str]]:
    """Return where the axis of x has a line, and what is written there."""
    if linear is None:
        return [(10.0**power, _number(power)) for power in range(int(low), int(high) + 1)]
    places = [low + (high - low) * number / _TICKS for number in range(_TICKS + 1)]
    return [(place, f"{place:.3g}") for place in places]


def _powers(values: Iterable[float]) -> tuple[int, int]:
    every = [math.log10(value) for value in values]
    low = math.floor(min(every))
    return low, max(math.ceil(max(every)), low + 1)


def _number(power: int) -> str:
    return f"10<tspan dy='-5' font-size='9'>{power}</tspan>" if abs(power) > 2 else f"{10.0**power:g}"  # noqa: PLR2004
