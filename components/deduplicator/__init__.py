# SPDX-License-Identifier: Apache-2.0
"""Deduplicator: no training image is a copy of an image that the model is tested with.

The component is imported on first use, so that Beam's workers, which need the modules of this
package only, do not wait for TFX.
"""

__all__ = ["Deduplicator"]


def __getattr__(name: str):
    if name != "Deduplicator":
        raise AttributeError(f"module {__name__} has no attribute {name!r}; it has {__all__}")
    from components.deduplicator.component import Deduplicator

    return Deduplicator
