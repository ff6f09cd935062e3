# SPDX-License-Identifier: Apache-2.0
"""What a dataset says of itself: `dataset.json`, which travels in the folder of every Examples."""

from __future__ import annotations

import dataclasses
import json
import os

FILE_NAME = "dataset.json"


@dataclasses.dataclass(frozen=True)
class DatasetInfo:
    """Class names in label order, and how many images each split holds of each class.

    Attributes:
        source: the specification that it was read from, such as "folder:/data/pets".
        class_names: one name for each label; index = label.
        counts: split → class name → number of images.
        notes: one line for each thing that a user should know, such as an empty class folder.
    """

    source: str
    class_names: tuple[str, ...]
    counts: dict[str, dict[str, int]]
    notes: tuple[str, ...] = ()

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    @property
    def examples(self) -> dict[str, int]:
        """Split → number of images."""
        return {split: sum(by_class.values()) for split, by_class in self.counts.items()}

    def write(self, folder: str) -> None:
        """Writes `dataset.json` into `folder` (any file system that TensorFlow knows)."""
        from tensorflow.io import gfile

        path = os.path.join(folder, FILE_NAME)
        with gfile.GFile(path + ".partial", "w") as file:
            file.write(json.dumps(dataclasses.asdict(self), indent=2, ensure_ascii=False))
        gfile.rename(path + ".partial", path, overwrite=True)

    @classmethod
    def read(cls, folder: str) -> DatasetInfo:
        """Reads the `dataset.json` of `folder`.

        Raises:
            FileNotFoundError: the folder holds none, so no step of this project wrote it.
        """
        from tensorflow.io import gfile

        path = os.path.join(folder, FILE_NAME)
        if not gfile.exists(path):
            raise FileNotFoundError(
                f"a dataset folder must hold {FILE_NAME}; got {folder}. "
                "Use the output of ImageExampleGen, Deduplicator or Preprocessor."
            )
        with gfile.GFile(path) as file:
            data = json.load(file)
        data["class_names"] = tuple(data["class_names"])
        data["notes"] = tuple(data["notes"])
        return cls(**data)
