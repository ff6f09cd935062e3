# SPDX-License-Identifier: Apache-2.0
"""A descriptor of 119 bytes that hardly changes when an image is re-encoded, resized or brightened.

It consists of the low frequencies of the discrete cosine transform of a thumbnail, without the
constant one. It needs no training and no weights. The descriptor of the mirror image has the same
values with other signs, so it is computed without a second thumbnail.
"""

from __future__ import annotations

import functools

import numpy as np

THUMBNAIL_SIZE = 32
DIMENSION = 119
# Frequencies below these radii are kept: luma, then the two chroma channels. They were chosen, like
# the weights, on the human-labeled duplicates of CIFAR-10.
_RADII = (8, 6, 6)
_CHROMA_WEIGHT = 4.0
_FREQUENCY_POWER = 0.5
# Below this, in gray levels, the chroma of an image is noise of its encoding.
_GRAY_CHROMA = 2.0


def describe(thumbnails: np.ndarray) -> np.ndarray:
    """Describes thumbnails; the descriptor of each does not depend on the others in the batch.

    Args:
        thumbnails: uint8 [N, 32, 32, 3] in YCbCr.

    Returns:
        int8 [N, 119], luma first; all zero for an image of one color.
    """
    channels = np.moveaxis(thumbnails, -1, 1).astype(np.float32)  # [N, 3, 32, 32]
    basis = _cosine_basis()
    spectrum = basis @ channels @ basis.T  # [N, 3, 8, 8]: rows v, columns u
    weighted = [
        spectrum[:, channel, v, u] * weight
        for channel, (v, u, weight) in enumerate(map(_frequencies, range(3)))
    ]
    values = np.concatenate(weighted, axis=1)
    largest = np.abs(values).max(axis=1, keepdims=True)
    # A constant channel has rounding errors, which must not be scaled up.
    scale = np.where(largest > 1, 127 / np.maximum(largest, 1), 0)
    return np.round(values * scale).astype(np.int8)


def mirror(descriptors: np.ndarray) -> np.ndarray:
    """Returns the descriptors of the mirrored images, int8 [N, 119]."""
    return descriptors * _mirror_signs()


def turn(descriptors: np.ndarray, quarters: int) -> np.ndarray:
    """Returns the descriptors of the images after counterclockwise quarter turns, int8 [N, 119]."""
    for _ in range(quarters % 4):
        descriptors = descriptors[:, _transposed()] * _flip_signs()
    return descriptors


def luma(descriptors: np.ndarray) -> np.ndarray:
    """Returns the luma part, which is equal in grayscale copies, int8 [N, 55]."""
    return descriptors[:, : len(_frequencies(0)[0])]


def cosine(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Returns the cosines of all pairs, float32 [N, M] from int8 [N, D] and [M, D].

    They are 0 for zero vectors. The products are integers below 2**24, so that the result does not
    depend on the order in which a machine adds them.
    """
    first, second = first.astype(np.float32), second.astype(np.float32)
    products = first @ second.T
    products /= np.sqrt(np.maximum(_squared_norms(first), 1))[:, None]
    products /= np.sqrt(np.maximum(_squared_norms(second), 1))[None]
    return products


def _squared_norms(vectors: np.ndarray) -> np.ndarray:
    return np.einsum("ij,ij->i", vectors, vectors)


def is_gray(thumbnails: np.ndarray) -> np.ndarray:
    """Returns which thumbnails, uint8 [N, 32, 32, 3] in YCbCr, have no color: bool [N]."""
    chroma = thumbnails[..., 1:].astype(np.float32) - 128
    return np.sqrt((chroma * chroma).mean((1, 2, 3))) < _GRAY_CHROMA


@functools.cache
def _cosine_basis() -> np.ndarray:
    """The low frequencies of the orthonormal cosine transform, float32 [8, 32 pixels]."""
    frequency, pixel = np.mgrid[: max(_RADII), :THUMBNAIL_SIZE]
    basis = np.cos(np.pi * frequency * (2 * pixel + 1) / (2 * THUMBNAIL_SIZE))
    basis *= np.sqrt(2 / THUMBNAIL_SIZE)
    basis[0] /= np.sqrt(2)
    return basis.astype(np.float32)


@functools.cache
def _frequencies(channel: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows v, columns u and weights of the frequencies of a channel that are kept."""
    v, u = np.mgrid[: max(_RADII), : max(_RADII)]
    radius = np.hypot(u, v)
    chosen = (radius > 0) & (radius < _RADII[channel])
    weight = radius[chosen] ** _FREQUENCY_POWER * (_CHROMA_WEIGHT if channel else 1)
    return v[chosen], u[chosen], weight.astype(np.float32)


@functools.cache
def _transposed() -> np.ndarray:
    """The index of the coefficient (u, v) at the position of (v, u)."""
    order, start = [], 0
    for channel in range(3):
        v, u, _ = _frequencies(channel)
        position = {pair: start + index for index, pair in enumerate(zip(v, u, strict=True))}
        order += [position[pair] for pair in zip(u, v, strict=True)]
        start += len(v)
    return np.array(order)


@functools.cache
def _flip_signs() -> np.ndarray:
    """The signs of an image whose rows are in reverse order."""
    rows = np.concatenate([_frequencies(channel)[0] for channel in range(3)])
    return np.where(rows % 2, -1, 1).astype(np.int8)


@functools.cache
def _mirror_signs() -> np.ndarray:
    columns = np.concatenate([_frequencies(channel)[1] for channel in range(3)])
    return np.where(columns % 2, -1, 1).astype(np.int8)
