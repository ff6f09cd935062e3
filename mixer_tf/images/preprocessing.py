# SPDX-License-Identifier: Apache-2.0
"""Decodes and crops images for a model, in the same way in evaluation and in serving."""

from __future__ import annotations

import tensorflow as tf

from mixer_tf.images import decoding, resizing

# Images of a batch that are decoded at the same time, where there are so many cores.
_PARALLEL = 16
# The bytes of images that are decoded on one core in the 3 ms that it takes to use all.
_FEW_BYTES = 1 << 17

CROPS = {
    "resize": resizing.resize_to,
    "resize_crop": resizing.resize_crop,
    "resmall_crop": resizing.resmall_crop,
}


def decode_and_crop(encoded: tf.Tensor, crop: str, image_size: int) -> tf.Tensor:
    """Decodes and crops one image for evaluation and serving.

    Args:
        encoded: scalar string tensor.
        crop: one of `CROPS`.
        image_size: S, the side of the result in pixels.

    Returns:
        uint8 [S, S, 3].
    """
    image = CROPS[crop](decoding.decode(encoded), image_size)
    return tf.ensure_shape(image, [image_size, image_size, 3])


def decode_and_crop_all(encoded: tf.Tensor, crop: str, image_size: int) -> tf.Tensor:
    """Decodes and crops the images of a batch, on all cores.

    Args:
        encoded: string [N].
        crop, image_size: see `decode_and_crop`.

    Returns:
        uint8 [N, image_size, image_size, 3].
    """

    def decode(one):
        return decode_and_crop(one, crop, image_size)

    def one_after_the_other():
        spec = tf.TensorSpec([image_size, image_size, 3], tf.uint8)
        return tf.map_fn(decode, encoded, fn_output_signature=spec)

    def in_parallel():
        # The loop of `map_fn` uses hardly more than one core.
        images = tf.data.Dataset.from_tensor_slices(encoded).map(decode, _PARALLEL)
        return (
            images.batch(tf.size(encoded, tf.int64)).with_options(_plainly()).get_single_element()
        )

    is_worth_it = tf.reduce_sum(tf.strings.length(encoded)) > _FEW_BYTES
    return tf.cond(is_worth_it & (tf.size(encoded) > 1), in_parallel, one_after_the_other)


def _plainly() -> tf.data.Options:
    """A dataset of one batch is not worth being rewritten and tuned."""
    options = tf.data.Options()
    options.autotune.enabled = False
    options.experimental_optimization.apply_default_optimizations = False
    return options
