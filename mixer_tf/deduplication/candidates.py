# SPDX-License-Identifier: Apache-2.0
"""Finds pairs of images that may be duplicates: all against all, by their descriptors alone."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from mixer_tf.deduplication import descriptor
from mixer_tf.deduplication.fingerprints import Fingerprints
from mixer_tf.deduplication.thresholds import (
    MIN_COSINE,
    MIN_COSINE_OF_SMALL,
    MIN_COSINE_OF_VIEWS,
    NEAR_IDENTICAL,
)
from mixer_tf.deduplication.views import LARGE_CROP, ONE_SIDED, SMALL_CROP, TRIMMED, WHOLE

# Number of images of the gallery in one matrix product: a few megabytes.
_BLOCK_SIZE = 8192
# Maximum number of candidates per query, pair of views, orientation and block; the most similar are
# kept, fewer where they are not very similar.
_MAX_CANDIDATES, _MAX_UNCERTAIN, _HIGH_COSINE = 16, 6, 0.8
# The same of whole images that are nearly equal, such as the frames of a video: each of them in a
# test set is a leak. Re-encoded and resized copies have a higher cosine than 0.995, but of letters
# or radiographs of one layout, 5 of 1,000 pairs have it.
_MAX_NEARLY_EQUAL, _NEARLY_EQUAL_COSINE = 64, 0.995
# Within a set, the first images from each of these cosines on are candidates as well, as whole
# images: an image is removed if it is a duplicate of one that is kept, and of a group of duplicates
# the first is kept. Images that only look alike may be before it.
_FIRST_COSINES, _NUM_FIRST = (0.8, 0.9, 0.97, 0.995, 0.999), 2
# A pair of which one image has a high threshold; no other limit is higher.
_MIN_COSINE_OF_STRICT = 2 * NEAR_IDENTICAL - 1
# How the query is turned before it is compared.
UPRIGHT, MIRRORED, TURNED_90, TURNED_180, TURNED_270 = range(5)
# The views of a query and of an image of the gallery that are compared; of two crops, none. The
# last ones find crops of one side in both directions.
_VIEW_PAIRS = (
    *itertools.product((WHOLE, TRIMMED), (WHOLE, TRIMMED, LARGE_CROP, SMALL_CROP)),
    *itertools.product((LARGE_CROP, SMALL_CROP), (WHOLE, TRIMMED)),
    *itertools.product((WHOLE,), ONE_SIDED),
    *itertools.product(ONE_SIDED, (WHOLE,)),
)


@dataclasses.dataclass(frozen=True)
class Pairs:
    """N pairs of a query and an image of the gallery, as parallel arrays.

    Attributes:
        rows: int [N], indices of the queries.
        columns: int [N], indices in the gallery.
        views: int [N, 2], the view of the query and that of the image of the gallery.
        orientations: int [N], how the query was turned for the comparison.
        similarity: float32 [N], similarity in [-1, 1].
    """

    rows: np.ndarray
    columns: np.ndarray
    views: np.ndarray
    orientations: np.ndarray
    similarity: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    def select(self, index: np.ndarray | slice) -> Pairs:
        """Returns the pairs that a mask, an array of indices or a slice selects."""
        return Pairs(*(getattr(self, field.name)[index] for field in dataclasses.fields(self)))


def make_pairs(
    rows: np.ndarray,
    columns: np.ndarray,
    similarity: np.ndarray,
    views: tuple[int, int] = (WHOLE, WHOLE),
    orientation: int = UPRIGHT,
) -> Pairs:
    """Returns pairs that were all compared by the same views and in the same orientation."""
    return Pairs(
        rows,
        columns,
        np.tile(np.array(views, np.int8), (len(rows), 1)),
        np.full(len(rows), orientation, np.int8),
        similarity.astype(np.float32),
    )


def concatenate(parts: Iterable[Pairs]) -> Pairs:
    """Concatenates pairs in the given order."""
    empty = np.zeros(0, np.int64)
    parts = [make_pairs(empty, empty, empty), *parts]
    names = [field.name for field in dataclasses.fields(Pairs)]
    return Pairs(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def find_candidates(
    queries: Fingerprints, gallery: Fingerprints, indices: np.ndarray | None = None
) -> Pairs:
    """Returns the pairs that may be duplicates, with their cosine as similarity.

    If one image is gray, only luma is compared. Of images of the gallery with equal bytes, only the
    first of each set is compared. A pair may occur several times.

    Args:
        queries: the images whose duplicates are searched.
        gallery: the images that may be their duplicates.
        indices: as in `matching.find_matches`; only earlier images of the gallery are candidates.
    """
    found = itertools.chain.from_iterable(
        _search_colors(queries, gallery, views, orientation)
        for views in _VIEW_PAIRS
        for orientation in _orientations(views)
    )
    if indices is None:
        return concatenate(pairs.select(_are_best(pairs, _MAX_NEARLY_EQUAL)) for pairs in found)
    earlier = (pairs.select(pairs.columns < indices[pairs.rows]) for pairs in found)
    return concatenate(
        pairs.select(_are_best(pairs, _MAX_CANDIDATES) | _are_first(pairs)) for pairs in earlier
    )


def orient(images: np.ndarray, orientations: np.ndarray) -> np.ndarray:
    """Turns images [N, S, S, ...] as `Pairs.orientations` says."""
    turned = images.copy()
    for orientation in set(np.unique(orientations).tolist()) - {UPRIGHT}:
        chosen = orientations == orientation
        if orientation == MIRRORED:
            turned[chosen] = images[chosen][:, :, ::-1]
        else:
            turned[chosen] = np.rot90(images[chosen], orientation - MIRRORED, (1, 2))
    return turned


def _orientations(views: tuple[int, int]) -> tuple[int, ...]:
    turned = (TURNED_90, TURNED_180, TURNED_270) if views == (WHOLE, WHOLE) else ()
    return (UPRIGHT, MIRRORED, *turned)


def _search_colors(
    queries: Fingerprints, gallery: Fingerprints, views: tuple[int, int], orientation: int
) -> Iterator[Pairs]:
    """Compares images that have these views: all by all channels, gray and color by luma."""
    rows, columns = np.flatnonzero(queries.has_view[:, views[0]]), gallery.equal_images.firsts
    columns = columns[gallery.has_view[columns, views[1]]]
    if orientation >= TURNED_90:
        rows, columns = rows[queries.photographic[rows]], columns[gallery.photographic[columns]]
    gray, other_gray = queries.gray[rows], gallery.gray[columns]
    search = lambda *parts: _search(queries, gallery, *parts, views, orientation)  # noqa: E731
    yield from search(rows, columns, _all_channels)
    yield from search(rows[gray], columns[~other_gray], descriptor.luma)
    yield from search(rows[~gray], columns[other_gray], descriptor.luma)


def _search(
    queries: Fingerprints,
    gallery: Fingerprints,
    rows: np.ndarray,
    columns: np.ndarray,
    part: Callable[[np.ndarray], np.ndarray],
    views: tuple[int, int],
    orientation: int,
) -> Iterator[Pairs]:
    """Compares some queries with some images of the gallery by a part of the descriptor."""
    if not len(rows):
        return
    first = part(_oriented(queries.descriptors[rows, views[0]], orientation))
    lowest = MIN_COSINE if views == (WHOLE, WHOLE) else MIN_COSINE_OF_VIEWS
    limits = np.where(queries.has_view[rows, LARGE_CROP], lowest, MIN_COSINE_OF_SMALL)
    limits[queries.thresholds[rows] >= NEAR_IDENTICAL] = _MIN_COSINE_OF_STRICT
    for start in range(0, len(columns), _BLOCK_SIZE):
        block = columns[start : start + _BLOCK_SIZE]
        cosines = descriptor.cosine(first, part(gallery.descriptors[block, views[1]]))
        is_strict = gallery.thresholds[block] >= NEAR_IDENTICAL
        row, column = _at_least(cosines, limits, is_strict)
        yield make_pairs(rows[row], block[column], cosines[row, column], views, orientation)


def _at_least(
    cosines: np.ndarray, limits: np.ndarray, is_strict: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The rows and columns of the cosines [N, M] that reach the limit of their row.

    Those of a strict column, bool [M], must reach that of strict images.
    """
    if is_strict.all():  # as in a uniform set, of which most pairs reach the other limits
        limits = np.full_like(limits, _MIN_COSINE_OF_STRICT)
    # Faster than `nonzero` of a comparison with a limit for each pair, as few remain.
    low = np.nextafter(limits.astype(np.float32), np.float32(-1))
    row, column = np.divmod(np.flatnonzero(cosines >= low[:, None]), cosines.shape[1])
    least = np.where(is_strict[column], _MIN_COSINE_OF_STRICT, limits[row])
    chosen = cosines[row, column] >= least
    return row[chosen], column[chosen]


def _oriented(descriptors: np.ndarray, orientation: int) -> np.ndarray:
    if orientation == MIRRORED:
        return descriptor.mirror(descriptors)
    return descriptor.turn(descriptors, max(0, orientation - MIRRORED))


def _are_best(pairs: Pairs, max_nearly_equal: int) -> np.ndarray:
    """Which pairs have the highest cosines of their row, bool [N]."""
    most = np.where(pairs.similarity >= _HIGH_COSINE, _MAX_CANDIDATES, _MAX_UNCERTAIN)
    nearly_equal = _are_whole(pairs) & (pairs.similarity >= _NEARLY_EQUAL_COSINE)
    most = np.where(nearly_equal, max_nearly_equal, most)
    return ranks(pairs.rows, -pairs.similarity) < most


def _are_first(pairs: Pairs) -> np.ndarray:
    """Which pairs have the lowest columns of their row from each first cosine on, bool [N]."""
    found, are_whole = np.zeros(len(pairs), bool), _are_whole(pairs)
    for cosine in _FIRST_COSINES:
        index = np.flatnonzero(are_whole & (pairs.similarity >= cosine))
        found[index] |= ranks(pairs.rows[index], pairs.columns[index]) < _NUM_FIRST
    return found


def _are_whole(pairs: Pairs) -> np.ndarray:
    return (pairs.views == WHOLE).all(1)


def ranks(rows: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Returns the rank of each item among those of its row by ascending keys, from 0: int [N]."""
    order = np.lexsort((keys, rows))
    ordered = rows[order]
    ranks = np.empty(len(rows), np.int64)
    ranks[order] = np.arange(len(rows)) - np.searchsorted(ordered, ordered)
    return ranks


def _all_channels(descriptors: np.ndarray) -> np.ndarray:
    return descriptors
