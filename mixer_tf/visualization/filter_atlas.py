# SPDX-License-Identifier: Apache-2.0
"""The weight atlas: the filters of one or more checkpoints as PNG files, numbers and a page."""

from __future__ import annotations

import csv
import dataclasses
import io
import os
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from mixer_tf import storage
from mixer_tf.checkpoints.opening import open_checkpoint
from mixer_tf.messages import printable, spreadsheet_cell
from mixer_tf.visualization import filters, html_page
from mixer_tf.visualization.filter_layers import FilterLayer, Grid, choose_layers, find_layers
from mixer_tf.visualization.filter_plots import write_png

PAGE, TABLE = "filters.html", "filters.csv"
_GAP = 24  # pixels between the plots of two checkpoints
_TITLE_HEIGHT = 30
_FONT_SIZE = 16
_COLUMNS = ("model", "layer", "position", "unit", "frequency", "partner", "similarity")


@dataclasses.dataclass(frozen=True)
class LayerFilters:
    """The filters of one layer of one checkpoint, in the order in which they are shown.

    Attributes:
        model: title of the checkpoint.
        layer: the layer.
        filters: [N, rows, columns] or [N, rows, columns, 3], as they are stored.
        order: N indices; in a paired layer, each filter is followed by its closest inverse.
        frequencies: mean squared frequency of each filter, as they are stored; see
            `filters.roughness`.
        similarities: cosine similarity of each pair; None in a layer without pairs.
        similarities_by_chance: the same for filters of the same weights in random order.
    """

    model: str
    layer: FilterLayer
    filters: np.ndarray
    order: np.ndarray
    frequencies: np.ndarray
    similarities: np.ndarray | None
    similarities_by_chance: np.ndarray | None

    @classmethod
    def of(cls, model: str, layer: FilterLayer, found: np.ndarray) -> LayerFilters:
        """Sorts and pairs the filters of a layer."""
        order = layer.order(found)
        similarities = by_chance = None
        if layer.is_paired:
            similarities = filters.pair_similarities(found, order)
            random = filters.shuffled(found)
            by_chance = filters.pair_similarities(random, layer.order(random))
        frequencies = filters.roughness(found)
        return cls(model, layer, found, order, frequencies, similarities, by_chance)

    def plot(self) -> np.ndarray:
        """Returns the filters as an image, uint8 [height, width, 3]."""
        return self.layer.plot(self.filters, self.order)


def write_atlas(
    checkpoints: Mapping[str, str],
    folder: str,
    layers: Sequence[str] | None = None,
    blocks: Collection[int] | None = None,
    grid: Grid = None,
) -> list[str]:
    """Writes one PNG file for each layer, `filters.csv` and `filters.html`.

    The filters of several checkpoints are side by side.

    Args:
        checkpoints: title → path of each checkpoint that `open_checkpoint` can read.
        folder: output folder; created if it does not exist.
        layers: see `choose_layers`.
        blocks: see `choose_layers`.
        grid: rows and columns of patches; None for a square grid.

    Returns:
        The paths of the files.

    Raises:
        FileNotFoundError: a checkpoint does not exist.
        ValueError: a checkpoint has no filters, no checkpoint has such a layer or block, the
            layers are in other blocks, or the grid does not fit.
    """
    found = read_filters(checkpoints, layers, blocks, grid)
    paths = []
    for name, of_models in found.items():
        path = os.path.join(folder, f"{name}.png")
        paths.append(write_png(_beside(of_models), path))
    everything = [each for of_models in found.values() for each in of_models]
    for name, text in ((TABLE, _table(everything)), (PAGE, _page(checkpoints, found, paths))):
        paths.append(os.path.join(folder, name))
        storage.write_text(paths[-1], text)
    return paths


def read_filters(
    checkpoints: Mapping[str, str],
    layers: Sequence[str] | None = None,
    blocks: Collection[int] | None = None,
    grid: Grid = None,
) -> dict[str, list[LayerFilters]]:
    """Returns the filters of each layer, of every checkpoint that has it.

    Args, raises: see `write_atlas`.
    """
    of_model = {title: _layers_of(path) for title, path in checkpoints.items()}
    union = {name: layer for each in of_model.values() for name, layer in each.items()}
    names = [layer.name for layer in choose_layers(union, layers, blocks)]
    found: dict[str, list[LayerFilters]] = {name: [] for name in names}
    for title, path in checkpoints.items():
        with open_checkpoint(path) as arrays:
            for name in names:
                if layer := of_model[title].get(name):
                    own = layer.filters(arrays.read(layer.weight), grid)
                    found[name].append(LayerFilters.of(title, layer, own))
    return found


def _layers_of(path: str) -> dict[str, FilterLayer]:
    with open_checkpoint(path) as arrays:
        found = find_layers(arrays.shapes)
    if not found:
        raise ValueError(f"{path} must be a Mixer, ViT or BiT; it has none of their filters.")
    return found


def _beside(of_models: Sequence[LayerFilters]) -> np.ndarray:
    """The plots of several models from left to right, with a title above each; one has none."""
    plots = [each.plot() for each in of_models]
    if len(plots) == 1:
        return plots[0]
    titled = [_with_title(plot, each.model) for plot, each in zip(plots, of_models, strict=True)]
    height = max(plot.shape[0] for plot in titled)
    padded = []
    for plot in titled:
        rows = ((0, height - plot.shape[0]), (0, _GAP), (0, 0))
        padded.append(np.pad(plot, rows, constant_values=255))
    return np.concatenate(padded, axis=1)[:, :-_GAP]


def _with_title(plot: np.ndarray, title: str) -> np.ndarray:
    """The plot below a line of text, which is shortened to its width."""
    from PIL import Image, ImageDraw

    strip = Image.new("RGB", (plot.shape[1], _TITLE_HEIGHT), "white")
    draw, font = ImageDraw.Draw(strip), _font()
    text = printable(title)
    while len(text) > 1 and draw.textlength(text, font) > plot.shape[1]:
        text = "…" + text.removeprefix("…")[1:]  # the end of a path says more than its start
    draw.text((0, 4), text, fill="black", font=font)
    return np.concatenate([np.asarray(strip), plot])


def _font():
    from matplotlib import font_manager
    from PIL import ImageFont

    return ImageFont.truetype(font_manager.findfont("DejaVu Sans"), _FONT_SIZE)


def _table(found: Sequence[LayerFilters]) -> str:
    """One row for each filter, in the order in which they are shown."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for each in found:
        for position, unit in enumerate(each.order):
            row = (each.model, each.layer.name, position, int(unit), each.frequencies[unit])
            writer.writerow([spreadsheet_cell(value) for value in (*row, *_pair(each, position))])
    return text.getvalue()


def _pair(each: LayerFilters, position: int) -> tuple[int | None, float | None]:
    """The unit beside it, and their similarity; None twice where it has no partner."""
    if each.similarities is None or position // 2 >= len(each.similarities):
        return None, None
    return int(each.order[position ^ 1]), float(each.similarities[position // 2])


def _page(
    checkpoints: Mapping[str, str],
    found: Mapping[str, Sequence[LayerFilters]],
    paths: Sequence[str],
) -> str:
    header = ["layer", "model", "filters", "median frequency", "similarity of pairs", "by chance"]
    rows = [
        [html_page.text(name), html_page.text(printable(each.model)), *map(html_page.text, cells)]
        for name, of_models in found.items()
        for each in of_models
        for cells in [summary(each)]
    ]
    explanation = (
        "The smoothest filters come first. In pairs, each filter is followed by the one closest to "
        "its inverse; the cosine similarity of exact inverses is -1. The frequency is the mean "
        "squared one. By chance: the same for the same weights in random order."
    )
    sections = [f"<p>{explanation}</p>", html_page.table(header, rows)]
    for name, path in zip(found, paths, strict=False):
        picture = html_page.image(storage.read_bytes(path), f"filters of {name}")
        sections.append(f"<h2>{html_page.text(name)}</h2>\n{picture}")
    return html_page.render(f"Filters of {', '.join(map(printable, checkpoints))}", sections)


def summary(each: LayerFilters) -> list[str]:
    """Returns number, median frequency, mean similarity of the pairs, and that by chance."""
    numbers = [f"{len(each.filters):,}", f"{np.median(each.frequencies):.3f}"]
    for similarities in (each.similarities, each.similarities_by_chance):
        has_pairs = similarities is not None and len(similarities)
        numbers.append(f"{np.mean(similarities):.3f}" if has_pairs else "")
    return numbers
