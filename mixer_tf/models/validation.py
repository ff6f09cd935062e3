# SPDX-License-Identifier: Apache-2.0
"""Validation of fields that the configurations of several families have. No TensorFlow."""

from __future__ import annotations

import math
import numbers

# Far above the largest published models: anything larger is a slip or a corrupt file.
MAX_SIZE = 1 << 24
MAX_SIDE = 10_000
_MAX_SHOWN = 60
_MAX = {"num_blocks": 10_000, "num_units": 10_000}


def height_and_width(image_size) -> tuple[int, int]:
    """Returns (height, width) in pixels; one integer is the side of a square."""
    sides = tuple(image_size) if isinstance(image_size, (tuple, list)) else (image_size,) * 2
    if len(sides) != 2:
        raise ValueError(f"image_size must be one integer or (height, width); got {image_size!r}.")
    for side in sides:
        check_integer("image_size", side, at_least=1, at_most=MAX_SIDE)
    return sides


def check_integer(field: str, value, at_least: int, at_most: int | None = None) -> None:
    """Raises TypeError or ValueError unless `value` is an integer in [at_least, at_most].

    Without `at_most`, the limit is far above that of any model.
    """
    if not isinstance(value, numbers.Integral) or isinstance(value, bool):
        raise TypeError(f"{field} must be an integer; got {value!r}.")
    if value < at_least:
        raise ValueError(f"{field} must be at least {at_least}; got {value}.")
    at_most = at_most or _MAX.get(field, MAX_SIZE)
    if value > at_most:
        raise ValueError(f"{field} must be at most {at_most:,}; got {shown(value)}.")


def shown(value) -> str:
    """Returns the `repr` of a value, cut if it is long, such as a number of a hundred digits."""
    try:
        text = repr(value)
    except ValueError:  # Python does not print integers of thousands of digits.
        return f"a number of {value.bit_length():,} bits"
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"


def check_rate(field: str, value) -> None:
    """Raises TypeError or ValueError unless `value` is a number in [0, 1)."""
    if not isinstance(value, numbers.Real):
        raise TypeError(f"{field} must be a number; got {value!r}.")
    if not 0 <= value < 1:
        raise ValueError(f"{field} must be at least 0 and less than 1; got {value}.")


def check_patches(patch_size: int, image_size: tuple[int, int]) -> None:
    """Raises ValueError unless `patch_size` divides both sides of the image."""
    if all(side % patch_size == 0 for side in image_size):
        return
    images = [
        tuple(side // patch_size * patch_size for side in image_size),
        tuple(-(-side // patch_size) * patch_size for side in image_size),
    ]
    raise ValueError(
        f"patch_size must divide image_size; got patch_size={patch_size}, "
        f"image_size={_size_text(image_size)}. "
        f"Use patch_size {nearest_divisors(math.gcd(*image_size), patch_size)}, "
        f"or image_size {' or '.join(_size_text(i) for i in images if all(i))}."
    )


def nearest_divisors(number: int, near: int) -> str:
    """Returns the divisors of `number` just below and above `near`, such as "14 or 16"."""
    divisors = [d for d in range(1, number + 1) if number % d == 0]
    below = [str(d) for d in divisors if d < near][-1:]
    above = [str(d) for d in divisors if d > near][:1]
    return " or ".join(below + above)


def _size_text(image_size: tuple[int, int]) -> str:
    height, width = image_size
    return str(height) if height == width else str(image_size)
