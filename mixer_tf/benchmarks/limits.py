# SPDX-License-Identifier: Apache-2.0
"""The speed that no server can exceed: decoding alone, and the plain model's forward pass alone."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import tensorflow as tf
from PIL import Image

from mixer_tf.benchmarks.timing import calls_per_second
from mixer_tf.export import loading
from mixer_tf.images.preprocessing import decode_and_crop

_BATCH = 32


@dataclasses.dataclass(frozen=True)
class Limits:
    """Images per second on all cores.

    Attributes:
        decode: rate of decoding and cropping alone.
        forward: batch size -> of the Keras model's forward pass alone.
    """

    decode: float
    forward: Mapping[int, float]

    def both(self, batch_size: int) -> float:
        """Images per second if each image is decoded, then classified, on the same cores."""
        return 1 / (1 / self.decode + 1 / self.forward[batch_size])


def measure(
    model_dir: str, images: Sequence[bytes], batch_sizes: Sequence[int], seconds: float
) -> Limits:
    """Measures the limits on this machine.

    Args:
        model_dir: path of a SavedModel that mixer_tf exported.
        images: encoded images.
        batch_sizes: images in a forward pass; a small batch uses the cores less well.
        seconds: duration of each measurement.

    Raises:
        ValueError: mixer_tf did not export the model.
    """
    export = loading.open_export(model_dir)
    data, side = export.recipe.data, export.recipe.model.image_size
    encoded = [images[index % len(images)] for index in range(_BATCH)]
    decode = (
        tf.data.Dataset.from_tensor_slices(encoded)
        .repeat()
        .map(
            lambda each: decode_and_crop(each, data.crop, side),
            num_parallel_calls=tf.data.AUTOTUNE,
        )
        .batch(_BATCH)
        .as_numpy_iterator()
    )
    pixels = next(decode)
    decode_rate = _BATCH * calls_per_second(lambda: next(decode), seconds)
    forward = tf.function(lambda batch: export.model(batch, training=False))
    return Limits(
        decode_rate, {size: _forward_rate(forward, pixels, size, seconds) for size in batch_sizes}
    )


def _forward_rate(forward: Callable, pixels: np.ndarray, size: int, seconds: float) -> float:
    """Returns images per second in batches of a size."""
    batch = tf.constant(pixels[np.arange(size) % len(pixels)])
    return size * calls_per_second(lambda: forward(batch).numpy(), seconds)


def photographs(count: int = 16, width: int = 640, height: int = 480) -> list[bytes]:
    """Returns generated JPEGs of the size and detail of photographs, about 100 KB each."""
    random = np.random.default_rng(0)
    found = []
    for _ in range(count):
        small = random.integers(0, 256, (height // 40, width // 40, 3), dtype=np.uint8)
        smooth = Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)
        noise = random.normal(0, 12, (height, width, 1))
        pixels = np.clip(np.asarray(smooth) + noise, 0, 255).astype(np.uint8)
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "JPEG", quality=85)
        found.append(file.getvalue())
    return found
