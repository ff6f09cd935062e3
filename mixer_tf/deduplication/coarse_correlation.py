# SPDX-License-Identifier: Apache-2.0
"""The correlation of two views in few pixels, by which most candidates are ruled out cheaply.

It takes a twentieth of the time of `alignment.correlate`, and tries fewer shifts and zooms.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from mixer_tf.deduplication.alignment import band_pass, zoom_matrices
from mixer_tf.deduplication.candidates import TURNED_90, TURNED_270, Pairs, orient
from mixer_tf.deduplication.fingerprints import Fingerprints
from mixer_tf.deduplication.views import SMALL_SIZE

_MAX_SHIFT = 2
_ZOOMS = (1 / 1.15, 1.0, 1.15)
# Standard deviations in pixels of the two Gaussians of the band-pass filter.
_FINE_BLUR, _COARSE_BLUR = 0.5, 1.5
_WINDOW = SMALL_SIZE - 2 * _MAX_SHIFT
# Number of views of queries at a time; each takes 45 kB.
_BATCH_SIZE = 64
# The share of the cosine in the score of a candidate, and the least score. Of 1,939 copies of
# photographs that are found, none had a lower one than 0.666; of pairs of different images that
# their descriptors alone propose, 3 in 100 have a higher one.
_COSINE_SHARE, _MIN_SCORE = 0.3, 0.64


def keep_plausible(pairs: Pairs, queries: Fingerprints, gallery: Fingerprints) -> Pairs:
    """Returns the candidates that are worth a closer look, in their order.

    Args:
        pairs: candidates with their cosines as similarity.
        queries: the images of their rows.
        gallery: the images of their columns.
    """
    scores = _COSINE_SHARE * pairs.similarity
    scores += (1 - _COSINE_SHARE) * correlate_coarsely(pairs, queries, gallery)
    return pairs.select(scores >= _MIN_SCORE)


def correlate_coarsely(pairs: Pairs, queries: Fingerprints, gallery: Fingerprints) -> np.ndarray:
    """Returns the highest normalized cross-correlation of each pair, float32 [N] in [-1, 1].

    The center of the view in the gallery is compared with that of the query at every shift and
    zoom; it is 0 for images without details.
    """
    order = np.lexsort((pairs.views[:, 0], pairs.rows))
    pairs = pairs.select(order)
    keys = pairs.rows.astype(np.int64) * 8 + pairs.views[:, 0]
    starts = np.flatnonzero(np.diff(keys, prepend=-1))
    found = np.zeros(len(pairs), np.float32)
    for first in range(0, len(starts), _BATCH_SIZE):
        chosen = starts[first : first + _BATCH_SIZE]
        edges = np.append(starts, len(pairs))[first : first + len(chosen) + 1]
        batch = pairs.select(slice(edges[0], edges[-1]))
        found[edges[0] : edges[-1]] = _correlate(
            windows(queries.small_views[pairs.rows[chosen], pairs.views[chosen, 0]]),
            templates(_turned_back(batch, gallery)),
            edges - edges[0],
        )
    correlations = np.empty_like(found)
    correlations[order] = found
    return correlations


def _correlate(windows: np.ndarray, templates: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """The templates from one edge to the next belong to one query: [Q, W, D], [N, D] → [N]."""
    parts = [
        (each @ templates[start:end].T).max(0)
        for each, start, end in zip(windows, edges, edges[1:], strict=False)
    ]
    return np.concatenate(parts)


def _turned_back(pairs: Pairs, gallery: Fingerprints) -> np.ndarray:
    """The views in the gallery, turned so that the query is compared as it is: [N, 16, 16]."""
    backwards = {TURNED_90: TURNED_270, TURNED_270: TURNED_90}
    orientations = pairs.orientations.copy()
    for orientation, inverse in backwards.items():
        orientations[pairs.orientations == orientation] = inverse
    return orient(gallery.small_views[pairs.columns, pairs.views[:, 1]], orientations)


def templates(luma: np.ndarray) -> np.ndarray:
    """The details of centers with mean zero and norm one: [N, 16, 16] → float32 [N, 144]."""
    details = band_pass(luma, _FINE_BLUR, _COARSE_BLUR)
    inner = details[:, _MAX_SHIFT:-_MAX_SHIFT, _MAX_SHIFT:-_MAX_SHIFT]
    return _normalized(inner.reshape(len(luma), _WINDOW**2))


def windows(luma: np.ndarray) -> np.ndarray:
    """The same at every zoom and shift: [N, 16, 16] → float32 [N, 3 * 25, 144]."""
    zoom = zoom_matrices(_ZOOMS, SMALL_SIZE)
    zoomed = zoom @ luma.astype(np.float32)[:, None] @ zoom.swapaxes(1, 2)
    details = band_pass(zoomed, _FINE_BLUR, _COARSE_BLUR)
    every = sliding_window_view(details, (_WINDOW, _WINDOW), axis=(2, 3))
    return _normalized(every.reshape(len(luma), -1, _WINDOW**2))


def _normalized(vectors: np.ndarray) -> np.ndarray:
    vectors = vectors - vectors.mean(-1, keepdims=True)
    return vectors / (np.sqrt((vectors * vectors).sum(-1, keepdims=True)) + 1)
