# SPDX-License-Identifier: Apache-2.0
"""The handwritten digits that are part of scikit-learn: 1,797 real images of 8x8 pixels.

Source: E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits", UCI 1998.
"""

from __future__ import annotations

import functools
import importlib.metadata
import io
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mixer_tf.datasets import splits
from mixer_tf.datasets.files import make_record
from mixer_tf.datasets.sources.source import Source
from mixer_tf.features import ImageRecord

if TYPE_CHECKING:
    import numpy as np

KIND = "digits"
FORM = "digits"
HELP = "1,797 handwritten digits that come with scikit-learn"

CLASS_NAMES = tuple("0123456789")
# With 1,797 images, a tenth would be too few to distinguish 0.96 from 0.97.
TEST_SHARE = 0.2
_NUM_IMAGES = 1797
_MAX_VALUE = 16
_CHUNK_SIZE = 100


def open_source(spec: str, location: str, data_dir: str | None) -> Source:
    """Returns the digits as a source; about a fifth is held out as test, a tenth as eval.

    Raises:
        ValueError: scikit-learn is not installed.
    """
    _version()  # importing scikit-learn takes a second, which a run from the cache can save
    items = [("", _image_id(index), index) for index in range(_NUM_IMAGES)]
    by_split = splits.assign_splits(items, TEST_SHARE)
    return Source(
        spec=spec,
        class_names=CLASS_NAMES,
        shards={split: _chunks(chosen) for split, chosen in by_split.items()},
        reader=read,
        image_ids=lambda indices: map(_image_id, indices),
        file_signatures=_file_signatures,
    )


def read(indices: tuple[int, ...]) -> Iterator[ImageRecord]:
    """Yields the digits at these indices, encoded as PNG."""
    images, labels = _load()
    for index in indices:
        label = int(labels[index])
        yield make_record(_encode(images[index]), label, CLASS_NAMES[label], _image_id(index))


def _image_id(index: int) -> str:
    return f"digits/{index:04d}"


def _chunks(indices: list[int]) -> list[tuple[int, ...]]:
    return [
        tuple(indices[start : start + _CHUNK_SIZE]) for start in range(0, len(indices), _CHUNK_SIZE)
    ]


def _encode(image: np.ndarray) -> bytes:
    """Gray values 0..16 [8, 8] to a PNG with values 0..255."""
    import numpy as np
    from PIL import Image

    pixels = np.round(image * (255 / _MAX_VALUE)).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def _file_signatures() -> Iterator[str]:
    yield _version()


def _version() -> str:
    try:
        return importlib.metadata.version("scikit-learn")
    except importlib.metadata.PackageNotFoundError as error:
        raise ValueError(
            "the source 'digits' needs scikit-learn, which is not installed. "
            "Install it with: pip install scikit-learn"
        ) from error


@functools.cache
def _load() -> tuple[np.ndarray, np.ndarray]:
    from sklearn import datasets

    digits = datasets.load_digits()
    return digits.images, digits.target
