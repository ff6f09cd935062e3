# SPDX-License-Identifier: Apache-2.0
"""A step that does not fit in memory is one clear error, which says what needs less."""

import pytest
import tensorflow as tf
from test_trainer import open_tiny

from mixer_tf.training import memory_errors, trainer


def terabytes(images):
    """Fails as a GPU does for a batch that is too large; on a CPU, oneDNN would end the process."""
    huge = tf.fill([tf.size(images, tf.int64) * 2**32], 0.0)
    return images + tf.cast(tf.reduce_sum(huge), images.dtype)


def test_a_step_that_is_too_large(recipe, dataset):
    """TensorFlow waits ten seconds for memory, several times."""
    splits = open_tiny(dataset)
    with pytest.raises(memory_errors.OutOfMemoryError) as error:
        trainer.fit(recipe, splits["train"], transform=terabytes, verbose=False)
    text = str(error.value)
    assert text.startswith("a training step must fit in the memory of the device; OOM when alloc")
    assert " and type float on " in text and "\n" not in text
    assert text.endswith(
        ". Use a smaller --batch-size than 8, or --set training.accumulation_steps=2, which "
        "computes a batch in 2 parts, or --set training.recompute=true, which takes about a third "
        "longer."
    )


def test_what_a_training_does_already_is_no_advice(recipe):
    @memory_errors.explained
    def fit(_):
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")

    changed = recipe.override(["training.recompute=true", "training.accumulation_steps=2"])
    with pytest.raises(memory_errors.OutOfMemoryError) as error:
        fit(changed)
    assert str(error.value).endswith(
        ". Use a smaller --batch-size than 8, or --set training.accumulation_steps=4, which "
        "computes a batch in 4 parts."
    )


def test_a_full_disk_is_another_error(recipe):
    @memory_errors.explained
    def fit(_):
        raise tf.errors.ResourceExhaustedError(None, None, "/a; No space left on device")

    with pytest.raises(tf.errors.ResourceExhaustedError, match="No space left"):
        fit(recipe)
