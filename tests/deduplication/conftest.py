# SPDX-License-Identifier: Apache-2.0
"""Images to compare: two real photographs, smooth random images, and their fingerprints."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable

import numpy as np
import pytest
from PIL import Image

from mixer_tf.datasets.files import make_record
from mixer_tf.deduplication.fingerprints import Fingerprints, concatenate, fingerprint


@pytest.fixture(scope="session")
def other_photo() -> Image.Image:
    """Another photograph from scikit-learn."""
    datasets = pytest.importorskip("sklearn.datasets")
    return Image.fromarray(datasets.load_sample_image("flower.jpg"))


@pytest.fixture(scope="session")
def random_image() -> Callable[[int], Image.Image]:
    """Seed → a smooth random image of 48x48 pixels that depends on the seed."""

    def make(seed: int) -> Image.Image:
        small = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
        return Image.fromarray(small).resize((48, 48), Image.Resampling.BICUBIC)

    return make


@pytest.fixture(scope="session")
def save() -> Callable[..., bytes]:
    """Image, format and options → encoded bytes."""

    def make(image: Image.Image, image_format: str = "PNG", **options) -> bytes:
        file = io.BytesIO()
        image.save(file, image_format, **options)
        return file.getvalue()

    return make


@pytest.fixture(scope="session")
def take_fingerprints() -> Callable[..., Fingerprints]:
    """Set name and encoded images → their Fingerprints, with the sources "00", "01", …"""

    def make(set_name: str, encoded: Iterable[bytes]) -> Fingerprints:
        records = [make_record(item, 0, "cat", f"{index:02}") for index, item in enumerate(encoded)]
        return concatenate(fingerprint(records, set_name, work_item="shard"))

    return make
