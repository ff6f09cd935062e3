# SPDX-License-Identifier: Apache-2.0
"""What a trained model of a study is worth: accuracy on test images, and a linear few-shot probe.

The probe is the paper's measure of the quality of features (Section 3, "Metrics"): a linear
regression from the features of a few images of each class to targets of -1 and 1.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from mixer_tf.messages import listing
from mixer_tf.models.base import ConfiguredModel
from mixer_tf.recipes.schema import Recipe
from mixer_tf.training.input import batches
from mixer_tf.training.input.split import Split

# (features [N, D], labels [N], test features [M, D], test labels [M], shots, seed) -> accuracy.
Probe = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray, int, int], float]

_L2 = 2.0**10
_BIAS = 100.0
_MIN_DEVIATION = 1e-5


@dataclasses.dataclass(frozen=True)
class Features:
    """What a model computes for the images of a split.

    Attributes:
        pre_logits: the input of the head, float32 [N, D].
        top_1: number of the most probable class, int [N].
        labels: number of the class, int [N].
    """

    pre_logits: np.ndarray
    top_1: np.ndarray
    labels: np.ndarray

    @property
    def accuracy(self) -> float:
        return float(np.mean(self.top_1 == self.labels))


def compute_features(model: ConfiguredModel, recipe: Recipe, split: Split) -> Features:
    """Returns the features of all images of a split, in their order.

    Args:
        model: a Mixer, ViT or BiT.
        recipe: its recipe, whose crop and batch size apply.
        split: the images.
    """
    network = model.intermediates("pre_logits", "logits")

    @tf.function
    def compute(images):
        outputs = network(images, training=False)
        logits = tf.argmax(outputs["logits"], axis=-1)
        return tf.cast(outputs["pre_logits"], tf.float32), logits

    parts = []
    for images, labels, _ in batches.evaluation_batches(split, recipe):
        parts.append((*compute(images), tf.argmax(labels, axis=-1)))
    joined = (np.concatenate(part)[: split.num_examples] for part in zip(*parts, strict=True))
    return Features(*joined)  # without the padding of the last batch


def few_shot_accuracies(
    train: Features,
    test: Features,
    shots: int,
    seeds: Sequence[int],
    probe: Probe | None = None,
) -> list[float]:
    """Returns the accuracy of the linear probe on the test images for each seed.

    Args:
        train: what the images of each class are chosen from.
        test: what the probe is tested on.
        shots: images per class.
        seeds: each chooses other images.
        probe: None for `linear_probe`.
    """
    data = (train.pre_logits, train.labels, test.pre_logits, test.labels)
    return [(probe or linear_probe)(*data, shots, seed) for seed in seeds]


def require_shots(counts: dict[str, int], shots: int, where: str) -> None:
    """Raises ValueError if a class has fewer images than the probe needs.

    Args:
        counts: class → number of images.
        shots: images per class.
        where: the split, for the message.
    """
    few = [f"{name} ({count})" for name, count in counts.items() if 0 < count < shots]
    if few:
        raise ValueError(
            f"every class must have at least {shots} images in the {where} for a {shots}-shot "
            f"read-out; too few have {listing(few, show=str)}. Use fewer with --shots, or another "
            "target."
        )


def linear_probe(
    features: np.ndarray,
    labels: np.ndarray,
    test_features: np.ndarray,
    test_labels: np.ndarray,
    shots: int,
    seed: int,
) -> float:
    """Returns the accuracy of the authors' few-shot linear regression (big_vision, `fewshot_lsr`).

    Shape: features [N, D], labels [N], test_features [M, D], test_labels [M].

    Raises:
        ValueError: a class has fewer than `shots` images.
    """
    classes, targets = np.unique(labels, return_inverse=True)
    rng = np.random.default_rng(seed)
    chosen = []
    for number in range(len(classes)):
        members = np.flatnonzero(targets == number)
        if len(members) < shots:
            raise ValueError(f"each class must have {shots} images; one has {len(members)}.")
        chosen.append(rng.permutation(members)[:shots])
    rows = np.concatenate(chosen)
    x, test = _whitened(features[rows], test_features)
    wanted = 2.0 * np.eye(len(classes))[targets[rows]] - 1.0
    scores = test @ _ridge(x, wanted)
    return float(np.mean(classes[np.argmax(scores, axis=1)] == test_labels))


def _whitened(x: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both with the mean 0 and deviation 1 of the first, and a constant feature."""
    x, test = x.astype(np.float64), test.astype(np.float64)
    mean, deviation = x.mean(axis=0), x.std(axis=0) + _MIN_DEVIATION
    x, test = ((each - mean) / deviation for each in (x, test))
    return tuple(np.pad(each, ((0, 0), (0, 1)), constant_values=_BIAS) for each in (x, test))


def _ridge(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Returns the weights w that minimize |xw - y|² + L2·|w|², by the smaller of both systems."""
    rows, columns = x.shape
    if rows >= columns:
        return np.linalg.solve(x.T @ x + _L2 * np.eye(columns), x.T @ y)
    return x.T @ np.linalg.solve(x @ x.T + _L2 * np.eye(rows), y)
