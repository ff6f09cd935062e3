# SPDX-License-Identifier: Apache-2.0
"""The predictions of an evaluation as a CSV file, one row for each image and model. No TensorFlow.

Columns: `model`, `image`, `class_name` (its class), `correct`, `rank` and `class_probability` of
its class, `predicted` and `probability` of the most probable class, `predicted_2`, `probability_2`
and so on for the next ones; `real`, whether the prediction is right by ReaL labels, if they are
given; and `error`, why an image is unusable; these images come last.
"""

from __future__ import annotations

import contextlib
import csv
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from mixer_tf import storage
from mixer_tf.messages import spreadsheet_cell

if TYPE_CHECKING:
    from mixer_tf.evaluation.classification import LabeledPrediction


def require_writable(option: str, path: str, suffix: str) -> None:
    """Checks the path of an output file before any image is read.

    Args:
        option: the option that gives it, such as "--csv".
        path: the path.
        suffix: how it must end.

    Raises:
        ValueError: it has another suffix, its folder does not exist, or it is a folder.
    """
    if not path.lower().endswith(suffix):
        raise ValueError(f"{option} must be a file that ends in {suffix}; got {path}.")
    storage.require_writable(path, option)


class PredictionsTable:
    """Writes rows; made by `writing`.

    Args:
        file: an open text file.
        models: titles of the models.
        top: number of classes in each row.
        with_real: whether there are ReaL labels.
    """

    def __init__(self, file, models: Sequence[str], top: int, with_real: bool):
        self._models, self._top, self._with_real = models, top, with_real
        self._writer = csv.writer(file, lineterminator="\n")
        numbers = ["", *(f"_{number}" for number in range(2, top + 1))]
        pairs = [(f"predicted{number}", f"probability{number}") for number in numbers]
        self._columns = [
            *("model", "image", "class_name", "correct", "rank", "class_probability"),
            *(name for pair in pairs for name in pair),
            *(["real"] if with_real else []),
            "error",
        ]
        self._writer.writerow(self._columns)

    def add(self, model: int, prediction: LabeledPrediction, real: bool | None = None) -> None:
        """Adds a prediction.

        Args:
            model: index of the model.
            prediction: the prediction.
            real: whether it is right by ReaL labels; None if the image has none.
        """
        row = {
            "model": self._models[model],
            "image": prediction.image,
            "class_name": prediction.class_name,
            "correct": int(prediction.is_correct),
            "rank": prediction.rank,
            "class_probability": prediction.class_probability,
            "real": None if real is None else int(real),
        }
        for number, (name, probability) in enumerate(prediction.top[: self._top], 1):
            suffix = "" if number == 1 else f"_{number}"
            row |= {f"predicted{suffix}": name, f"probability{suffix}": probability}
        self._write(row)

    def add_unusable(self, image: str, reason: str) -> None:
        """Adds an image that no model was asked about; the column `model` is empty."""
        self._write({"image": image, "error": reason})

    def _write(self, row: dict[str, object]) -> None:
        self._writer.writerow([spreadsheet_cell(row.get(name)) for name in self._columns])


@contextlib.contextmanager
def writing(
    path: str, models: Sequence[str], top: int, with_real: bool = False
) -> Iterator[PredictionsTable]:
    """Yields a table to fill; the file appears when the block succeeds.

    Args:
        path: a path that `require_writable` accepts; an existing file is replaced.
        models, top, with_real: see `PredictionsTable`.
    """
    with storage.replacing(path, concurrent=True) as partial:
        if storage.is_remote(path):
            with storage.gfile().GFile(partial, "w") as file:
                yield PredictionsTable(file, models, top, with_real)
        else:
            with open(partial, "w", encoding="utf-8", newline="") as file:
                yield PredictionsTable(file, models, top, with_real)
