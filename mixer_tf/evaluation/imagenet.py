# SPDX-License-Identifier: Apache-2.0
"""The classes of ImageNet-1k and of its validation images, as the TFDS package lists them.

A class is a WordNet id. Nothing is downloaded. Names such as "tench, Tinca tinca" are in no
installed package; a file of names gives them, see `class_name_files`.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import re

from mixer_tf import storage
from mixer_tf.messages import printable, visible

NUM_CLASSES = 1000
WORDNET_ID = re.compile(r"n[0-9]{8}")
NUM_VALIDATION_IMAGES = 50_000
_VALIDATION_NAME = re.compile(r"(?:^|[/\\])ILSVRC2012_val_([0-9]{8})(?:\.[^/\\]*)?$")
_LABELS, _VALIDATION_LABELS = "labels.txt", "validation_labels.txt"


@functools.cache
def wordnet_ids() -> tuple[str, ...]:
    """Returns the WordNet id of each label of ImageNet-1k, such as "n01440764" for label 0.

    Raises:
        ValueError: TFDS is not installed, or its list is not where it was.
    """
    return _read(_LABELS, NUM_CLASSES)


@functools.cache
def validation_ids() -> tuple[str, ...]:
    """Returns the WordNet id of each validation image, in the order of the image numbers.

    The first one is that of ILSVRC2012_val_00000001.

    Raises:
        ValueError: as `wordnet_ids`.
    """
    return _read(_VALIDATION_LABELS, NUM_VALIDATION_IMAGES)


def _read(name: str, number: int) -> tuple[str, ...]:
    spec = importlib.util.find_spec("tensorflow_datasets")
    if spec is None or not spec.submodule_search_locations:
        raise ValueError(
            "the classes of ImageNet are listed in TensorFlow Datasets, which is not installed. "
            "Install it with: pip install tensorflow-datasets"
        )
    folder = os.path.join(spec.submodule_search_locations[0], "datasets", "imagenet2012")
    path = os.path.join(folder, name)
    ids = tuple(storage.read_text(path).split()) if os.path.exists(path) else ()
    if len(ids) != number:
        raise ValueError(
            f"TensorFlow Datasets must list {number:,} classes of ImageNet in {path}; found "
            f"{len(ids):,}. Install a version that mixer_tf supports: tensorflow-datasets 4.9."
        )
    return ids


def validation_number(image: str) -> int:
    """Returns the number of a validation image, from 1, which its file name holds.

    Args:
        image: its path or id.

    Raises:
        ValueError: the path does not end in the name of a validation image.
    """
    found = _VALIDATION_NAME.search(image)
    if found is None:
        raise ValueError(
            "the validation images of ImageNet must have names such as "
            f"ILSVRC2012_val_00000001.JPEG; got {visible(printable(image))}. Use them under their "
            "own names, or leave out --real."
        )
    number = int(found[1])
    if not 1 <= number <= NUM_VALIDATION_IMAGES:
        raise ValueError(
            f"the validation images of ImageNet have the numbers 1 to {NUM_VALIDATION_IMAGES:,}; "
            f"got {visible(printable(image))}."
        )
    return number
