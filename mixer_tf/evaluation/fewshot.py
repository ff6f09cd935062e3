# SPDX-License-Identifier: Apache-2.0
"""The few-shot linear probe: ridge regression from a model's features to the classes. NumPy alone.

Source: the linear probes of the paper (section 3.2, Figure 2) and the authors' evaluator
`big_vision/evaluators/fewshot_lsr.py`: a few training images of each class are drawn, their
features are standardized, and a linear map to the classes is solved in closed form.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from mixer_tf.messages import listing

SHOTS = (1, 5, 10, 25)
SEEDS = (0, 1, 2)
L2 = 2.0**10
BIAS = 100.0  # a constant feature, so large that the regularization hardly reaches it
EPSILON = 1e-5


@dataclasses.dataclass(frozen=True)
class Features:
    """The features of labeled images, in the order in which shots are drawn.

    Attributes:
        values: float [N, D], such as the `pre_logits` of a model.
        labels: integers [N] below the number of classes.
    """

    values: np.ndarray
    labels: np.ndarray

    def __post_init__(self):
        if self.values.ndim != 2 or self.labels.shape != self.values.shape[:1]:
            raise ValueError(
                "values must be [N, D] and labels [N]; got "
                f"{list(self.values.shape)} and {list(self.labels.shape)}."
            )

    def __len__(self) -> int:
        return len(self.labels)

    def counts(self, num_classes: int) -> np.ndarray:
        """Returns the number of images of each class, [num_classes]."""
        return np.bincount(self.labels, minlength=num_classes)


@dataclasses.dataclass(frozen=True)
class Probe:
    """A linear classifier of features.

    Attributes:
        mean, scale: [D], by which features are standardized.
        weights: [D + 1, C]; the last row belongs to the constant feature.
    """

    mean: np.ndarray
    scale: np.ndarray
    weights: np.ndarray

    def scores(self, values: np.ndarray) -> np.ndarray:
        """Returns the regressed targets of features [N, D], float64 [N, C]."""
        return _with_bias((values - self.mean) / self.scale) @ self.weights

    def predict(self, values: np.ndarray) -> np.ndarray:
        """Returns the labels with the highest scores for features [N, D], integers [N]."""
        return self.scores(values).argmax(axis=1)


@dataclasses.dataclass(frozen=True)
class ShotsResult:
    """The accuracy with a number of training images for each class.

    Attributes:
        shots: number of training images of each class.
        accuracies: top-1 on the test images, for each seed.
        images: total number of training images, equal for all seeds.
    """

    shots: int
    accuracies: tuple[float, ...]
    images: int

    @property
    def mean(self) -> float:
        return float(np.mean(self.accuracies))

    @property
    def deviation(self) -> float | None:
        """The standard deviation of a sample, with n - 1; None for a single seed."""
        return float(np.std(self.accuracies, ddof=1)) if len(self.accuracies) > 1 else None

    def to_dict(self) -> dict[str, object]:
        """Returns everything as JSON takes it."""
        figures = {"mean": self.mean, "standard_deviation": self.deviation}
        return {**dataclasses.asdict(self), "accuracies": list(self.accuracies), **figures}


def fit(features: Features, num_classes: int, l2: float = L2) -> Probe:
    """Solves the ridge regression from standardized features to targets of +1 and -1.

    The eigendecomposition is that of the smaller of the two matrices x'x and xx'.

    Args:
        features: the training images.
        num_classes: C; a class without an image has targets of -1 alone.
        l2: factor of the squared weights.
    """
    values = features.values.astype(np.float64)  # Deviation: the authors compute in float32.
    mean, scale = values.mean(axis=0), values.std(axis=0) + EPSILON
    x = _with_bias((values - mean) / scale)
    targets = 2.0 * np.eye(num_classes)[features.labels] - 1.0
    if x.shape[0] >= x.shape[1]:
        eigenvalues, vectors = np.linalg.eigh(x.T @ x)
        left, right = vectors, vectors.T @ (x.T @ targets)
    else:
        eigenvalues, vectors = np.linalg.eigh(x @ x.T)
        left, right = x.T @ vectors, vectors.T @ targets
    return Probe(mean, scale, (left / (eigenvalues + l2)) @ right)


def draw_order(labels: np.ndarray, num_classes: int, seed: int) -> list[np.ndarray]:
    """Returns for each class the indices of its images in random order; k shots are the first k.

    One generator permutes the classes' indices in the order of the labels, so that the draw depends
    on the order of the images.
    """
    generator = np.random.default_rng(seed)
    return [generator.permutation(np.flatnonzero(labels == label)) for label in range(num_classes)]


def evaluate(
    train: Features,
    test: Features,
    num_classes: int,
    shots: Sequence[int] = SHOTS,
    seeds: Sequence[int] = SEEDS,
    l2: float = L2,
) -> list[ShotsResult]:
    """Fits and measures a probe for each number of shots and each seed.

    A class with fewer images than shots gives all it has; see `notes`.

    Args:
        train: the images that shots are drawn from.
        test: the images to measure on.
        num_classes: number of classes.
        shots: numbers of training images of each class.
        seeds: seeds of the draws.
        l2: see `fit`.

    Raises:
        ValueError: see `require_possible`; or there is no test image.
    """
    require_possible(train, num_classes, shots)
    if not len(test):
        raise ValueError("a probe must have test images to measure; got none.")
    orders = [draw_order(train.labels, num_classes, seed) for seed in seeds]
    return [_result(train, test, num_classes, number, orders, l2) for number in shots]


def require_possible(train: Features, num_classes: int, shots: Sequence[int]) -> None:
    """Checks that no number of shots exceeds the images of every class.

    Raises:
        ValueError: it does: the result would be that of fewer shots under another name.
    """
    if not len(train):
        raise ValueError("a probe must have training images; got none.")
    if min(shots) < 1:
        raise ValueError(f"a number of shots must be at least 1; got {min(shots)}.")
    largest = int(train.counts(num_classes).max())
    if max(shots) > largest:
        raise ValueError(
            "a number of shots must be at most the images of the largest class, which are "
            f"{largest:,}; got {max(shots)}. Leave it out, or add images."
        )


def possible_shots(train: Features, num_classes: int, shots: Sequence[int]) -> list[int]:
    """Returns the numbers of shots that `require_possible` accepts."""
    largest = int(train.counts(num_classes).max(initial=0))
    return [number for number in shots if number <= largest]


def notes(
    train: Features, test: Features, class_names: Sequence[str], shots: Sequence[int]
) -> list[str]:
    """Returns one line for each way in which the result is not what its name says."""
    counts = train.counts(len(class_names))
    tested = test.counts(len(class_names))
    found = []
    absent = [name for name, count in zip(class_names, counts, strict=True) if not count]
    if absent:
        lost = int(tested[counts == 0].sum())
        found.append(
            f"classes without a training image: {listing(absent)}; their {lost:,} test images "
            "count as wrong"
        )
    for number in shots:
        few = [n for n, count in zip(class_names, counts, strict=True) if 0 < count < number]
        if few:
            found.append(
                f"{number} shots: classes with fewer training images, all of which are used: "
                f"{listing(few)}"
            )
    return found


def _result(train, test, num_classes, shots, orders, l2) -> ShotsResult:
    accuracies, size = [], 0
    for order in orders:
        chosen = np.concatenate([indices[:shots] for indices in order])
        subset = Features(train.values[chosen], train.labels[chosen])
        predictions = fit(subset, num_classes, l2).predict(test.values)
        accuracies.append(float(np.mean(predictions == test.labels)))
        size = len(chosen)
    return ShotsResult(shots, tuple(accuracies), size)


def _with_bias(values: np.ndarray) -> np.ndarray:
    return np.pad(values, ((0, 0), (0, 1)), constant_values=BIAS)
