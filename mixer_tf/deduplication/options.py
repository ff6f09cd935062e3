# SPDX-License-Identifier: Apache-2.0
"""The options of deduplication, with one home for the library, the component and its callers."""

from __future__ import annotations

import dataclasses

from mixer_tf.deduplication.modes import MIN_THRESHOLD, MODES, REMOVE
from mixer_tf.deduplication.thresholds import DUPLICATE


@dataclasses.dataclass(frozen=True)
class DeduplicationOptions:
    """What counts as a duplicate, and what is done about it.

    Attributes:
        threshold: similarity, 0.2 to 1, from which two photographs are duplicates. The stricter
            thresholds of `thresholds` (grayscale, small images, uniform sets) are never below it.
        within_train: whether training images are also compared with one another, so that one of
            several duplicates is kept.
        mode: "remove" removes duplicates from training, and images of the evaluation split that
            are duplicates of test images; "mark" writes into the evaluation and test images of
            Examples which training image they are a duplicate of; "report" only lists them.
        keep: paths or ids of images that are never removed, as the report shows them; see
            `kept_images.read`.
    """

    threshold: float = DUPLICATE
    within_train: bool = False
    mode: str = REMOVE
    keep: frozenset[str] = frozenset()

    def __post_init__(self):
        if not MIN_THRESHOLD <= self.threshold <= 1:
            raise ValueError(
                f"threshold must be between {MIN_THRESHOLD} and 1; got threshold={self.threshold}. "
                f"Use {DUPLICATE}, or more to find fewer false duplicates."
            )
        if self.mode not in MODES:
            raise ValueError(f"mode must be one of {', '.join(MODES)}; got mode={self.mode!r}.")
