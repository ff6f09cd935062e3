# SPDX-License-Identifier: Apache-2.0
"""Sources of images: one module per kind, and `opening` above them."""

from __future__ import annotations

from mixer_tf import lazy_attributes

__getattr__, __dir__, __all__ = lazy_attributes.attach(
    __name__, {"Source": "source", "open_source": "opening"}
)
