# SPDX-License-Identifier: Apache-2.0
"""The answer of `serving_default` as Python objects, for the local model and for a model server."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence


@dataclasses.dataclass(frozen=True)
class Prediction:
    """A class and its probability."""

    class_name: str
    probability: float


def from_arrays(
    class_names: Iterable[Sequence[bytes]], probabilities: Iterable[Sequence[float]]
) -> list[list[Prediction]]:
    """Returns the classes of each image, in the order of the arrays.

    Args:
        class_names: UTF-8 bytes [N, k].
        probabilities: float [N, k].
    """
    return [
        [
            Prediction(name.decode(), float(probability))
            for name, probability in zip(*row, strict=True)
        ]
        for row in zip(class_names, probabilities, strict=True)
    ]
