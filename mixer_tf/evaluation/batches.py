# SPDX-License-Identifier: Apache-2.0
"""Images of a source as an exported model sees them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from mixer_tf.datasets import validation
from mixer_tf.datasets.sources.source import Source
from mixer_tf.export.loading import Export
from mixer_tf.images import UnusableImageError
from mixer_tf.images.preprocessing import decode_and_crop


def image_batches(
    export: Export, source: Source, split: str, batch_size: int = 64
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields the images of a split as the model sees them, without those that cannot be used.

    Returns:
        (images uint8 [N, S, S, 3], labels int [N] by the model's class names).

    Raises:
        ValueError: a class of the source is not one of the model's.
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


def _usable_records(source: Source, split: str) -> Iterator:
    for record in itertools.chain.from_iterable(map(source.read, source.shards_of(split))):
        try:
            yield validation.check_record(record)
        except UnusableImageError:
            continue
