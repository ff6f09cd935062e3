# SPDX-License-Identifier: Apache-2.0
"""Checks and decodes mutated images; started by tests/images/test_mutated_images.py.

What the check accepts, training decodes; the served decoder sees the same pixels or refuses.
"""

import contextlib
import io
import itertools
import struct
import sys
import zlib
from collections.abc import Iterator

import mutations
import numpy as np
import tensorflow as tf
from PIL import Image

from mixer_tf import images
from mixer_tf.images import thumbnails

decode = tf.function(images.decode, input_signature=[tf.TensorSpec([], tf.string)])


def encode(image: Image.Image, image_format: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, image_format, **options)
    return file.getvalue()


def originals(name: str) -> list[bytes]:
    """Small images of a format, of several kinds."""
    rng = np.random.default_rng(5)
    pixels = rng.integers(0, 256, (5, 7, 3), dtype=np.uint8).repeat(4, 0).repeat(4, 1)
    rgb = Image.fromarray(pixels)
    palette, gray, line_art = rgb.quantize(16), rgb.convert("L"), rgb.convert("1")
    alpha = rng.integers(0, 256, (20, 28, 1), dtype=np.uint8)
    rgba = Image.fromarray(np.concatenate([pixels, alpha], -1))
    wide = Image.fromarray(rng.integers(0, 1 << 16, (20, 28), dtype=np.uint16))
    frames = [Image.fromarray(np.roll(pixels, shift, 0)).quantize(16) for shift in range(3)]
    exif = Image.Exif()
    exif[0x0112] = 6
    animation = {"save_all": True, "append_images": frames[1:], "transparency": 3}
    found = {
        "JPEG": [
            *((rgb, options) for options in ({}, {"progressive": True}, {"exif": exif})),
            (gray, {}),
            (rgb.convert("CMYK"), {}),
        ],
        "PNG": [(rgb, {"exif": exif}), (palette, {"transparency": 2}), (rgba, {}), (wide, {})],
        "GIF": [(palette, {"interlace": 0}), (palette, {}), (frames[0], animation)],
        "BMP": [(rgb, {}), (palette, {}), (line_art, {}), (rgba, {})],
        "WEBP": [(rgb, {}), (rgba, {"lossless": True})],
        "TIFF": [
            *((rgb, {"compression": name}) for name in (None, "tiff_adobe_deflate", "jpeg")),
            (palette, {"compression": "tiff_lzw"}),
            (line_art, {"compression": "group4"}),
            (wide, {}),
        ],
        "AVIF": [(rgb, {})],
        "JPEG2000": [(rgb, {}), (rgb, {"no_jp2": True})],
        "PPM": [(rgb, {}), (gray, {}), (line_art, {}), (wide, {})],
        "ICO": [(rgba, {}), (rgba, {"bitmap_format": "bmp"})],
        "TGA": [(rgb, {}), (rgba, {"compression": "tga_rle"})],
    }[name]
    return [encode(image, name, **options) for image, options in found]


def with_right_checksums(png: bytes) -> bytes:
    """The same chunks of a PNG with their checksums, so that decoders read on."""
    chunks, at = [png[:8]], 8
    while at + 12 <= len(png):
        (size,) = struct.unpack_from(">I", png, at)
        content = png[at + 4 : at + 8 + size]
        chunks.append(png[at : at + 4] + content + struct.pack(">I", zlib.crc32(content)))
        at += 12 + size
    return b"".join(chunks)


def mutated(name: str, count: int) -> Iterator[bytes]:
    files = originals(name)
    sources = [mutations.mutate(file, count, seed) for seed, file in enumerate(files)]
    for number, content in enumerate(itertools.islice(zip(*sources, strict=True), count)):
        content = content[number % len(files)]
        yield with_right_checksums(content) if name == "PNG" and number % 4 else content


def serve(encoded: bytes) -> np.ndarray | None:
    try:
        return decode(tf.constant(encoded)).numpy()
    except (tf.errors.InvalidArgumentError, tf.errors.CancelledError):
        return (
            None  # Cancelled: of operations that ran at once one failed, and another is reported.
        )


def read(encoded: bytes) -> str | None:
    served = serve(encoded)
    try:
        stored = images.check(encoded)
    except images.UnusableImageError as error:
        return None if "\n" not in str(error) else f"a reason of several lines: {error}"
    trained = serve(stored)
    if trained is None:
        return "accepted by the check, but not decoded"
    if served is not None and not np.array_equal(served, trained):
        return f"trained as {trained.shape}, served as {served.shape}, or with other pixels"
    with contextlib.suppress(images.UnusableImageError):  # The Deduplicator leaves it to the check.
        thumbnails.make_thumbnail(encoded, 8)
    return ""


if __name__ == "__main__":
    for original in originals(sys.argv[1]):
        assert read(original) == "", original[:20]
    mutations.report(mutated(sys.argv[1], int(sys.argv[2])), read)
