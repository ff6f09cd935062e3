# SPDX-License-Identifier: Apache-2.0
"""Images to predict: a folder of images without classes, or any source, whose labels are ignored.

It is not a kind of source: nothing can be trained on it.
"""

from __future__ import annotations

import os

from mixer_tf import storage
from mixer_tf.datasets import files
from mixer_tf.datasets.image_paths import find_images
from mixer_tf.datasets.sources import opening
from mixer_tf.datasets.sources.source import Source
from mixer_tf.features import TEST
from mixer_tf.messages import require_no_credentials, without_credentials

KIND = "images"
FORM = f"{KIND}:FOLDER"


def open_images(spec: str, data_dir: str | None = None) -> Source:
    """Lists the images of "images:FOLDER", in the folder and below it, or opens any other source.

    Raises:
        ValueError: there is no such folder, or no image in it; or see `opening.open_source`.
    """
    kind, _, folder = spec.partition(":")
    if kind != KIND:
        return opening.open_source(spec, data_dir)
    require_no_credentials({"images": spec})
    folder = folder if storage.is_remote(folder) else os.path.abspath(os.path.expanduser(folder))
    if not storage.is_folder(folder):
        raise ValueError(f"{KIND}: must be followed by an existing folder; got {folder!r}.")
    found = find_images([folder])
    if not found.images:
        raise ValueError(f"{FORM} must have at least one image; got {folder} without any.")
    notes = (*found.notes(), *(f"{path}: {why}" for path, why in found.problems.items()))
    return Source(
        spec=spec,
        class_names=(),
        shards={TEST: files.make_chunks([(path, None) for path in found.images])},
        reader=files.FileReader("", ()),
        file_signatures=lambda: map(files.file_signature, found.images),
        notes=tuple(map(without_credentials, notes)),
        root=folder,
    )
