# SPDX-License-Identifier: Apache-2.0
"""Preprocessor: reads each image once, and writes what the trainer can rely on."""

from components.preprocessor.component import Preprocessor

__all__ = ["Preprocessor"]
