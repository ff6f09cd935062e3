# SPDX-License-Identifier: Apache-2.0
"""Deduplicator: removes training images that are duplicates of evaluation or test images.

The component is imported on first use, so that Beam's workers, which need only `transforms`, do not
import TFX.
"""

__all__ = ["Deduplicator"]


def __getattr__(name: str):
    if name != "Deduplicator":
        raise AttributeError(f"module {__name__} has no attribute {name!r}; it has {__all__}")
    from components.deduplicator.component import Deduplicator

    return Deduplicator
