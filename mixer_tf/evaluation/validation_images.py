# SPDX-License-Identifier: Apache-2.0
"""The validation images of ImageNet in one folder, as they are published: classes by file name."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from mixer_tf.datasets import unlabeled
from mixer_tf.datasets.files import FileReader
from mixer_tf.datasets.sources.source import Source
from mixer_tf.evaluation import imagenet
from mixer_tf.features import ImageRecord

FORM = unlabeled.FORM


def is_folder_of_them(spec: str) -> bool:
    """Whether a specification is "images:FOLDER"."""
    return spec.partition(":")[0] == unlabeled.KIND


@dataclasses.dataclass(frozen=True)
class _Reader:
    """Reads images, and gives each the class that its name stands for."""

    files: FileReader

    def __call__(self, work_item: Any) -> Iterator[ImageRecord]:
        labels = {name: label for label, name in enumerate(imagenet.wordnet_ids())}
        for record in self.files(work_item):
            name = imagenet.validation_ids()[imagenet.validation_number(record.source) - 1]
            yield dataclasses.replace(record, class_name=name, label=labels[name])


def open_folder(spec: str) -> Source:
    """Opens the images of "images:FOLDER" as the split "test", with WordNet ids as classes.

    Raises:
        ValueError: there is no image, or, when they are read, one has another name.
    """
    found = unlabeled.open_images(spec)
    reader = _Reader(found.reader)
    return dataclasses.replace(
        found,
        class_names=imagenet.wordnet_ids(),
        reader=reader,
        image_ids=found.reader.image_ids,
    )
