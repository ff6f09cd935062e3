# SPDX-License-Identifier: Apache-2.0
"""The description of a dataset: `dataset.json`, which is stored in every folder of Examples."""

from __future__ import annotations

import dataclasses
import json
import os

from mixer_tf import storage
from mixer_tf.features import TRAIN
from mixer_tf.messages import with_examples

FILE_NAME = "dataset.json"


@dataclasses.dataclass(frozen=True)
class DatasetInfo:
    """Class names in label order, and the number of images per split and class.

    Attributes:
        source: the specification of the source, such as "folder:/data/pets".
        class_names: one name per label; index = label.
        counts: split → class name → number of images.
        notes: one line per thing that a user should know, such as an empty class folder.
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

    @property
    def notes_of_classes(self) -> tuple[str, ...]:
        """Notes of classes with no training image, and of those with a single one.

        They are not stored, because every step that removes images changes the counts.
        """
        train = self.counts.get(TRAIN, {})
        if not train:
            return ()
        found = {
            "classes without a training image": [n for n in self.class_names if not train.get(n)],
            "classes with a single training image": [
                name for name in self.class_names if train.get(name) == 1
            ],
        }
        return tuple(f"{text}: {with_examples(names)}" for text, names in found.items() if names)

    def write(self, folder: str) -> None:
        """Writes `dataset.json` into an existing folder, local or remote."""
        text = json.dumps(dataclasses.asdict(self), indent=2, ensure_ascii=False)
        storage.write_text(os.path.join(folder, FILE_NAME), text)

    @classmethod
    def read(cls, folder: str) -> DatasetInfo:
        """Reads the `dataset.json` of `folder`.

        Raises:
            FileNotFoundError: the folder has no such file, so no step of the pipeline wrote it.
        """
        path = os.path.join(folder, FILE_NAME)
        if not storage.exists(path):
            raise FileNotFoundError(
                f"a dataset folder must contain {FILE_NAME}; got {folder}. "
                "Use the output of ImageExampleGen, Deduplicator or Preprocessor."
            )
        data = json.loads(storage.read_text(path))
        data["class_names"] = tuple(data["class_names"])
        data["notes"] = tuple(data["notes"])
        return cls(**data)
