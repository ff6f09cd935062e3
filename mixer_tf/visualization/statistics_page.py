# SPDX-License-Identifier: Apache-2.0
"""The statistics of a dataset as files: statistics.json, and a page with plots, statistics.html.

The page is static HTML with SVG; it loads nothing and runs no script.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from mixer_tf import storage
from mixer_tf.datasets.anomalies import describe_group, find_anomalies
from mixer_tf.datasets.class_names import sort_key
from mixer_tf.datasets.skew import CATEGORIES, Skew, compare_splits
from mixer_tf.datasets.statistics import (
    HISTOGRAMS,
    DatasetStatistics,
    GroupStatistics,
    Histogram,
)
from mixer_tf.datasets.statistics_limits import StatisticsLimits
from mixer_tf.messages import printable
from mixer_tf.visualization import html_page
from mixer_tf.visualization.html_page import table, text

PAGE, JSON_FILE = "statistics.html", "statistics.json"
MAX_CLASSES = 200  # in the table of the page; statistics.json has all
_COLORS = ("#1a66d0", "#d9730d", "#2e8b57", "#a23b9a")
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _BOTTOM = 380, 190, 44, 18, 34  # of a plot, in pixels


def write(
    folder: str, statistics: DatasetStatistics, spec: str, limits: StatisticsLimits | None = None
) -> list[str]:
    """Writes statistics.json and statistics.html, and returns the anomalies.

    Args:
        folder: the folder to write to; created if it does not exist.
        statistics: statistics of the whole dataset.
        spec: the specification of the source, such as "folder:/data/pets".
        limits: None for the defaults.
    """
    limits = limits or StatisticsLimits()
    anomalies = find_anomalies(statistics, limits)
    storage.make_folder(folder)
    content = json.dumps(to_dict(statistics, spec, limits, anomalies), indent=1, ensure_ascii=False)
    storage.write_text(os.path.join(folder, JSON_FILE), content + "\n")
    page = render(statistics, spec, limits, anomalies)
    storage.write_text(os.path.join(folder, PAGE), page)
    return anomalies


def to_dict(
    statistics: DatasetStatistics, spec: str, limits: StatisticsLimits, anomalies: Sequence[str]
) -> dict[str, Any]:
    """Returns the content of statistics.json."""
    return {
        "source": printable(spec),
        "anomalies": list(anomalies),
        "limits": dataclasses.asdict(limits),
        "splits": {split: statistics.of_split(split).to_dict() for split in statistics.splits},
        "skew": [dataclasses.asdict(skew) for skew in compare_splits(statistics)],
        "classes": {
            split: {
                name: group.to_dict(with_histograms=False)
                for name, group in statistics.of_classes(split).items()
            }
            for split in statistics.splits
        },
    }


def render(
    statistics: DatasetStatistics, spec: str, limits: StatisticsLimits, anomalies: Sequence[str]
) -> str:
    """Returns the page."""
    splits = {split: statistics.of_split(split) for split in statistics.splits}
    sections = [
        _anomalies(anomalies, limits),
        "<h2>Splits</h2>",
        _splits_table(splits),
        "<h2>Distributions</h2>",
        _plots(splits),
        "<h2>Skew between training and the other splits</h2>",
        _skew_table(list(compare_splits(statistics)), limits),
        "<h2>Classes</h2>",
        _classes_table(statistics),
    ]
    return html_page.render(f"Image statistics of {printable(spec)}", sections)


def _anomalies(anomalies: Sequence[str], limits: StatisticsLimits) -> str:
    stated = ", ".join(
        f"{name.replace('_', ' ')} {value:g}" for name, value in dataclasses.asdict(limits).items()
    )
    if not anomalies:
        return f"<p class=good>No anomalies.</p><p>Limits: {stated}.</p>"
    items = "\n".join(f"<li>{text(line)}</li>" for line in anomalies)
    count = f"{len(anomalies):,} anomal{'y' if len(anomalies) == 1 else 'ies'}"
    return f"<p class=bad>{count}:</p><ul class=bad>{items}</ul><p>Limits: {stated}.</p>"


def _splits_table(splits: Mapping[str, GroupStatistics]) -> str:
    rows = {}
    for split, group in splits.items():
        colors = {
            f"{name}, mean / std": f"{group.mean(name) / 255:.4f} / {group.std(name) / 255:.4f}"
            for name in ("red", "green", "blue")
            if group.images
        }
        rows[split] = {
            "images": f"{group.images:,}",
            "unreadable": f"{group.unreadable:,}",
            "median shorter side": _median(group, "shorter_side"),
            "median aspect ratio": _median(group, "aspect_ratio"),
            "mean size of a file": f"{group.mean('bytes') / 1000:,.1f} kB" if group.images else "",
            **describe_group(group),
            **colors,
        }
    titles = list(dict.fromkeys(title for row in rows.values() for title in row))
    found = table(
        ["", *map(text, rows)],
        [[title, *(text(row.get(title, "–")) for row in rows.values())] for title in titles],
    )
    note = (
        "<p>Brightness and contrast are mean and standard deviation of luma, from 0 to 255, "
        "given as mean ± standard deviation over the images. Means and standard deviations of "
        "colors are those of all pixels from 0 to 1, where each image counts as one. Large images "
        "are measured at a reduced size. Medians are read from the histograms.</p>"
    )
    return found + note


def _median(group: GroupStatistics, name: str) -> str:
    """The median, from the histogram: the center of its bin; exact where all values are equal."""
    if not group.images:
        return "–"
    if name == "shorter_side" and group.smallest == group.largest:
        return f"{min(group.smallest)}"
    if name == "aspect_ratio" and group.smallest == group.largest:
        return f"{group.smallest[0] / group.smallest[1]:.2f}"
    counts, edges = group.histogram(name), HISTOGRAMS[name].edges()
    index = int(np.searchsorted(counts.cumsum(), group.images / 2))
    center = (edges[index] * edges[index + 1]) ** 0.5
    return f"about {center:.0f}" if name == "shorter_side" else f"about {center:.2f}"


def _plots(splits: Mapping[str, GroupStatistics]) -> str:
    groups = {split: group for split, group in splits.items() if group.images}
    if not groups:
        return "<p>No image can be decoded.</p>"
    figures = [
        f"<figure><figcaption>{histogram.title}</figcaption>"
        f"{_histogram_svg(histogram, {s: g.histogram(name) for s, g in groups.items()})}</figure>"
        for name, histogram in HISTOGRAMS.items()
    ]
    return f"{_legend(groups)}\n<div class=plots>{''.join(figures)}</div>"


def _legend(groups: Iterable[str]) -> str:
    items = " ".join(
        f'<svg width="22" height="11"><rect width="22" height="11" fill="{color}" /></svg> '
        f"{text(split)} &nbsp;"
        for split, color in zip(groups, _COLORS, strict=False)
    )
    return f"<p>Share of the images of each split: {items}</p>"


def _histogram_svg(histogram: Histogram, counts: Mapping[str, np.ndarray]) -> str:
    """Steps of the shares of each split, over the bins in which any split has images."""
    shares = {split: each / each.sum() for split, each in counts.items()}
    used = np.flatnonzero(sum(counts.values()))
    first, last = max(0, used[0] - 1), min(len(next(iter(counts.values()))), used[-1] + 2)
    top = max(float(each.max()) for each in shares.values())
    width, height = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _BOTTOM - 8

    def x(edge: float) -> float:
        return _LEFT + (edge - first) / (last - first) * width

    def y(share: float) -> float:
        return 8 + (1 - share / top) * height

    parts = [
        f'<line class=grid x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y(v):.1f}" y2="{y(v):.1f}" />'
        f'<text x="{_LEFT - 5}" y="{y(v) + 4:.1f}" text-anchor="end">{v:.0%}</text>'
        for v in (0, top / 2, top)
    ]
    parts += [
        f'<line class=axis x1="{x(e):.1f}" x2="{x(e):.1f}" y1="{y(0):.1f}" y2="{y(0) + 4:.1f}" />'
        f'<text x="{x(e):.1f}" y="{_HEIGHT - 14}" text-anchor="middle">{_number(value)}</text>'
        for value, e in _ticks(histogram, first, last)
    ]
    for color, (_, each) in zip(_COLORS, shares.items(), strict=False):
        points = [f"{x(first):.1f},{y(0):.1f}"]
        for index in range(first, last):
            points += [f"{x(index + side):.1f},{y(each[index]):.1f}" for side in (0, 1)]
        points.append(f"{x(last):.1f},{y(0):.1f}")
        parts.append(
            f'<polygon points="{" ".join(points)}" fill="{color}" fill-opacity="0.12" '
            f'stroke="{color}" stroke-width="1.5" />'
        )
    return (
        f'<svg width="{_WIDTH}" height="{_HEIGHT}" role="img" aria-label="{histogram.title}">'
        f"{''.join(parts)}</svg>"
    )


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _ticks(histogram: Histogram, first: int, last: int) -> list[tuple[float, float]]:
    """Values for the axis with their positions, at most nine."""
    ticks = [(value, histogram.position(value)) for value in histogram.ticks]
    visible = [tick for tick in ticks if first <= tick[1] <= last]
    return visible[:: -(-len(visible) // 9)] if visible else []


def _skew_table(skews: Sequence[Skew], limits: StatisticsLimits) -> str:
    if not skews:
        return "<p>There are no two splits to compare.</p>"
    rows = []
    for skew in skews:
        largest = f"{skew.difference:.1%}"
        if skew.measure in CATEGORIES:
            largest += f" ({text(skew.category)})"
        rows.append(
            [
                text(f"{skew.second}: {skew.measure.replace('_', ' ')}"),
                largest,
                f"{skew.divergence:.3f}",
                f"{skew.excess:.3f}",
                _verdict(skew, limits),
            ]
        )
    header = ["", "largest difference of a share", "Jensen-Shannon divergence", "beyond chance", ""]
    note = (
        "<p>The largest difference (L-infinity) decides for labels, formats and grayscale, the "
        "divergence (0 to 1 bits) for the other measures; of both, what chance explains in sets of "
        f"these sizes is subtracted, and more than {limits.skew:g} is an anomaly.</p>"
    )
    return table(header, rows) + note


def _verdict(skew: Skew, limits: StatisticsLimits) -> str:
    if skew.excess > limits.skew:
        return "<b class=bad>differs</b>"
    return "small" if skew.excess else "<span class=good>within chance</span>"


def _classes_table(statistics: DatasetStatistics) -> str:
    splits = statistics.splits
    by_split = {split: statistics.of_classes(split) for split in splits}
    names = sorted({name for classes in by_split.values() for name in classes}, key=sort_key)
    rows = []
    for name in names[:MAX_CLASSES]:
        together = GroupStatistics()
        for classes in by_split.values():
            if name in classes:
                together.merge(classes[name])
        found = describe_group(together)
        counts = [
            f"{classes[name].images if name in classes else 0:,}" for classes in by_split.values()
        ]
        texts = [found.get(title, "–") for title in _CLASS_COLUMNS]
        rows.append([text(name or "(no label)"), *counts, *map(text, texts)])
    more = len(names) - MAX_CLASSES
    rest = f"<p>{more:,} more classes are listed in {JSON_FILE}.</p>" if more > 0 else ""
    return table(["", *map(text, splits), *_CLASS_COLUMNS], rows) + rest


_CLASS_COLUMNS = ("sizes", "formats", "brightness", "contrast", "grayscale", "near-constant")
