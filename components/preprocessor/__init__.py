# SPDX-License-Identifier: Apache-2.0
"""Preprocessor: decodes each image once, and writes checked, shuffled shards for training."""

from components.preprocessor.component import Preprocessor

__all__ = ["Preprocessor"]
