# SPDX-License-Identifier: Apache-2.0
"""The classes of ImageNet-1k: WordNet ids in label order, as the TFDS package lists them.

Nothing is downloaded. Names such as "tench, Tinca tinca" are in no installed package; a file of
names gives them, see `class_name_files`.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import re

from mixer_tf import storage

NUM_CLASSES = 1000
WORDNET_ID = re.compile(r"n[0-9]{8}")
_LABELS = ("datasets", "imagenet2012", "labels.txt")


@functools.cache
def wordnet_ids() -> tuple[str, ...]:
    """Returns the WordNet id of each label of ImageNet-1k, such as "n01440764" for label 0.

    Raises:
        ValueError: TFDS is not installed, or its list is not where it was.
    """
    spec = importlib.util.find_spec("tensorflow_datasets")
    if spec is None or not spec.submodule_search_locations:
        raise ValueError(
            "the classes of ImageNet are listed in TensorFlow Datasets, which is not installed. "
            "Install it with: pip install tensorflow-datasets"
        )
    path = os.path.join(spec.submodule_search_locations[0], *_LABELS)
    ids = tuple(storage.read_text(path).split()) if os.path.exists(path) else ()
    if len(ids) != NUM_CLASSES:
        raise ValueError(
            f"TensorFlow Datasets must list {NUM_CLASSES:,} classes of ImageNet in {path}; found "
            f"{len(ids):,}. Install a version that mixer_tf supports: tensorflow-datasets 4.9."
        )
    return ids
