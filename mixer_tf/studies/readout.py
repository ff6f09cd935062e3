# SPDX-License-Identifier: Apache-2.0
"""What a trained model of a study is worth: accuracy on test images, and a linear few-shot probe.

The probe, `evaluation.fewshot`, is the paper's measure of the quality of features (Section 3,
"Metrics").
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from mixer_tf.evaluation import fewshot
from mixer_tf.messages import listing
from mixer_tf.models.base import ConfiguredModel
from mixer_tf.recipes.schema import Recipe
from mixer_tf.training.input import batches
from mixer_tf.training.input.split import Split


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
    train: Features, test: Features, shots: int, seeds: Sequence[int]
) -> list[float]:
    """Returns the accuracy of the linear probe on the test images for each seed.

    Args:
        train: what the images of each class are chosen from.
        test: what the probe is tested on.
        shots: images per class.
        seeds: each chooses other images.
    """
    features = [fewshot.Features(each.pre_logits, each.labels) for each in (train, test)]
    num_classes = int(max(each.labels.max() for each in (train, test))) + 1
    (result,) = fewshot.evaluate(*features, num_classes, (shots,), seeds)
    return list(result.accuracies)


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
