# SPDX-License-Identifier: Apache-2.0
"""Reads "stem=0.1,MixerBlock_*=0.1": patterns of layers, each with a factor."""

from __future__ import annotations

import math


def parse(text: str) -> dict[str, float]:
    """Returns pattern -> factor, in the order of the text.

    Args:
        text: "pattern=factor" items, separated by commas; empty for none.

    Raises:
        ValueError: an item has no pattern or no number, or a pattern is there twice.
    """
    found = {}
    for item in filter(None, map(str.strip, text.split(","))):
        pattern, _, factor = map(str.strip, item.rpartition("="))
        if not pattern or pattern in found:
            raise ValueError(f"each item must be a pattern and its factor, once; got {item!r}.")
        found[pattern] = float(factor)
    return found


def is_valid(text: str, most: float) -> bool:
    """Whether a text has at least one item, and all factors are numbers in [0, most]."""
    try:
        factors = parse(text).values()
    except ValueError:
        return False
    return bool(factors) and all(math.isfinite(f) and 0 <= f <= most for f in factors)
