# SPDX-License-Identifier: Apache-2.0
"""ImageStatistics: measures the images of every split, and finds anomalies.

The component is imported on first use, so that Beam's workers, which need only `transforms`, do not
import TFX.
"""

__all__ = ["ImageStatistics"]


def __getattr__(name: str):
    if name != "ImageStatistics":
        raise AttributeError(f"module {__name__} has no attribute {name!r}; it has {__all__}")
    from components.image_statistics.component import ImageStatistics

    return ImageStatistics
