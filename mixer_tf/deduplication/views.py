# SPDX-License-Identifier: Apache-2.0
"""Views of an image, by which crops, frames and turned copies are found.

The views are the whole image, the image without a border of one color, two center crops, and of
photographs the image without a part of each side. A copy that is a crop resembles a crop of the
original; a framed copy without its frame resembles the original.
"""

from __future__ import annotations

import functools

import numpy as np

from mixer_tf.deduplication.descriptor import THUMBNAIL_SIZE

# Side of the stored thumbnail: its center crops still have a pixel for each pixel of the view.
STORED_SIZE = 64
# Side of the views by which most candidates are ruled out.
SMALL_SIZE = 16
WHOLE, TRIMMED, LARGE_CROP, SMALL_CROP, NO_LEFT, NO_TOP, NO_RIGHT, NO_BOTTOM = range(8)
NUM_VIEWS = 8
_CROP_SIDES = {LARGE_CROP: 0.8, SMALL_CROP: 0.64}
# Views that lack this share of one side, in the order of the edges of a box. A copy whose cut is
# between none and twice as wide differs from them no more than the center crops do.
ONE_SIDED = (NO_LEFT, NO_TOP, NO_RIGHT, NO_BOTTOM)
_CUT = 0.15
# Smaller images, in pixels, have too few details for other views than the whole.
_MIN_SIDE = 64
# A drawing, a document or an icon has more than this share of its pixels within a few gray levels.
_MAX_FLAT_SHARE, _FLAT_LEVELS = 0.4, 8
# The same of images without color and with a border, as pages with margins are.
_MAX_FLAT_SHARE_OF_PAGES = 0.25
# A line of pixels belongs to a border if no pixel differs more than this, in gray levels, from
# the border's color; and at most this share of each side is a border.
_BORDER_DEVIATION, _MAX_BORDER = 14, 0.4


def boxes(thumbnails: np.ndarray, shorter_sides: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns where the views are, and which of them exist.

    Of images that are not photographs, the views without one side are not used.

    Args:
        thumbnails: uint8 [N, 64, 64, 3].
        shorter_sides: shorter sides of the images in pixels, [N].

    Returns:
        float32 [N, 8 views, 4]: left, top, right, bottom in pixels of the thumbnail; and
        bool [N, 8 views]. An image without a border has no trimmed view, a small one one view.
    """
    found = np.zeros((len(thumbnails), NUM_VIEWS, 4), np.float32)
    found[:, WHOLE] = 0, 0, STORED_SIZE, STORED_SIZE
    for view, side in _CROP_SIDES.items():
        margin = (1 - side) / 2 * STORED_SIZE
        found[:, view] = margin, margin, STORED_SIZE - margin, STORED_SIZE - margin
    found[:, ONE_SIDED] = found[:, WHOLE, None]
    for side, view in enumerate(ONE_SIDED):
        found[:, view, side] += (1 if side < 2 else -1) * _CUT * STORED_SIZE
    found[:, TRIMMED] = found[:, WHOLE]
    large = np.asarray(shorter_sides) >= _MIN_SIDE
    found[large, TRIMMED] = _without_borders(thumbnails[large])
    exists = np.ones((len(thumbnails), NUM_VIEWS), bool)
    exists[:, TRIMMED] = (found[:, TRIMMED] != found[:, WHOLE]).any(1)
    exists[:, WHOLE + 1 :] &= large[:, None]
    return found, exists


def crop(thumbnails: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Returns views of thumbnails.

    Args:
        thumbnails: uint8 [N, 64, 64, 3].
        box: float32 [N, 4], as of `boxes`.

    Returns:
        uint8 [N, 32, 32, 3]; each pixel is the mean of an area.
    """
    is_whole = (box == [0, 0, STORED_SIZE, STORED_SIZE]).all(1)
    if is_whole.all():
        return shrink(thumbnails)
    views = np.zeros((len(box), THUMBNAIL_SIZE, THUMBNAIL_SIZE, 3), np.uint8)
    views[is_whole] = shrink(thumbnails[is_whole])
    views[~is_whole] = _crop(thumbnails[~is_whole], box[~is_whole])
    return views


def shrink(images: np.ndarray) -> np.ndarray:
    """Halves the sides of images: the means of two by two pixels, rounded half up.

    Args:
        images: uint8 [N, S, S, C].
    """
    num, size, _, channels = images.shape
    sums = images[:, 0::2].astype(np.uint16) + images[:, 1::2]
    pairs = np.ascontiguousarray(sums).reshape(-1, 2, channels)
    halved = np.empty((len(pairs), channels), np.uint8)
    for channel in range(channels):  # long loops inside of NumPy, not loops over three channels
        both = pairs[:, 0, channel] + pairs[:, 1, channel]
        halved[:, channel] = (both + 2) >> 2
    return halved.reshape(num, size // 2, size // 2, channels)


def _crop(thumbnails: np.ndarray, box: np.ndarray) -> np.ndarray:
    box, index = np.unique(box, axis=0, return_inverse=True)  # most boxes are those of fixed views
    columns, rows = _average(box[:, 0], box[:, 2])[index], _average(box[:, 1], box[:, 3])[index]
    # Contiguous arrays: matrix products of others are several times slower.
    channels = np.ascontiguousarray(np.moveaxis(thumbnails, -1, 1), np.float32)
    columns = np.ascontiguousarray(columns.swapaxes(1, 2))
    views = rows[:, None] @ channels @ columns[:, None]
    return np.floor(np.moveaxis(views, 1, -1) + 0.5).astype(np.uint8)


def turn_slightly(thumbnails: np.ndarray, degrees: float) -> np.ndarray:
    """Rotates thumbnails, uint8 [N, 64, 64, 3], counterclockwise; corners repeat the border."""
    positions, weights = _rotation(degrees)
    pixels = thumbnails.reshape(len(thumbnails), -1, 3)
    mixed = sum(
        pixels[:, position] * weight[:, None]
        for position, weight in zip(positions, weights, strict=True)
    )
    return np.round(mixed).astype(np.uint8).reshape(thumbnails.shape)


def is_photographic(
    thumbnails: np.ndarray, boxes: np.ndarray, exists: np.ndarray, gray: np.ndarray
) -> np.ndarray:
    """Returns which images are neither small nor mostly of one gray level, as drawings are.

    A border does not count. A turned digit or symbol is another one, so turned copies are found of
    these images alone.

    Args:
        thumbnails: uint8 [N, 64, 64, 3] in YCbCr.
        boxes, exists: as of `boxes`.
        gray: bool [N], which images have no color.

    Returns:
        bool [N].
    """
    photographic = exists[:, LARGE_CROP].copy()
    rows = np.flatnonzero(photographic)
    inside = np.where(exists[rows, TRIMMED], TRIMMED, WHOLE)
    luma = crop(thumbnails[rows], boxes[rows, inside])[..., 0]
    is_page = gray[rows] & (inside == TRIMMED)
    photographic[rows] = ~np.where(
        is_page, _are_flat(luma, _MAX_FLAT_SHARE_OF_PAGES), _are_flat(luma, _MAX_FLAT_SHARE)
    )
    return photographic


def _are_flat(luma: np.ndarray, share: float) -> np.ndarray:
    """Which images [N, 32, 32] have more than a share of their pixels within a few gray levels."""
    levels = np.sort(luma.reshape(-1, THUMBNAIL_SIZE**2), axis=1).astype(np.int16)
    window = int(share * levels.shape[1])
    return (levels[:, window:] - levels[:, :-window] <= _FLAT_LEVELS).any(1)


@functools.cache
def _rotation(degrees: float) -> tuple[np.ndarray, np.ndarray]:
    """Linear interpolation: the indices of four pixels [4, 4096], and their weights."""
    y, x = np.mgrid[:STORED_SIZE, :STORED_SIZE].reshape(2, -1) - (STORED_SIZE - 1) / 2
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    source = np.stack([sine * x + cosine * y, cosine * x - sine * y]) + (STORED_SIZE - 1) / 2
    source = np.clip(source, 0, STORED_SIZE - 1 - 1e-4)
    (row, column), (down, right) = np.floor(source).astype(np.int64), source % 1
    first = row * STORED_SIZE + column
    positions = np.stack([first, first + 1, first + STORED_SIZE, first + STORED_SIZE + 1])
    weights = [(1 - down) * (1 - right), (1 - down) * right, down * (1 - right), down * right]
    return positions, np.array(weights, np.float32)


def _average(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """The mean over equal parts of [start, end] as matrices, float32 [N, 32, 64]."""
    edges = start[:, None] + (end - start)[:, None] * np.linspace(0, 1, THUMBNAIL_SIZE + 1)
    pixel = np.arange(STORED_SIZE)
    covered = np.minimum(edges[:, 1:, None], pixel + 1) - np.maximum(edges[:, :-1, None], pixel)
    weight = np.maximum(covered, 0)
    return (weight / weight.sum(-1, keepdims=True)).astype(np.float32)


def _without_borders(thumbnails: np.ndarray) -> np.ndarray:
    """The box [N, 4] inside of borders of one color; top and bottom first, then left and right."""
    num, limit = len(thumbnails), int(_MAX_BORDER * STORED_SIZE)
    pixels = thumbnails.astype(np.int16)
    top, bottom = (_count_lines(lines, limit) for lines in (pixels, pixels[:, ::-1]))
    columns = pixels.swapaxes(1, 2)
    left, right = (_count_lines(lines, limit) for lines in (columns, columns[:, ::-1]))
    # The outermost line of what is inside is a mixture with the border.
    margins = [np.where(margin > 0, margin + 1, 0) for margin in (left, top, right, bottom)]
    box = np.stack([*margins[:2], *(STORED_SIZE - margin for margin in margins[2:])], 1)
    inside = (box[:, 2] - box[:, 0] >= STORED_SIZE // 4) & (
        box[:, 3] - box[:, 1] >= STORED_SIZE // 4
    )
    whole = np.tile([0, 0, STORED_SIZE, STORED_SIZE], (num, 1))
    return np.where(inside[:, None], box, whole).astype(np.float32)


def _count_lines(lines: np.ndarray, limit: int) -> np.ndarray:
    """The number of first lines, [N, lines, pixels, 3], that have the color of the first one."""
    count = np.zeros(len(lines), np.int64)
    color = np.median(lines[:, 0], axis=1)[:, None]
    left = np.arange(len(lines))
    for index in range(limit):
        same = (np.abs(lines[left, index] - color[left]) <= _BORDER_DEVIATION).all((1, 2))
        left = left[same]
        if not len(left):
            break
        count[left] += 1
    return count
