# SPDX-License-Identifier: Apache-2.0
"""Plots a confusion matrix as an image. Needs only numpy and Pillow."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from mixer_tf.messages import visible

MAX_CLASSES = 40  # in one plot
_CELL, _MARGIN, _FONT_SIZE = 26, 8, 13  # pixels
_MAX_CHARACTERS = 20
_FIRST_WITHOUT_GLYPH = "\u0180"  # Pillow's own font has Latin letters only
_DARK = np.array([8, 48, 107])  # the color of a share of 1; that of 0 is white


def plot_confusion(counts: np.ndarray, class_names: Sequence[str] = ()) -> np.ndarray:
    """Plots the share of each true class (row) that was predicted as each class (column).

    Each cell shows its number of images, if there are any. Of more than `MAX_CLASSES` classes,
    those with the most errors are plotted, in the order of their labels.

    Args:
        counts: number of images, [C, C]: true class, predicted class.
        class_names: one name per label; empty for the labels themselves. A name that the font
            cannot show is replaced by its label.

    Returns:
        uint8 [height, width, 3].
    """
    counts = np.asarray(counts)
    chosen = worst_classes(counts)
    names = [_title(label, class_names) for label in chosen]
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
    lines = ["Rows: true class. Columns: predicted class. Color: share of the row."]
    if len(chosen) < len(counts):
        lines.append(f"{len(chosen)} of {len(counts):,} classes, those with the most errors.")
    return _draw(counts[np.ix_(chosen, chosen)], shares[np.ix_(chosen, chosen)], names, lines)


def worst_classes(counts: np.ndarray, number: int = MAX_CLASSES) -> np.ndarray:
    """Returns the labels of the classes with the most errors, ascending; all if they are few.

    An error counts for its true class and for its predicted class.
    """
    right = np.diagonal(counts)
    errors = counts.sum(axis=0) + counts.sum(axis=1) - 2 * right
    return np.sort(np.argsort(-errors, kind="stable")[:number])


def _title(label: int, class_names: Sequence[str]) -> str:
    name = visible(class_names[label]) if class_names else f"{label}"
    if not name or max(name) >= _FIRST_WITHOUT_GLYPH:
        return f"class {label}"
    return name if len(name) <= _MAX_CHARACTERS else f"{name[: _MAX_CHARACTERS - 1]}…"


def _draw(counts, shares, names: Sequence[str], lines: Sequence[str]) -> np.ndarray:
    font = ImageFont.load_default(_FONT_SIZE)
    label = round(max(font.getlength(name) for name in names)) + 2 * _MARGIN
    header = (_FONT_SIZE + _MARGIN) * len(lines) + _MARGIN
    side = len(names) * _CELL
    wide = max(font.getlength(line) for line in lines) + 2 * _MARGIN
    size = round(max(label + side + _MARGIN, wide)), header + label + side + _MARGIN
    image = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(image)
    for index, line in enumerate(lines):
        draw.text((_MARGIN, _MARGIN + index * (_FONT_SIZE + _MARGIN)), line, "black", font)
    for index, name in enumerate(names):
        middle = header + label + (index + 0.5) * _CELL
        draw.text((label - _MARGIN, middle), name, "black", font, anchor="rm")
        left = label + index * _CELL + (_CELL - _FONT_SIZE) // 2
        _draw_upright(image, name, font, left, header + label - _MARGIN)
    for (row, column), count in np.ndenumerate(counts):
        corner = label + column * _CELL, header + label + row * _CELL
        _draw_cell(draw, corner, count, shares[row, column], font)
    return np.asarray(image)


def _draw_upright(image: Image.Image, text: str, font, left: int, bottom: int) -> None:
    """Draws a text that reads upwards from `bottom`."""
    strip = Image.new("RGB", (round(font.getlength(text)) + 1, _FONT_SIZE + 4), "white")
    ImageDraw.Draw(strip).text((0, 0), text, "black", font)
    strip = strip.transpose(Image.Transpose.ROTATE_90)
    image.paste(strip, (left, bottom - strip.height))


def _draw_cell(draw: ImageDraw.ImageDraw, corner, count: float, share: float, font) -> None:
    left, top = corner
    color = tuple(np.round(255 + share * (_DARK - 255)).astype(int))
    draw.rectangle((left, top, left + _CELL, top + _CELL), fill=color, outline="lightgray")
    if not count:
        return
    text = f"{count:.0f}" if count < 1000 else f"{count / 1000:.0f}k"
    middle = left + _CELL / 2, top + _CELL / 2
    draw.text(middle, text, "white" if share > 0.5 else "black", font, anchor="mm")
