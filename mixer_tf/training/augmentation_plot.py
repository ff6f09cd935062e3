# SPDX-License-Identifier: Apache-2.0
"""A plot of training images after their augmentation. What `mixer plot augmentation` writes."""

from __future__ import annotations

import collections
import itertools
import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import tensorflow as tf

from mixer_tf.datasets import validation
from mixer_tf.datasets.sources.source import Source
from mixer_tf.features import TRAIN, ImageRecord
from mixer_tf.images import UnusableImageError
from mixer_tf.images.preprocessing import decode_and_crop
from mixer_tf.recipes.schema import Recipe
from mixer_tf.training.augmentation import mixing
from mixer_tf.training.autograph import without_autograph
from mixer_tf.training.input.transforms import deterministic_transform, random_transform
from mixer_tf.visualization.filters import enlarge, tile

# How many images are read to choose from, and of how many shards.
_MAX_READ = 64
_MAX_SHARDS = 16


def sample_records(source: Source, count: int) -> list[ImageRecord]:
    """Returns usable images of several classes from the first split of a source, usually "train".

    Args:
        source: an open source.
        count: number of images; fewer are returned if fewer are usable.

    Raises:
        ValueError: no image is usable.
    """
    split = TRAIN if TRAIN in source.splits else source.splits[0]
    candidates = itertools.islice(_spread(source, split), max(count, _MAX_READ))
    usable = filter(None, map(_checked, _classes_in_turn(candidates)))
    records = list(itertools.islice(usable, count))
    if not records:
        raise ValueError(
            f"{source.spec} must have a usable image in the split {split}; none of the first "
            f"{_MAX_READ} can be used. `mixer train` lists them with the reasons."
        )
    return records


def augmented_images(
    records: Sequence[ImageRecord], recipe: Recipe, draws: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns images as in evaluation, and several times as in training.

    With mixup or CutMix, the images of one draw are a batch: each is mixed with the one before it.

    Args:
        records: N usable images.
        recipe: the recipe of the training, whose seed is used.
        draws: K, how often each image is augmented.

    Returns:
        (uint8 [N, S, S, 3], uint8 [N, K, S, S, 3]).
    """
    encoded = [tf.constant(record.encoded) for record in records]
    data, side = recipe.data, recipe.model.image_size
    plain = np.stack([decode_and_crop(image, data.crop, side).numpy() for image in encoded])
    augment = _augmenter(recipe)
    batches = [
        np.stack([augment(image, draw * len(encoded) + i) for i, image in enumerate(encoded)])
        for draw in range(draws)
    ]
    if data.mixes_images:
        batches = [_mixed(batch, recipe, draw) for draw, batch in enumerate(batches)]
    return plain, np.stack(batches, axis=1)


def plot_augmentation(plain: np.ndarray, augmented: np.ndarray) -> np.ndarray:
    """Plots the results of `augmented_images`: one row per image, the plain one first.

    Shape: uint8 [N, S, S, 3], uint8 [N, K, S, S, 3] -> uint8 [height, width, 3].
    """
    rows = np.concatenate([plain[:, None], augmented], axis=1)
    return tile(enlarge(rows.reshape(-1, *rows.shape[2:])), columns=rows.shape[1])


@without_autograph
def _augmenter(recipe: Recipe):
    """Returns a function (encoded image, number of the example) -> its pixels in training."""

    @tf.function(
        input_signature=[tf.TensorSpec([], tf.string), tf.TensorSpec([], tf.int64)],
        autograph=False,
    )
    def augment(encoded, number):
        seed = tf.stack([tf.constant(recipe.training.seed, tf.int64), number])
        return random_transform(deterministic_transform(encoded, recipe), recipe, seed)

    return augment


def _mixed(batch: np.ndarray, recipe: Recipe, draw: int) -> np.ndarray:
    labels = tf.zeros([len(batch), 1])
    seed = tf.constant([recipe.training.seed, -1 - draw], tf.int64)
    images, _ = mixing.mix(tf.constant(batch), labels, recipe.data, seed)
    return np.round(images.numpy()).astype(np.uint8)


def _spread(source: Source, split: str) -> Iterator[ImageRecord]:
    """Yields the images of a split: one of each of some evenly spaced shards, again and again."""
    shards = source.shards_of(split)
    spaced = shards[:: math.ceil(len(shards) / _MAX_SHARDS)]
    for together in itertools.zip_longest(*map(source.read, spaced)):
        yield from (record for record in together if record is not None)


def _classes_in_turn(records: Iterable[ImageRecord]) -> list[ImageRecord]:
    """Returns the first image of each class, then the second of each, and so on."""
    seen = collections.Counter()
    numbered = []
    for record in records:
        numbered.append((seen[record.label], record))
        seen[record.label] += 1
    return [record for _, record in sorted(numbered, key=lambda pair: pair[0])]


def _checked(record: ImageRecord) -> ImageRecord | None:
    try:
        return validation.check_record(record)
    except UnusableImageError:
        return None
