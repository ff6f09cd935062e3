# SPDX-License-Identifier: Apache-2.0
"""ReaL accuracy: the reassessed labels of the ImageNet validation set, by file name.

Source: Beyer et al., "Are we done with ImageNet?" (2020). Their file real.json has 50,000 lists of
labels; list i, from 0, belongs to the image ILSVRC2012_val_{i+1:08d}, whatever the order in which
the images are read. A prediction is right if it is one of the labels. The 3,163 images with an
empty list are left out. No TensorFlow.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence

from mixer_tf import storage
from mixer_tf.evaluation import imagenet
from mixer_tf.messages import listing, printable, visible

NUM_IMAGES = imagenet.NUM_VALIDATION_IMAGES
NUM_EMPTY = 3_163


@dataclasses.dataclass(frozen=True)
class RealLabels:
    """The labels of all validation images.

    Attributes:
        labels: the set of labels of each image, in the order of the image numbers; may be empty.
    """

    labels: Sequence[frozenset[int]]

    @property
    def num_labeled(self) -> int:
        """Number of images with a label."""
        return sum(map(bool, self.labels))

    def notes(self) -> list[str]:
        """Returns a note if the file is not the published one."""
        empty = len(self.labels) - self.num_labeled
        if empty == NUM_EMPTY:
            return []
        return [
            f"{empty:,} images have no ReaL label; in the published real.json there are "
            f"{NUM_EMPTY:,} such images"
        ]

    def of(self, image: str) -> tuple[int, frozenset[int]]:
        """Returns the number of an image, from 1, and its labels.

        Args:
            image: its path or id.

        Raises:
            ValueError: the path does not end in the name of a validation image.
        """
        number = imagenet.validation_number(image)
        return number, self.labels[number - 1]


def read(path: str) -> RealLabels:
    """Reads real.json.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not a list of 50,000 lists of labels.
    """
    try:
        found = json.loads(storage.read_text(path))
    except ValueError as error:
        raise ValueError(f"--real must be a JSON file; {path} is not: {error}.") from None
    if not isinstance(found, list) or len(found) != NUM_IMAGES:
        kind = f"a list of {len(found):,}" if isinstance(found, list) else type(found).__name__
        raise ValueError(
            f"--real must be a list of {NUM_IMAGES:,} lists, one for each validation image of "
            f"ImageNet; got {kind} in {path}. Use real.json of "
            "github.com/google-research/reassessed-imagenet."
        )
    for number, labels in enumerate(found, 1):
        if not isinstance(labels, list) or not all(map(_is_label, labels)):
            raise ValueError(
                f"--real must have lists of labels from 0 to {imagenet.NUM_CLASSES - 1}; got "
                f"{str(labels)[:60]} for image {number:,} in {path}."
            )
    return RealLabels([frozenset(labels) for labels in found])


def _is_label(value: object) -> bool:
    return type(value) is int and 0 <= value < imagenet.NUM_CLASSES


def labels_of_classes(class_names: Sequence[str], *other_names: Sequence[str]) -> dict[str, int]:
    """Returns class name → ImageNet label, for the classes named by WordNet ids of ImageNet-1k.

    Args:
        class_names: the names of a model's classes.
        *other_names: other names of the same classes, one of which may be the id.

    Raises:
        ValueError: none of them is such an id.
    """
    by_id = {name: label for label, name in enumerate(imagenet.wordnet_ids())}
    found = {
        names[0]: by_id[wordnet_id]
        for names in zip(class_names, *other_names, strict=True)
        if (wordnet_id := next(filter(by_id.__contains__, names), None))
    }
    if not found:
        raise ValueError(
            "ReaL labels need a model whose classes are named by WordNet ids of ImageNet, such as "
            f"{imagenet.wordnet_ids()[0]}; it has {listing(class_names, show=visible)}. Give the "
            "ids in label order, one per line, with --class-names."
        )
    return found


class RealScores:
    """Counts the predictions of one model that ReaL labels call right.

    Attributes:
        images: number of scored images, those with a label.
        correct: number of these whose prediction is one of their labels.
        without_labels: number of images that are left out.
    """

    def __init__(self, labels: RealLabels, label_of: Mapping[str, int]):
        """Counts nothing yet.

        Args:
            labels: the labels of all images.
            label_of: name of a class of the model → ImageNet label; without one, it is wrong.
        """
        self._labels, self._label_of = labels, label_of
        self._seen: set[int] = set()
        self.images = self.correct = self.without_labels = 0

    def add(self, image: str, predicted: str) -> bool | None:
        """Counts a prediction; returns whether it is right, None if the image has no label.

        Args:
            image: path or id of the image.
            predicted: the most probable class.

        Raises:
            ValueError: the image is not a validation image, or was counted already.
        """
        number, labels = self._labels.of(image)
        if number in self._seen:
            raise ValueError(
                f"each validation image of ImageNet must occur once for ReaL labels; number "
                f"{number:,} occurs again as {visible(printable(image))}."
            )
        self._seen.add(number)
        if not labels:
            self.without_labels += 1
            return None
        is_correct = self._label_of.get(predicted) in labels
        self.images += 1
        self.correct += is_correct
        return is_correct

    @property
    def accuracy(self) -> float | None:
        """The share of the scored images whose prediction is right; None if there are none."""
        return self.correct / self.images if self.images else None

    def notes(self) -> list[str]:
        """Returns a note if not all labeled validation images were scored."""
        total = self._labels.num_labeled
        if self.images == total:
            return []
        return [
            f"ReaL accuracy is that of {self.images:,} of the {total:,} labeled validation images"
        ]
