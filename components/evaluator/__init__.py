# SPDX-License-Identifier: Apache-2.0
"""Evaluator: that of TFX, which also writes a page of its results."""

from components.evaluator.component import Evaluator

__all__ = ["Evaluator"]
