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
            ValueError: the file is not JSON, or is of another program.
        """
        path = os.path.join(folder, FILE_NAME)
        if not storage.exists(path):
            raise FileNotFoundError(
                f"a dataset folder must contain {FILE_NAME}; got {folder}. "
                "Use the output of ImageExampleGen, Deduplicator or Preprocessor."
            )
        data = _parse(storage.read_text(path))
        if data is None:
            names = ", ".join(field.name for field in dataclasses.fields(cls))
            raise ValueError(
                f"{FILE_NAME} must be JSON with the fields {names}; {path} is not. If another "
                "program wrote it, move it to another folder; otherwise write the dataset again."
            )
        data["class_names"] = tuple(data["class_names"])
        data["notes"] = tuple(data["notes"])
        return cls(**data)


def _parse(text: str) -> dict | None:
    """The fields of a `DatasetInfo`, or None if the text is not JSON or has others."""
    try:
        data = json.loads(text)
    except ValueError:
        return None
    names = {field.name for field in dataclasses.fields(DatasetInfo)}
    if not isinstance(data, dict) or data.keys() != names:
        return None
    lists, counts = (data["class_names"], data["notes"]), data["counts"]
    has_types = all(map(_is_list_of_strings, lists)) and isinstance(counts, dict)
    return data if has_types and all(isinstance(n, dict) for n in counts.values()) else None


def _is_list_of_strings(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
