# SPDX-License-Identifier: Apache-2.0
"""Trainer: trains the model of a recipe and exports it."""

from components.trainer.component import Trainer

__all__ = ["Trainer"]
