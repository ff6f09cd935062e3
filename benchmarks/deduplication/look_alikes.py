# SPDX-License-Identifier: Apache-2.0
"""Sets of different images that look alike; no two of a set are copies of one image."""

from __future__ import annotations

import io
import string
from collections.abc import Callable, Iterator

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

_LETTERS = list(string.ascii_lowercase + "     ")


def make_sets(number: int, seed: int = 0) -> Iterator[tuple[str, list[bytes]]]:
    """Yields (name, PNG or JPEG bytes of `number` images) of each kind of set."""
    for index, (name, draw) in enumerate(_SETS.items()):
        images = [draw(np.random.default_rng([seed, index, item])) for item in range(number)]
        yield name, [_encode(image) for image in images]


def _encode(image: Image.Image) -> bytes:
    file = io.BytesIO()
    if image.mode == "RGBA":
        image.save(file, "PNG")
    else:
        image.convert("RGB").save(file, "JPEG", quality=90)
    return file.getvalue()


def _words(rng: np.random.Generator, length: int) -> str:
    return "".join(rng.choice(_LETTERS, length))


def _receipt(rng: np.random.Generator) -> Image.Image:
    page = Image.new("L", (300, 560), int(rng.integers(240, 256)))
    draw = ImageDraw.Draw(page)
    draw.rectangle((90, 20, 210, 60), fill=40)
    draw.text((100, 70), "CORNER SHOP 12", fill=0)
    for row in range(int(rng.integers(12, 20))):
        draw.text((20, 110 + 20 * row), _words(rng, 18), fill=0)
        draw.text((240, 110 + 20 * row), f"{rng.uniform(0, 99):5.2f}", fill=0)
    draw.text((20, 520), f"TOTAL {rng.uniform(10, 300):.2f}", fill=0)
    return page


def _form(rng: np.random.Generator) -> Image.Image:
    page = Image.new("RGB", (400, 520), "white")
    draw = ImageDraw.Draw(page)
    draw.rectangle((0, 0, 400, 50), fill=(30, 70, 140))
    for row in range(10):
        y = 70 + 43 * row
        draw.rectangle((20, y, 380, y + 34), outline="gray")
        draw.text((25, y + 2), f"Field {row}", fill="gray")
        draw.text((120, y + 14), _words(rng, int(rng.integers(5, 30))), fill="black")
    return page


def _letter(rng: np.random.Generator) -> Image.Image:
    page = Image.new("L", (420, 594), 255)
    draw = ImageDraw.Draw(page)
    draw.text((40, 30), "Example & Company", fill=0)
    for row in range(int(rng.integers(18, 24))):
        draw.text((40, 120 + 18 * row), _words(rng, 55), fill=0)
    return page


def _screenshot(rng: np.random.Generator) -> Image.Image:
    page = Image.new("RGB", (640, 400), (245, 245, 245))
    draw = ImageDraw.Draw(page)
    draw.rectangle((0, 0, 640, 30), fill=(50, 50, 60))
    draw.rectangle((0, 30, 140, 400), fill=(220, 225, 235))
    for row in range(8):
        draw.text((15, 45 + 30 * row), f"Menu entry {row}", fill=(60, 60, 60))
    for row in range(16):
        draw.text((160, 45 + 21 * row), _words(rng, int(rng.integers(20, 70))), fill=(20, 20, 20))
    return page


def _board(rng: np.random.Generator) -> Image.Image:
    """A circuit board: the same parts, photographed with other light and with other defects."""
    fixed = np.random.default_rng(7)
    page = Image.new("RGB", (320, 320), (20, 90, 50))
    draw = ImageDraw.Draw(page)
    defect = int(rng.integers(60))
    for part in range(60):
        x, y, width, height = fixed.integers([0, 0, 8, 8], [290, 290, 40, 26])
        level = int(fixed.integers(20, 230))
        dx, dy = rng.normal(0, 0.7, 2)
        if part != defect:
            box = (x + dx, y + dy, x + dx + width, y + dy + height)
            draw.rectangle(box, fill=(level, level, level))
    angle, shift = rng.normal(0, 0.7), rng.normal(0, 3, 2)
    page = page.rotate(angle, Image.Resampling.BICUBIC, translate=tuple(shift))
    return _noisy(page, rng, 6, rng.uniform(0.85, 1.15))


def _radiograph(rng: np.random.Generator) -> Image.Image:
    y, x = np.mgrid[-1:1:320j, -1:1:320j]
    size, middle = rng.normal(1, 0.05, 2), rng.normal(0, 0.04, 2)
    body = np.exp(-(((x - middle[0]) / 0.85) ** 4) - ((y - middle[1]) / 1.1) ** 4) * 150
    for side in (-0.38, 0.38):
        width, height = 0.27 * size[0], 0.55 * size[1] * rng.normal(1, 0.03)
        lung = ((x - middle[0] - side * size[0]) / width) ** 2 + ((y - middle[1]) / height) ** 2
        body -= 90 * np.exp(-(lung**2))
    body += 18 * np.sin(18 * (y - 0.25 * x**2) * size[1] + rng.uniform(0, 6))
    body += 60 * np.exp(-(((x - middle[0]) / 0.08) ** 2))
    page = Image.fromarray(np.clip(body + 20, 0, 255).astype(np.uint8))
    return _noisy(page.filter(ImageFilter.GaussianBlur(2)), rng, 4)


def _microscopy(rng: np.random.Generator) -> Image.Image:
    page = Image.new("RGB", (320, 320), (225, 205, 220))
    draw = ImageDraw.Draw(page)
    for _ in range(int(rng.integers(25, 45))):
        x, y, radius = rng.uniform(0, 320), rng.uniform(0, 320), rng.uniform(8, 20)
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=(190, 140, 180))
        draw.ellipse((x - 5, y - 5, x + 5, y + 5), fill=(100, 50, 120))
    return _noisy(page.filter(ImageFilter.GaussianBlur(1.5)), rng, 3)


def _plate(rng: np.random.Generator) -> Image.Image:
    page = Image.new("RGB", (260, 60), "white")
    draw = ImageDraw.Draw(page)
    draw.rectangle((0, 0, 20, 60), fill=(0, 50, 160))
    draw.rectangle((0, 0, 259, 59), outline="black", width=3)
    text = Image.new("L", (60, 12), 255)
    ImageDraw.Draw(text).text((0, 0), _plate_text(rng), fill=0)
    page.paste(text.resize((225, 46)), (28, 8))
    return _noisy(page, rng, 4, rng.uniform(0.8, 1))


def _plate_text(rng: np.random.Generator) -> str:
    letters = "".join(rng.choice(list(string.ascii_uppercase), 4))
    return f"{letters[:2]} {letters[2:]} {rng.integers(100, 1000)}"


def _blank(rng: np.random.Generator) -> Image.Image:
    page = Image.new("L", (300, 400), int(rng.integers(225, 256)))
    return _noisy(page, rng, rng.uniform(0.5, 3))


def _solid(rng: np.random.Generator) -> Image.Image:
    return Image.new("RGB", (200, 200), tuple(int(value) for value in rng.integers(0, 256, 3)))


def _scene(rng: np.random.Generator, size: tuple[int, int] = (320, 240)) -> Image.Image:
    """A random scene of smooth shapes with texture."""
    small = rng.integers(0, 256, (6, 8, 3), np.uint8)
    page = Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(page)
    for _ in range(12):
        x, y, width, height = rng.uniform(0, 1, 4) * [size[0], size[1], 90, 90]
        color = tuple(int(value) for value in rng.integers(0, 256, 3))
        draw.ellipse((x, y, x + width, y + height), fill=color)
    return _noisy(page, rng, 8)


def _framed(rng: np.random.Generator) -> Image.Image:
    page = Image.new("RGB", (400, 320), (120, 20, 30))
    draw = ImageDraw.Draw(page)
    for x in range(0, 400, 20):
        draw.ellipse((x, 5, x + 12, 17), fill="gold")
        draw.ellipse((x, 303, x + 12, 315), fill="gold")
    page.paste(_scene(rng), (40, 40))
    return page


def _watermarked(rng: np.random.Generator) -> Image.Image:
    page = _scene(rng)
    draw = ImageDraw.Draw(page)
    for y in range(10, 240, 40):
        draw.text((30 + y, y), "STOCK PHOTOS  STOCK PHOTOS", fill="white")
    return page


def _drawing(rng: np.random.Generator) -> Image.Image:
    page = Image.new("L", (240, 240), 255)
    draw = ImageDraw.Draw(page)
    points = rng.uniform(20, 220, (int(rng.integers(4, 8)), 2))
    draw.line([tuple(point) for point in points], fill=0, width=6)
    return page


def _sky(rng: np.random.Generator) -> Image.Image:
    """Sky over sea with a small ship."""
    y = np.linspace(0, 1, 240)[:, None, None] * np.ones((1, 320, 1))
    horizon = rng.uniform(0.5, 0.65)
    sky = np.array([90, 150, 220]) + y * 90 + rng.normal(0, 8, 3)
    sea = np.array([20, 60, 110]) + rng.normal(0, 8, 3)
    page = Image.fromarray(np.clip(np.where(y < horizon, sky, sea), 0, 255).astype(np.uint8))
    x, height, width = rng.uniform(60, 240), rng.uniform(6, 16), rng.uniform(20, 60)
    top = horizon * 240 - height
    ImageDraw.Draw(page).rectangle((x, top, x + width, top + height), fill=(60, 55, 50))
    return _noisy(page, rng, 4)


def _icon(rng: np.random.Generator) -> Image.Image:
    page = Image.new("RGBA", (128, 128), (0, 0, 0, 0))
    draw = ImageDraw.Draw(page)
    draw.ellipse((8, 8, 120, 120), fill=(40, 110, 200, 255))
    for _ in range(3):
        x, y = rng.integers(30, 80, 2).tolist()
        width, height = rng.integers(6, 34, 2).tolist()
        draw.rectangle((x, y, x + width, y + height), fill=(255, 255, 255, 255))
    return page


def _noisy(
    page: Image.Image, rng: np.random.Generator, deviation: float, gain: float = 1
) -> Image.Image:
    pixels = np.asarray(page, np.float32) * gain
    noise = rng.normal(0, deviation, pixels.shape)
    return Image.fromarray(np.clip(pixels + noise, 0, 255).astype(np.uint8))


_SETS: dict[str, Callable[[np.random.Generator], Image.Image]] = {
    "receipts": _receipt,
    "forms": _form,
    "letters": _letter,
    "screenshots": _screenshot,
    "circuit boards": _board,
    "radiographs": _radiograph,
    "microscopy": _microscopy,
    "number plates": _plate,
    "blank scans": _blank,
    "solid colors": _solid,
    "same frame": _framed,
    "same watermark": _watermarked,
    "line drawings": _drawing,
    "sky and sea": _sky,
    "icons": _icon,
}
