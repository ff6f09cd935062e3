# SPDX-License-Identifier: Apache-2.0
"""Batches of a source's images, preprocessed as an exported model requires."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from mixer_tf.datasets import validation
from mixer_tf.datasets.sources.source import Source
from mixer_tf.export.loading import Export
from mixer_tf.features import ImageRecord
from mixer_tf.images.preprocessing import decode_and_crop


def image_batches(
    export: Export, source: Source, split: str, batch_size: int = 64
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields the images and labels of a split in batches; unusable images are left out.

    Args:
        export: the exported model, whose recipe sets image size and crop.
        source: the images.
        split: name of a split of the source.
        batch_size: images per batch; the last batch may be smaller.

    Yields:
        (images uint8 [N, S, S, 3], labels int [N], indices into the model's class names).

    Raises:
        ValueError: the source has a class that the model does not have.
    """
    unknown = sorted(set(source.class_names) - set(export.class_names))
    if unknown:
        raise ValueError(f"the model must know all classes of the source; not {unknown[0]!r}.")
    data, side = export.recipe.data, export.recipe.model.image_size
    records = _usable_records(source, split)
    while batch := list(itertools.islice(records, batch_size)):
        images = [decode_and_crop(tf.constant(r.encoded), data.crop, side).numpy() for r in batch]
        labels = [export.class_names.index(record.class_name) for record in batch]
        yield np.stack(images), np.array(labels)


def _usable_records(source: Source, split: str) -> Iterator[ImageRecord]:
    records = itertools.chain.from_iterable(map(source.read, source.shards_of(split)))
    return validation.usable_records(records, lambda record, error: None)
