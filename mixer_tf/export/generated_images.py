# SPDX-License-Identifier: Apache-2.0
"""Image files for the checks of a served model: every format and kind that training accepts."""

from __future__ import annotations

import io
import itertools
import struct
import zlib
from collections.abc import Callable, Iterator

import numpy as np
from PIL import Image, features

_ROTATED = 0x0112, 6  # the EXIF orientation of a phone that is held upright


def generate(count: int, seed: int = 0) -> Iterator[tuple[str, bytes]]:
    """Yields (kind, file), such as ("PNG with a palette", …); all kinds in turn.

    Args:
        count: the number of images.
        seed: random seed of their pixels and sizes.
    """
    random = np.random.default_rng(seed)
    kinds = itertools.cycle(_available().items())
    for kind, write in itertools.islice(kinds, count):
        yield kind, write(_make_image(random))


def bomb(side: int = 20_000) -> bytes:
    """Returns a valid PNG of a few kilobytes that states `side` x `side` pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes((side // 8 + 1) * side), 9)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        [chunk(b"IHDR", header), chunk(b"IDAT", rows), chunk(b"IEND", b"")]
    )


def scan_bomb(scans: int = 2_000) -> bytes:
    """Returns a progressive JPEG of 64x64 pixels that has more scans than `scans`."""
    image = _save(Image.new("RGB", (64, 64), (10, 200, 30)), "JPEG", progressive=True)
    content, end = image[:-2], image[-2:]
    last = content[content.rfind(b"\xff\xc4", 0, content.rfind(b"\xff\xda")) :]
    return content + scans * last + end


def _make_image(random: np.random.Generator) -> Image.Image:
    """Returns a smooth random image of a random size, with an edge and some noise."""
    width, height = (int(side) for side in random.integers(20, 90, 2))
    small = random.integers(0, 256, (4, 4, 3), dtype=np.uint8)
    image = np.array(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))
    image[: height // 3, : width // 2] = random.integers(0, 256, 3)
    noise = random.integers(-8, 9, image.shape)
    return Image.fromarray(np.clip(image + noise, 0, 255).astype(np.uint8))


def _save(image: Image.Image, image_format: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, image_format, **options)
    return file.getvalue()


def _rotated(image: Image.Image) -> bytes:
    exif = Image.Exif()
    exif[_ROTATED[0]] = _ROTATED[1]
    return _save(image, "JPEG", exif=exif)


def _with_alpha(image: Image.Image) -> Image.Image:
    alpha = Image.linear_gradient("L").resize(image.size)
    result = image.convert("RGBA")
    result.putalpha(alpha)
    return result


def _with_16_bits(image: Image.Image) -> Image.Image:
    return Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)


def _transparent_gif(image: Image.Image) -> bytes:
    return _save(image.quantize(64), "GIF", transparency=3)


def _animated_gif(image: Image.Image) -> bytes:
    frames = [image.rotate(90), image.rotate(180)]
    return _save(image, "GIF", save_all=True, append_images=frames)


def _available() -> dict[str, Callable[[Image.Image], bytes]]:
    """Returns kind -> writer, for what this build of PIL can write."""
    kinds = {
        "JPEG": lambda image: _save(image, "JPEG", quality=90),
        "progressive JPEG": lambda image: _save(image, "JPEG", progressive=True),
        "gray JPEG": lambda image: _save(image.convert("L"), "JPEG"),
        "CMYK JPEG": lambda image: _save(image.convert("CMYK"), "JPEG"),
        "rotated JPEG": _rotated,
        "PNG": lambda image: _save(image, "PNG"),
        "gray PNG": lambda image: _save(image.convert("L"), "PNG"),
        "PNG with a palette": lambda image: _save(image.quantize(64), "PNG"),
        "transparent PNG": lambda image: _save(_with_alpha(image), "PNG"),
        "16-bit PNG": lambda image: _save(_with_16_bits(image), "PNG"),
        "GIF": lambda image: _save(image, "GIF"),
        "transparent GIF": _transparent_gif,
        "animated GIF": _animated_gif,
        "BMP": lambda image: _save(image, "BMP"),
        "BMP with a palette": lambda image: _save(image.quantize(64), "BMP"),
        "TIFF": lambda image: _save(image, "TIFF"),
        "PPM": lambda image: _save(image, "PPM"),
    }
    if features.check("webp"):
        kinds["WebP"] = lambda image: _save(image, "WEBP", quality=90)
    return kinds
