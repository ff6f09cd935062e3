# SPDX-License-Identifier: Apache-2.0
"""From TFRecord shards to batches of uint8 pixels and one-hot labels, under any strategy.

Which images make up a training step, and what is done to them, depends on the recipe's seed and
the number of the step alone: on no number of workers, and on no restart in between.
"""

from __future__ import annotations

import math

import tensorflow as tf

from mixer_tf.images.preprocessing import decode_and_crop
from mixer_tf.recipes.schema import Recipe
from mixer_tf.training.augmentation.mixup import mixup
from mixer_tf.training.input.split import Split, parse_examples, read_records
from mixer_tf.training.input.transforms import deterministic_transform, random_transform

# For images that are the same in every epoch, and for those to draw from: this much each.
MEMORY_BYTES = 512 * 1024**2

# Nothing here needs autograph, whose conversion takes seconds at every start.
_AS_WRITTEN = tf.autograph.experimental.do_not_convert


@_AS_WRITTEN
def training_batches(
    split: Split,
    recipe: Recipe,
    first_step: int = 0,
    context: tf.distribute.InputContext | None = None,
) -> tf.data.Dataset:
    """Returns the endless batches of one input pipeline, from step `first_step` on.

    Args:
        split: what to train on; at least one example.
        recipe: the training.
        first_step: number of steps done before.
        context: which input pipeline of how many this is; None for the only one.

    Returns:
        (images [B, S, S, 3], labels float [B, num_classes]), where B is the batch of one replica;
        images are uint8, or float32 with mixup.
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
    examples = examples.shard(context.num_input_pipelines, context.input_pipeline_id)
    batches = examples.map(prepare, tf.data.AUTOTUNE).batch(batch_size, drop_remainder=True)
    if recipe.data.mixup:
        replicas = context.num_replicas_in_sync // context.num_input_pipelines
        batches = _mix(batches, recipe, first_step, replicas)
    return batches.prefetch(tf.data.AUTOTUNE)


@_AS_WRITTEN
def evaluation_batches(
    split: Split, recipe: Recipe, context: tf.distribute.InputContext | None = None
) -> tf.data.Dataset:
    """Returns every image of a split once, in batches that are filled up with empty images.

    Args:
        split, recipe, context: as in `training_batches`.

    Returns:
        (images uint8 [B, S, S, 3], labels float [B, num_classes], weights float [B]). The weights
        of filling are 0 and the others such that all weights have mean 1: so Keras' mean over
        the batches is the mean over the images.
    """
    context = context or tf.distribute.InputContext()
    pipelines, pipeline = context.num_input_pipelines, context.input_pipeline_id
    total = num_steps(split, recipe) * recipe.training.batch_size
    filling = total // pipelines - len(range(pipeline, split.num_examples, pipelines))

    def prepare(encoded, label):
        image = decode_and_crop(encoded, recipe.data.crop, recipe.model.image_size)
        weight = tf.constant(total / split.num_examples, tf.float32)
        return image, tf.one_hot(label, split.num_classes), weight

    examples = parse_examples(read_records(split.files), split.num_classes).shard(
        pipelines, pipeline
    )
    examples = examples.map(prepare, tf.data.AUTOTUNE)
    empty = tf.nest.map_structure(
        lambda spec: tf.zeros(spec.shape, spec.dtype), examples.element_spec
    )
    examples = examples.concatenate(tf.data.Dataset.from_tensors(empty).repeat(filling))
    batch_size = recipe.training.batch_size // context.num_replicas_in_sync
    batches = examples.batch(batch_size, drop_remainder=True)
    if total * _pixel_bytes(recipe.model.image_size) <= MEMORY_BYTES:
        batches = batches.cache()
    return batches.prefetch(tf.data.AUTOTUNE)


def num_steps(split: Split, recipe: Recipe) -> int:
    """Returns how many batches hold a split once, the last one filled up."""
    return math.ceil(split.num_examples / recipe.training.batch_size)


def _repeated(split: Split, recipe: Recipe, first_example: int) -> tf.data.Dataset:
    """(fixed part or bytes, label) for ever, each epoch in an order of its own, some skipped."""
    first_epoch, done = divmod(first_example, split.num_examples)
    buffer = _buffer_size(split, recipe)
    cached = _cached(split, recipe)

    def epoch(number):
        tf.random.set_seed(1)  # of this graph alone: a global seed of 0 and a tensor do not mix
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
    """(fixed part, label) of all examples in memory; None where they do not fit."""
    if _cached_bytes(split, recipe) > MEMORY_BYTES:
        return None
    examples = parse_examples(read_records(split.files), split.num_classes)
    return examples.map(
        lambda encoded, label: (deterministic_transform(encoded, recipe), label), tf.data.AUTOTUNE
    ).cache()


def _cached_bytes(split: Split, recipe: Recipe) -> int:
    if recipe.data.train_crop == "same":
        return split.num_examples * _pixel_bytes(recipe.model.image_size)
    if recipe.data.train_shorter_side:  # the longer side is taken for 3/2 of the shorter one
        return split.num_examples * _pixel_bytes(recipe.data.train_shorter_side) * 3 // 2
    return split.num_bytes


def _pixel_bytes(side: int) -> int:
    return side * side * 3


def _buffer_size(split: Split, recipe: Recipe) -> int:
    """How many examples to draw from, so that they fit in memory."""
    mean_bytes = max(split.num_bytes // split.num_examples, 1)
    return min(recipe.data.shuffle_buffer, split.num_examples, max(MEMORY_BYTES // mean_bytes, 1))


def _mix(
    batches: tf.data.Dataset, recipe: Recipe, first_step: int, replicas: int
) -> tf.data.Dataset:
    """Mixup with one weight for each step; `replicas` batches in a row make up one step.

    Deviation: images are rolled within the batch of a replica, as in the authors' own code; over
    the whole batch they would have to be exchanged between devices.
    """

    def mix(index, batch):
        step = first_step + index // replicas
        # Seeds of single images count upwards from 0, these downwards from -1.
        seed = tf.stack([tf.constant(recipe.training.seed, tf.int64), -1 - step])
        return mixup(*batch, recipe.data.mixup, seed)

    return batches.enumerate().map(mix, tf.data.AUTOTUNE)
