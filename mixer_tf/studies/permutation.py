# SPDX-License-Identifier: Apache-2.0
"""How much a model depends on the order of its input (paper, "Invariance to input permutations").

`evaluate` gives shuffled images to a model that was trained on the original ones; `train` trains
models on shuffled images. Both apply the same permutation to every image.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import tensorflow as tf

from mixer_tf import factory
from mixer_tf.models.base import ConfiguredModel
from mixer_tf.models.mlp_mixer import MlpMixer
from mixer_tf.recipes.schema import Recipe
from mixer_tf.studies import absorption, input_order, trials
from mixer_tf.studies.input_order import BOTH, PATCHES, PIXELS
from mixer_tf.training import trainer
from mixer_tf.training.input import batches
from mixer_tf.training.input.split import Split
from mixer_tf.training.length import TrainingLength, training_length


@dataclasses.dataclass(frozen=True)
class Score:
    """The accuracy of a model on images in one order.

    Attributes:
        order: one of `input_order.ORDERS`.
        top_1: top-1 accuracy, in [0, 1].
        absorbed: the same with the weights permuted in that order; None where no permutation of
            the weights compensates for the order.
        curve: top-1 accuracy on `eval` after each epoch of a training, or at equal distances.
        steps: number of steps that are done at each point of the curve; and of the whole training,
            if the curve is empty.
        seconds: duration of the training; None if it was resumed, or for a trained model.
        notes: one line for each deviation from the recipe.
    """

    order: str
    top_1: float
    absorbed: float | None = None
    curve: tuple[float, ...] = ()
    steps: tuple[int, ...] = ()
    seconds: float | None = None
    notes: tuple[str, ...] = ()


def evaluate(
    model: ConfiguredModel,
    batches: Iterable[tuple[np.ndarray, np.ndarray]],
    orders: Sequence[str] = tuple(input_order.ORDERS),
    seed: int = 0,
    patch_size: int | None = None,
) -> list[Score]:
    """Evaluates a trained model on images in each order.

    Args:
        model: a Mixer or another model.
        batches: (images uint8 [N, H, W, 3], labels int [N]).
        orders: names of the orders, from `input_order.ORDERS`.
        seed: random seed of the orders.
        patch_size: side of a patch in pixels, for a model without patches, such as a ResNet.

    Raises:
        ValueError: there are no images, an order is unknown, or the patch size is unclear.
    """
    indices = {order: _indices(order, model.config, seed, patch_size) for order in orders}
    absorbing = {order: absorb(model, order, seed) for order in orders}
    correct, correct_absorbed, count = dict.fromkeys(orders, 0), dict.fromkeys(orders, 0), 0
    for images, labels in batches:
        count += len(labels)
        for order in orders:
            shuffled = input_order.shuffle_pixels(tf.constant(images), indices[order])
            correct[order] += _count_correct(model, shuffled, labels)
            if absorbing[order]:
                correct_absorbed[order] += _count_correct(absorbing[order], shuffled, labels)
    if not count:
        raise ValueError("at least one image must be usable; got none.")
    return [
        Score(o, correct[o] / count, correct_absorbed[o] / count if absorbing[o] else None)
        for o in orders
    ]


def absorb(model: ConfiguredModel, order: str, seed: int = 0) -> MlpMixer | None:
    """Returns a Mixer that predicts for images in that order as `model` does for the original ones.

    None for a model that is not a Mixer, for an order that moves pixels between patches, and for
    the original order.
    """
    if not isinstance(model, MlpMixer) or order not in (PATCHES, PIXELS, BOTH):
        return None
    config = model.config
    if order in (PATCHES, BOTH):
        permutation = input_order.patch_permutation(config.num_tokens, seed)
        model = absorption.absorb_patch_permutation(model, permutation)
    if order in (PIXELS, BOTH):
        permutation = input_order.pixel_permutation(config.patch_size, seed)
        model = absorption.absorb_pixel_permutation(model, permutation)
    return model


def train(
    recipe: Recipe,
    splits: dict[str, Split],
    order: str,
    seed: int = 0,
    patch_size: int | None = None,
    *,
    evaluations: int | None = None,
    checkpoint_dir: str | None = None,
    strategy: str = "default",
    report: trials.Report = lambda step, steps: None,
) -> Score:
    """Trains a recipe on images in one order, and evaluates its end on `test`.

    Augmentation is applied before the shuffle, to the original images.

    Args:
        recipe: the model and the training; its patience has no effect.
        splits: "train" and "test", and "eval" for a curve; each with at least one image.
        order: one of `input_order.ORDERS`.
        seed: random seed of the order; the recipe has that of the training.
        patch_size: see `evaluate`.
        evaluations: the number of points of the curve; None for one after each epoch.
        checkpoint_dir, strategy: see `trainer.fit`.
        report: called with the number of steps that are done, and of all steps.

    Raises:
        ValueError: the order is unknown, or the patch size is unclear.
        TrainingDivergedError: the loss is no longer finite.
        TrainingStopped: see `trainer.fit`.
    """
    recipe = recipe.replace(training=recipe.training.replace(patience=None))
    length = training_length(recipe.training, splits["train"].num_examples)
    if evaluations:
        length = TrainingLength(min(evaluations, length.steps), length.steps)
    indices = _indices(order, _config(recipe, splits["train"]), seed, patch_size)

    def shuffle(images: tf.Tensor) -> tf.Tensor:
        return input_order.shuffle_pixels(images, indices)

    test = batches.map_images(batches.evaluation_batches(splits["test"], recipe), shuffle)
    end = _End(test)
    fitted = trainer.fit(
        recipe,
        splits["train"],
        splits.get("eval"),
        strategy=strategy,
        checkpoint_dir=checkpoint_dir,
        callbacks=[trials.StepProgress(length, report), end],
        transform=shuffle,
        length=length,
        verbose=False,
    )
    curve = tuple(logs["val_accuracy"] for logs in fitted.history if "val_accuracy" in logs)
    return Score(
        order,
        end.accuracy,
        curve=curve,
        steps=tuple(length.end(epoch + 1) for epoch in range(len(fitted.history))),
        seconds=None if fitted.first_step else round(fitted.seconds, 1),
        notes=fitted.notes,
    )


class _End(tf.keras.callbacks.Callback):
    """Measures the accuracy at the end of the training, with the averaged weights.

    Args:
        data: the test batches.
    """

    def __init__(self, data: tf.data.Dataset):
        super().__init__()
        self._data = data

    def on_train_end(self, logs=None):
        # Keras has replaced the weights by their average at this point.
        self.accuracy = float(
            self.model.evaluate(self._data, verbose=0, return_dict=True)["accuracy"]
        )


def patch_sizes(configs: Mapping[str, object], given: int | None = None) -> dict[str, int]:
    """Returns the side of a patch in pixels for each model.

    Args:
        configs: name → configuration of the model.
        given: for models without patches; None for that of the others, if it is the same for all.

    Raises:
        ValueError: a model has another patch size than the given one, or it is unclear.
    """
    own = {name: getattr(config, "patch_size", None) for name, config in configs.items()}
    found = sorted({size for size in own.values() if size})
    if given is None and len(found) > 1 and None in own.values():
        without = ", ".join(name for name, size in own.items() if size is None)
        raise ValueError(
            f"a model without patches requires a patch_size where the others have different ones; "
            f"got none for {without}, and {', '.join(map(str, found))} for the others. State one, "
            "and compare only models that have it."
        )
    default = given or (found[0] if len(found) == 1 else None)
    return {name: _patch_size(config, default) for name, config in configs.items()}


def examples(
    image: np.ndarray, config, seed: int = 0, patch_size: int | None = None
) -> dict[str, np.ndarray]:
    """Returns one image, uint8 [H, W, 3], in each order.

    Args:
        image: an image of the size that the model expects.
        config: configuration of the model.
        seed, patch_size: see `evaluate`.
    """
    pixels, found = tf.constant(image), {}
    for order in input_order.ORDERS:
        indices = _indices(order, config, seed, patch_size)
        found[order] = input_order.shuffle_pixels(pixels, indices).numpy()
    return found


def first_image(recipe: Recipe, split: Split):
    """Returns the first image of a split as the recipe's model sees it, and that model's config."""
    images, *_ = next(iter(batches.evaluation_batches(split, recipe)))
    return images[0].numpy(), _config(recipe, split)


def _config(recipe: Recipe, split: Split):
    return factory.for_export(recipe, split.num_classes).config


def _indices(order: str, config, seed: int, patch_size: int | None) -> np.ndarray:
    return input_order.pixel_order(order, config.image_size, _patch_size(config, patch_size), seed)


def _patch_size(config, given: int | None) -> int:
    own = getattr(config, "patch_size", None)
    if given and own and given != own:
        raise ValueError(f"the model's patches have {own} pixels; got patch_size={given}.")
    if not (given or own):
        raise ValueError(
            "a model without patches requires a patch_size to shuffle by; got none. Use 16, for "
            "example."
        )
    return given or own


def _count_correct(model: ConfiguredModel, images: tf.Tensor, labels: np.ndarray) -> int:
    logits = model(images, training=False).numpy()
    return int(np.sum(np.argmax(logits, axis=1) == labels))
