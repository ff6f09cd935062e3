# SPDX-License-Identifier: Apache-2.0
"""Curves as SVG for HTML pages: static, without a script; each point says its value on hover."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence

COLORS = ("#1a66d0", "#d9730d", "#2e8b57", "#a23b9a")
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 400, 200, 58, 12, 10, 34  # in pixels
_MAX_MARKED = 60  # points of a curve that are marked

Curve = Sequence[tuple[float, float | None]]


def plot(title: str, curves: Mapping[str, Curve], x_title: str = "step") -> str:
    """Returns curves in one plot.

    Args:
        title: plain text, for readers who do not see the plot.
        curves: name → points (x, y) in the order of x, at least one in all; an y of None, which is
            not a finite number, interrupts the curve.
        x_title: plain text below the plot.
    """
    points = [(x, y) for curve in curves.values() for x, y in curve if y is not None]
    if not points:
        return f"<p>{html.escape(title)}: no finite value was logged.</p>"
    axes = _Axes(points)
    parts = [*axes.lines(), _text(_WIDTH / 2, _HEIGHT - 2, x_title)]
    for color, (name, curve) in zip(COLORS, curves.items(), strict=False):
        parts += _curve(axes, name, curve, color)
    label = html.escape(f"{title}: {', '.join(curves)}")
    size = f'width="{_WIDTH}" height="{_HEIGHT}"'
    return f'<svg {size} role="img" aria-label="{label}">{"".join(parts)}</svg>'


def legend(names: Sequence[str]) -> str:
    """Returns the names in the colors of the curves, as SVG and plain text."""
    return " &nbsp; ".join(
        f'<svg width="18" height="9"><rect width="18" height="9" fill="{color}" /></svg> '
        f"{html.escape(name)}"
        for color, name in zip(COLORS, names, strict=False)
    )


class _Axes:
    """From values to pixels."""

    def __init__(self, points: Sequence[tuple[float, float]]):
        xs, ys = ([point[axis] for point in points] for axis in (0, 1))
        self.ticks_x, self.ticks_y = ticks(min(xs), max(xs)), ticks(min(ys), max(ys))
        self._x = _range([*xs])
        self._y = _range([*ys, self.ticks_y[0], self.ticks_y[-1]])

    def x(self, value: float) -> float:
        low, high = self._x
        return _LEFT + (value - low) / (high - low) * (_WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        low, high = self._y
        return _HEIGHT - _BOTTOM - (value - low) / (high - low) * (_HEIGHT - _TOP - _BOTTOM)

    def lines(self) -> list[str]:
        found = []
        for value in self.ticks_y:
            y = self.y(value)
            right = _WIDTH - _RIGHT
            found.append(f'<line class=grid x1="{_LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}" />')
            found.append(_text(_LEFT - 6, y + 4, f"{value:.4g}", "end"))
        for value in self.ticks_x:
            if self._x[0] <= value <= self._x[1]:
                found.append(_text(self.x(value), _HEIGHT - _BOTTOM + 14, f"{value:,.4g}"))
        return found


def _range(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    if low < high:
        return low, high
    margin = abs(low) / 2 or 1.0
    return low - margin, high + margin


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Returns round values from at or below `low` to at or above `high`, about `most` of them."""
    low, high = _range([low, high])
    rough = (high - low) / (most - 1)
    power = 10 ** math.floor(math.log10(rough))
    step = next(each * power for each in (1, 2, 2.5, 5, 10) if each * power >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [index * step for index in range(first, last + 1)]


def _curve(axes: _Axes, name: str, curve: Curve, color: str) -> list[str]:
    parts, path, is_broken = [], "", True
    for x, y in curve:
        if y is not None:
            path += f"{'M' if is_broken else 'L'}{axes.x(x):.1f} {axes.y(y):.1f}"
        is_broken = y is None
    parts.append(f'<path d="{path}" fill="none" stroke="{color}" stroke-width="1.8" />')
    for x, y in curve if len(curve) <= _MAX_MARKED else ():
        if y is not None:
            parts.append(
                f'<circle cx="{axes.x(x):.1f}" cy="{axes.y(y):.1f}" r="2.6" fill="{color}">'
                f"<title>{html.escape(name)} {y:.6g} at {x:,.6g}</title></circle>"
            )
    return parts


def _text(x: float, y: float, content: str, anchor: str = "middle") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{html.escape(content)}</text>'
