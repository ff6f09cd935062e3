# SPDX-License-Identifier: Apache-2.0
"""From TFRecord shards to batches of uint8 pixels and one-hot labels, under any strategy.

The images of a training step and their augmentation depend only on the recipe's seed and the
number of the step: neither on the number of workers nor on a restart in between. Mixup alone
depends on the number of devices, because it mixes the images of one device.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import tensorflow as tf

from mixer_tf import images
from mixer_tf.images.preprocessing import decode_and_crop
from mixer_tf.recipes.schema import Recipe
from mixer_tf.training.augmentation import mixing
from mixer_tf.training.autograph import without_autograph
from mixer_tf.training.input.split import Split, parse_examples, read_records
from mixer_tf.training.input.transforms import deterministic_transform, random_transform

# The limit of the cache of a split, and that of its shuffle buffer.
MEMORY_BYTES = 512 * 1024**2
# Number of batches that wait in the memory of a GPU.
_DEVICE_BATCHES = 2


@without_autograph
def training_batches(
    split: Split,
    recipe: Recipe,
    first_step: int = 0,
    context: tf.distribute.InputContext | None = None,
) -> tf.data.Dataset:
    """Returns the endless batches of one input pipeline, starting at step `first_step`.

    Args:
        split: the training examples; at least one.
        recipe: the recipe of the training.
        first_step: number of steps that are already done.
        context: index and number of the input pipelines; None for a single one.

    Returns:
        (images [B, S, S, 3], labels float [B, num_classes]), where B is the batch size of one
        replica; images are uint8, or float32 with mixup or CutMix.
    """
    context = context or tf.distribute.InputContext()
    training, seed = recipe.training, recipe.training.seed
    batch_size = training.batch_size // context.num_replicas_in_sync
    first_example = first_step * training.batch_size

    def prepare(index, example):
        image, label = example
        if image.dtype == tf.string:
            image = deterministic_transform(image, recipe)
        example_seed = tf.stack([tf.constant(seed, tf.int64), index])
        return random_transform(image, recipe, example_seed), tf.one_hot(label, split.num_classes)

    examples = _repeated(split, recipe, first_example).enumerate(first_example)
    examples = _share(examples, training.batch_size, context)
    batches = examples.map(prepare, tf.data.AUTOTUNE).batch(batch_size, drop_remainder=True)
    if recipe.data.mixes_images:
        replicas = context.num_replicas_in_sync // context.num_input_pipelines
        batches = _mix(batches, recipe, first_step, replicas)
    return batches.prefetch(tf.data.AUTOTUNE)


@without_autograph
def evaluation_batches(
    split: Split, recipe: Recipe, context: tf.distribute.InputContext | None = None
) -> tf.data.Dataset:
    """Returns every image of a split once, in full batches: the last one is padded.

    Args:
        split, recipe, context: as in `training_batches`.

    Returns:
        (images uint8 [B, S, S, 3], labels float [B, num_classes], weights float [B]). Padding has
        weight 0; the other weights are equal, and the mean of all weights is 1. Therefore Keras'
        mean over the batches is the mean over the images.
    """
    context = context or tf.distribute.InputContext()
    pipelines, pipeline = context.num_input_pipelines, context.input_pipeline_id
    total = num_steps(split, recipe) * recipe.training.batch_size
    padding = total // pipelines - len(range(pipeline, split.num_examples, pipelines))

    def prepare(encoded, label):
        image = decode_and_crop(encoded, recipe.data.crop, recipe.model.image_size)
        weight = tf.constant(total / split.num_examples, tf.float32)
        return image, tf.one_hot(label, split.num_classes), weight

    examples = parse_examples(read_records(split.files), split.num_classes)
    examples = examples.shard(pipelines, pipeline).map(prepare, tf.data.AUTOTUNE)
    batch_size = recipe.training.batch_size // context.num_replicas_in_sync
    batches = _padded(examples, padding).batch(batch_size, drop_remainder=True)
    if total * _pixel_bytes(recipe.model.image_size) <= MEMORY_BYTES:
        batches = batches.cache()
    return batches.prefetch(tf.data.AUTOTUNE)


@without_autograph
def map_images(
    batches: tf.data.Dataset, transform: Callable[[tf.Tensor], tf.Tensor]
) -> tf.data.Dataset:
    """Applies `transform` to the images of every batch, [B, S, S, 3]; the rest stays."""
    return batches.map(lambda images, *rest: (transform(images), *rest), tf.data.AUTOTUNE)


@without_autograph
def prefetch_to_gpu(batches: tf.data.Dataset) -> tf.data.Dataset:
    """Copies batches to the first GPU during the steps before; without a GPU it changes nothing.

    Nothing may follow it. Strategies of several devices do the same by themselves.
    """
    gpus = tf.config.list_logical_devices("GPU")
    if not gpus:
        return batches
    return batches.apply(tf.data.experimental.prefetch_to_device(gpus[0].name, _DEVICE_BATCHES))


def num_steps(split: Split, recipe: Recipe) -> int:
    """Returns the number of batches that hold a split once, the padded last one included."""
    return math.ceil(split.num_examples / recipe.training.batch_size)


def shuffle_buffer(split: Split, recipe: Recipe) -> int:
    """Returns the number of examples that are shuffled at a time."""
    wanted = min(recipe.data.shuffle_buffer, split.num_examples)
    if is_cached(split, recipe):
        return wanted  # the buffer refers to the examples in the cache
    # Deviation: the authors' buffers of 250,000 and 50,000 images need up to 30 GB. The records of
    # the files are interleaved before. The limit does not depend on the machine, on which the
    # order of the images must not depend.
    mean_bytes = max(split.num_bytes // split.num_examples, 1)
    return min(wanted, max(MEMORY_BYTES // mean_bytes, 1))


def shuffle_notes(split: Split, recipe: Recipe) -> tuple[str, ...]:
    """Returns one line if the shuffle buffer of the recipe does not fit in memory."""
    wanted, size = (
        min(recipe.data.shuffle_buffer, split.num_examples),
        shuffle_buffer(split, recipe),
    )
    if size == wanted:
        return ()
    return (
        f"the shuffle buffer holds {size:,} instead of {wanted:,} images: it is limited to "
        f"{MEMORY_BYTES / 1024**2:,.0f} MiB of encoded images.",
    )


def _share(
    examples: tf.data.Dataset, batch_size: int, context: tf.distribute.InputContext
) -> tf.data.Dataset:
    """Keeps this pipeline's part of each global batch, of examples with their numbers from 0 on.

    The parts follow each other in the batch, as those of the devices of one pipeline do.
    """
    if context.num_input_pipelines == 1:
        return examples
    part = batch_size // context.num_input_pipelines
    first = part * context.input_pipeline_id

    def is_mine(index, example):
        position = index % batch_size
        return (position >= first) & (position < first + part)

    return examples.filter(is_mine)


def _padded(examples: tf.data.Dataset, count: int) -> tf.data.Dataset:
    """Appends `count` examples of zeros."""
    zeros = tf.nest.map_structure(
        lambda spec: tf.zeros(spec.shape, spec.dtype), examples.element_spec
    )
    return examples.concatenate(tf.data.Dataset.from_tensors(zeros).repeat(count))


def _repeated(split: Split, recipe: Recipe, first_example: int) -> tf.data.Dataset:
    """Returns (image, label) without end, each epoch in its own order, from `first_example` on.

    The image is what `deterministic_transform` returns, or the encoded bytes.
    """
    first_epoch, done = divmod(first_example, split.num_examples)
    buffer = shuffle_buffer(split, recipe)
    cached = _cached(split, recipe)

    def epoch(number):
        # Concerns this graph only: a global seed of 0 cannot be combined with a tensor.
        tf.random.set_seed(1)
        recipe_seed = tf.constant(recipe.training.seed, tf.int64)
        seed = tf.random.stateless_uniform(
            [], tf.stack([recipe_seed, number]), maxval=2**31, dtype=tf.int64
        )
        examples = cached
        if examples is None:
            examples = parse_examples(read_records(split.files, seed), split.num_classes)
        return examples.shuffle(buffer, seed=seed, reshuffle_each_iteration=False)

    return tf.data.Dataset.range(first_epoch, tf.int64.max).flat_map(epoch).skip(done)


def _cached(split: Split, recipe: Recipe) -> tf.data.Dataset | None:
    """Returns all examples after their deterministic transform, in memory; None if too large."""
    if not is_cached(split, recipe):
        return None
    examples = parse_examples(read_records(split.files), split.num_classes)
    return examples.map(
        lambda encoded, label: (deterministic_transform(encoded, recipe), label), tf.data.AUTOTUNE
    ).cache()


def is_cached(split: Split, recipe: Recipe) -> bool:
    """Whether the images of a split stay in memory, decoded or as bytes, after the first epoch."""
    return _cached_bytes(split, recipe) <= MEMORY_BYTES


def _cached_bytes(split: Split, recipe: Recipe) -> int:
    if recipe.data.train_crop == "same":
        return split.num_examples * _pixel_bytes(recipe.model.image_size)
    side = recipe.data.train_shorter_side
    if recipe.data.train_crop == "resize_random":
        side = images.size_before_crop(recipe.model.image_size)
    if side:  # assumes an aspect ratio of 3:2
        return split.num_examples * _pixel_bytes(side) * 3 // 2
    return split.num_bytes


def _pixel_bytes(side: int) -> int:
    return side * side * 3


def _mix(
    batches: tf.data.Dataset, recipe: Recipe, first_step: int, replicas: int
) -> tf.data.Dataset:
    """Mixes images alike in a whole step; `replicas` consecutive batches make up a step."""
    # Deviation: images are rolled within the batch of a replica, as in the authors' own code. Over
    # the whole batch they would have to be exchanged between devices.

    def mix(index, batch):
        step = first_step + index // replicas
        # The seeds of single images count up from 0, these count down from -1.
        seed = tf.stack([tf.constant(recipe.training.seed, tf.int64), -1 - step])
        return mixing.mix(*batch, recipe.data, seed)

    return batches.enumerate().map(mix, tf.data.AUTOTUNE)
