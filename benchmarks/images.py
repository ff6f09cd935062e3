# SPDX-License-Identifier: Apache-2.0
"""The images that benchmarks read: photographs, as JPEG and as PNG, and small images."""

from __future__ import annotations

import io
import itertools
import os
import pathlib
from collections.abc import Sequence

import numpy as np
from PIL import Image

from mixer_tf import storage

JPEG, PNG = "JPEG", "PNG"
CLASSES = ("a", "b")


def photographs(folder: str | None, limit: int = 64) -> list[bytes]:
    """Returns JPEGs of a folder; generated ones of 640 x 480 pixels without it.

    Args:
        folder: a folder with *.jpg files at any depth; None for none.
        limit: the largest number of files to read.

    Raises:
        ValueError: the folder has no such file.
    """
    if folder is None:
        from mixer_tf.benchmarks import limits  # imports TensorFlow

        return limits.photographs()
    files = sorted(
        path
        for path in pathlib.Path(folder).expanduser().rglob("*")
        if path.suffix.lower() in (".jpg", ".jpeg")
    )
    if not files:
        raise ValueError(f"--folder must have *.jpg files; {folder} has none.")
    return [storage.read_bytes(str(path)) for path in files[:limit]]


def as_png(encoded: bytes) -> bytes:
    """Returns the pixels of an image as a PNG."""
    file = io.BytesIO()
    Image.open(io.BytesIO(encoded)).convert("RGB").save(file, PNG)
    return file.getvalue()


def small_images(count: int, side: int = 32) -> list[bytes]:
    """Returns smooth PNGs of random colors, which differ, of side x side pixels."""
    random = np.random.default_rng(0)
    found = []
    for pixels in random.integers(0, 256, (count, 4, 4, 3), dtype=np.uint8):
        file = io.BytesIO()
        Image.fromarray(pixels).resize((side, side), Image.Resampling.BICUBIC).save(file, PNG)
        found.append(file.getvalue())
    return found


def write_folder(folder: str, encoded: Sequence[bytes], count: int) -> str:
    """Writes images, again and again, as files of two classes; returns the source."""
    for name in CLASSES:
        os.makedirs(os.path.join(folder, name))
    for index, content in enumerate(itertools.islice(itertools.cycle(encoded), count)):
        suffix = ".png" if content.startswith(b"\x89PNG") else ".jpg"
        name = CLASSES[index % len(CLASSES)]
        storage.write_bytes(os.path.join(folder, name, f"{index}{suffix}"), content)
    return f"folder:{folder}"
