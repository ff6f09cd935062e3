# SPDX-License-Identifier: Apache-2.0
"""ImageExampleGen: any source of images becomes Examples of encoded bytes."""

from components.image_example_gen.component import ImageExampleGen

__all__ = ["ImageExampleGen"]
