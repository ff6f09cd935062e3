# SPDX-License-Identifier: Apache-2.0
"""Copies of photographs as they happen: re-encoded, resized, edited, cropped, framed, combined."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable, Iterator

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

Edit = Callable[[Image.Image, np.random.Generator], Image.Image]

_GROUPS = ("crop", "border", "letterbox", "rotation", "combination", "turned")


def group_of(kind: str) -> str:
    """Returns the group of a kind, such as "all: crop"; re-encodings and edits are one group."""
    return next((f"all: {name}" for name in _GROUPS if kind.startswith(name)), "all: edit")


def make_copies(image: Image.Image, seed: int) -> Iterator[tuple[str, bytes]]:
    """Yields (kind, encoded bytes) of one copy of each kind.

    Args:
        image: the original, RGB.
        seed: seed of everything that is random; equal seeds give equal copies.
    """
    for index, (kind, (edit, file_format, options)) in enumerate(_KINDS.items()):
        rng = np.random.default_rng([seed, index])
        yield kind, _encode(edit(image.copy(), rng), file_format, **options)


def _encode(image: Image.Image, file_format: str = "JPEG", **options) -> bytes:
    file = io.BytesIO()
    image.save(file, file_format, **(options or ({"quality": 90} if file_format == "JPEG" else {})))
    return file.getvalue()


def _resize(scale: float, image: Image.Image, rng=None) -> Image.Image:
    size = [max(1, round(side * scale)) for side in image.size]
    return image.resize(size, Image.Resampling.BICUBIC)


def _enhance(kind: type, factor: float, image: Image.Image, rng=None) -> Image.Image:
    return kind(image).enhance(factor)


def _gamma(gamma: float, image: Image.Image, rng=None) -> Image.Image:
    return image.point([round(255 * (value / 255) ** gamma) for value in range(256)] * 3)


def _noise(deviation: float, image: Image.Image, rng: np.random.Generator) -> Image.Image:
    pixels = np.asarray(image, np.float32)
    return Image.fromarray(
        np.clip(pixels + rng.normal(0, deviation, pixels.shape), 0, 255).astype(np.uint8)
    )


def _crop(fraction: float, image: Image.Image, rng=None) -> Image.Image:
    width, height = image.size
    x, y = round(fraction * width), round(fraction * height)
    return image.crop((x, y, width - x, height - y))


def _crop_randomly(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    width, height = image.size
    left, top, right, bottom = rng.uniform(0, 0.2, 4) * [width, height, width, height]
    return image.crop((round(left), round(top), round(width - right), round(height - bottom)))


def _crop_one_side(fraction: float, image: Image.Image, rng: np.random.Generator) -> Image.Image:
    width, height = image.size
    box = [0, 0, width, height]
    side = int(rng.integers(4))
    box[side] += round((1 if side < 2 else -1) * fraction * (width, height)[side % 2])
    return image.crop(tuple(box))


def _border(fraction: float, color: str, image: Image.Image, rng=None) -> Image.Image:
    width, height = image.size
    margin = round(fraction * min(width, height))
    framed = Image.new("RGB", (width + 2 * margin, height + 2 * margin), color)
    framed.paste(image, (margin, margin))
    return framed


def _letterbox(ratio: float, image: Image.Image, rng=None) -> Image.Image:
    """Black bars that bring the image to an aspect ratio."""
    width, height = image.size
    size = (max(width, round(height * ratio)), max(height, round(width / ratio)))
    boxed = Image.new("RGB", size, "black")
    boxed.paste(image, ((size[0] - width) // 2, (size[1] - height) // 2))
    return boxed


def _rotate(
    degrees: float, image: Image.Image, rng=None, fill: str | None = "black"
) -> Image.Image:
    if fill:
        return image.rotate(degrees, Image.Resampling.BICUBIC, fillcolor=fill)
    rotated = image.rotate(degrees, Image.Resampling.BICUBIC)
    return _crop(abs(np.sin(np.radians(degrees))) * 0.6, rotated)


def _caption(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    width, height = image.size
    draw = ImageDraw.Draw(image)
    top = round(height * 0.9)
    draw.rectangle((0, top, width, height), fill="black")
    draw.text((width // 10, top + height // 40), "A caption of some words", fill="white")
    return image


def _logo(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    width, height = image.size
    side = round(0.15 * min(width, height))
    color = tuple(int(value) for value in rng.integers(0, 256, 3))
    ImageDraw.Draw(image).ellipse((width - side - 5, 5, width - 5, side + 5), fill=color)
    return image


def _watermark(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    layer = image.copy()
    draw = ImageDraw.Draw(layer)
    width, height = image.size
    for y in range(0, height, max(20, height // 6)):
        draw.text((width // 4, y), "PREVIEW  PREVIEW  PREVIEW", fill="white")
    return Image.blend(image, layer, 0.5)


def _meme(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """A white band with text above the image."""
    width, height = image.size
    band = round(height * rng.uniform(0.1, 0.2))
    page = Image.new("RGB", (width, height + band), "white")
    page.paste(image, (0, band))
    ImageDraw.Draw(page).text((width // 10, band // 3), "when the picture is funny", fill="black")
    return page


def _chain(*edits: Edit) -> Edit:
    def edit(image, rng):
        for step in edits:
            image = step(image, rng)
        return image

    return edit


def _jpeg(quality: int, image: Image.Image, rng=None) -> Image.Image:
    return Image.open(io.BytesIO(_encode(image, quality=quality))).convert("RGB")


def _mirror(image: Image.Image, rng=None) -> Image.Image:
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def _gray(image: Image.Image, rng=None) -> Image.Image:
    return image.convert("L").convert("RGB")


def _blur(radius: float, image: Image.Image, rng=None) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(radius))


def _turn(degrees: int, image: Image.Image, rng=None) -> Image.Image:
    return image.rotate(degrees, expand=True)


def _same(image: Image.Image, rng=None) -> Image.Image:
    return image


_of = functools.partial
_EDITS: dict[str, Edit] = {
    "resize 0.25": _of(_resize, 0.25),
    "resize 0.5": _of(_resize, 0.5),
    "resize 1.5": _of(_resize, 1.5),
    "mirror": _mirror,
    "grayscale": _gray,
    "brightness 0.7": _of(_enhance, ImageEnhance.Brightness, 0.7),
    "brightness 1.3": _of(_enhance, ImageEnhance.Brightness, 1.3),
    "contrast 0.6": _of(_enhance, ImageEnhance.Contrast, 0.6),
    "contrast 1.5": _of(_enhance, ImageEnhance.Contrast, 1.5),
    "gamma 0.7": _of(_gamma, 0.7),
    "gamma 1.5": _of(_gamma, 1.5),
    "saturation 0.4": _of(_enhance, ImageEnhance.Color, 0.4),
    "saturation 1.8": _of(_enhance, ImageEnhance.Color, 1.8),
    "caption": _caption,
    "logo": _logo,
    "watermark": _watermark,
    "blur 1": _of(_blur, 1),
    "blur 3": _of(_blur, 3),
    "noise 5": _of(_noise, 5),
    "noise 15": _of(_noise, 15),
    "crop 5 %": _of(_crop, 0.05),
    "crop 10 %": _of(_crop, 0.10),
    "crop 15 %": _of(_crop, 0.15),
    "crop 20 %": _of(_crop, 0.20),
    "crop of random sides": _crop_randomly,
    "crop of one side, 20 %": _of(_crop_one_side, 0.2),
    "border white 5 %": _of(_border, 0.05, "white"),
    "border black 10 %": _of(_border, 0.10, "black"),
    "border red 15 %": _of(_border, 0.15, "#b02020"),
    "letterbox 16:9": _of(_letterbox, 16 / 9),
    "letterbox 1:1": _of(_letterbox, 1.0),
    "rotation 2": _of(_rotate, 2),
    "rotation 5": _of(_rotate, 5),
    "rotation 5, cropped": _of(_rotate, 5, fill=None),
    "combination: crop, resize, JPEG 60": _chain(_crop_randomly, _of(_resize, 0.6), _of(_jpeg, 60)),
    "combination: mirror, brightness, JPEG": _chain(
        _mirror, _of(_enhance, ImageEnhance.Brightness, 1.2), _of(_jpeg, 60)
    ),
    "combination: grayscale, crop, JPEG": _chain(_gray, _of(_crop, 0.08), _of(_jpeg, 50)),
    "combination: meme": _chain(_meme, _of(_resize, 0.7), _of(_jpeg, 70)),
    "combination: border, saturation, JPEG": _chain(
        _of(_border, 0.04, "white"), _of(_enhance, ImageEnhance.Color, 1.4), _of(_jpeg, 70)
    ),
    "combination: mirror, crop, caption": _chain(_mirror, _of(_crop, 0.1), _caption),
    "combination: rotation, crop, contrast": _chain(
        _of(_rotate, 3, fill=None), _of(_enhance, ImageEnhance.Contrast, 1.3)
    ),
    "turned 90": _of(_turn, 90),
    "turned 180": _of(_turn, 180),
    "turned 270": _of(_turn, 270),
}
_KINDS: dict[str, tuple[Edit, str, dict]] = {
    **{f"JPEG {quality}": (_same, "JPEG", {"quality": quality}) for quality in (90, 50, 20)},
    "PNG": (_same, "PNG", {}),
    "WebP": (_same, "WEBP", {"quality": 60}),
    "GIF": (_same, "GIF", {}),
    **{kind: (edit, "JPEG", {}) for kind, edit in _EDITS.items()},
}
