# SPDX-License-Identifier: Apache-2.0
"""Calibration: whether predictions given with probability 0.8 are right in 80 % of the cases.

Source: Guo et al., "On Calibration of Modern Neural Networks" (2017), section 2: equal-width bins
of the probability of the most probable class. No TensorFlow.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

NUM_BINS = 15  # as in the paper's tables


@dataclasses.dataclass(frozen=True)
class Bin:
    """The predictions with a probability in [left, right); the last bin includes 1.

    Attributes:
        left, right: bounds of the probability.
        images: number of predictions; the other two are None where it is 0.
        confidence: mean probability of the predictions.
        accuracy: share of the predictions that are right.
    """

    left: float
    right: float
    images: int
    confidence: float | None
    accuracy: float | None


class Calibration:
    """Counts predictions in equal-width bins of their probability.

    # Deviation: the paper's bins are open on the left; ours on the right, as those of TFMA, so that
    # `mixer evaluate` and the Evaluator agree. It matters only for values on a bound.

    Attributes:
        images, correct: number of all and of right predictions in each bin, int [B].
        confidence: sum of the probabilities in each bin, float [B].
    """

    def __init__(self, num_bins: int = NUM_BINS):
        self.images = np.zeros(num_bins, np.int64)
        self.correct = np.zeros(num_bins, np.int64)
        self.confidence = np.zeros(num_bins)

    def add(self, probability: float, is_correct: bool, count: int = 1) -> None:
        """Counts a prediction, or `count` predictions.

        Args:
            probability: probability of the most probable class, in [0, 1].
            is_correct: whether the prediction is right.
            count: number of predictions.
        """
        index = min(int(probability * len(self.images)), len(self.images) - 1)
        self.images[index] += count
        self.correct[index] += is_correct * count
        self.confidence[index] += probability * count

    @property
    def error(self) -> float:
        """The expected calibration error (ECE): the mean of |accuracy - confidence| over the bins.

        Each bin is weighted by its number of predictions.
        """
        return float(np.abs(self.correct - self.confidence).sum() / self.images.sum())

    @property
    def accuracy(self) -> float:
        return float(self.correct.sum() / self.images.sum())

    @property
    def mean_confidence(self) -> float:
        """The mean probability; above the accuracy for an overconfident model."""
        return float(self.confidence.sum() / self.images.sum())

    def bins(self) -> Iterator[Bin]:
        """Yields the bins in ascending order."""
        edges = np.linspace(0, 1, len(self.images) + 1)
        for index, images in enumerate(self.images.tolist()):
            means = (values[index] / images if images else None for values in self._sums())
            confidence, accuracy = (None if mean is None else float(mean) for mean in means)
            yield Bin(float(edges[index]), float(edges[index + 1]), images, confidence, accuracy)

    def merge(self, other: Calibration) -> None:
        """Adds the predictions that another one has counted, in as many bins."""
        self.images += other.images
        self.correct += other.correct
        self.confidence += other.confidence

    def to_dict(self) -> dict[str, object]:
        """Returns the error and the bins for JSON; the error of no predictions is None."""
        has_images = bool(self.images.sum())
        return {
            "ece": self.error if has_images else None,
            "mean_probability": self.mean_confidence if has_images else None,
            "bins": [dataclasses.asdict(each) for each in self.bins()],
        }

    def _sums(self) -> tuple[np.ndarray, np.ndarray]:
        return self.confidence, self.correct
