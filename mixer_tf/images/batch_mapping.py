# SPDX-License-Identifier: Apache-2.0
"""Applies the same operations to every image of a batch, whose sizes may differ."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

# Images of a batch that are processed at the same time, where there are so many cores.
_PARALLEL = 16
# The bytes of images that are decoded on one core in the 3 ms that it takes to use all.
_FEW_BYTES = 1 << 17


def map_images(
    function: Callable[[tf.Tensor], tf.Tensor], encoded: tf.Tensor, spec: tf.TensorSpec
) -> tf.Tensor:
    """Returns the results for the images of a batch, in their order; on all cores if it is large.

    Args:
        function: an image, scalar string tensor -> what `spec` describes.
        encoded: string [N].
        spec: shape and type of one result.

    Returns:
        [N, *spec.shape].
    """

    is_worth_it = tf.reduce_sum(tf.strings.length(encoded)) > _FEW_BYTES
    return tf.cond(
        is_worth_it & (tf.size(encoded) > 1),
        lambda: map_on_all_cores(function, encoded),
        lambda: tf.map_fn(function, encoded, fn_output_signature=spec),
    )


def map_on_all_cores(function: Callable[[tf.Tensor], tf.Tensor], encoded: tf.Tensor) -> tf.Tensor:
    """Returns the results for the images of a batch, string [N], which must not be empty.

    The loop of `tf.map_fn` uses hardly more than one core.
    """
    results = tf.data.Dataset.from_tensor_slices(encoded).map(function, _PARALLEL)
    batch = results.batch(tf.size(encoded, tf.int64))
    return batch.with_options(_plainly()).get_single_element()


def _plainly() -> tf.data.Options:
    """A dataset of one batch is not worth being rewritten and tuned."""
    options = tf.data.Options()
    options.autotune.enabled = False
    options.experimental_optimization.apply_default_optimizations = False
    return options
