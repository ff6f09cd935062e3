# SPDX-License-Identifier: Apache-2.0
"""Tuner: searches for the hyperparameters that the Trainer then trains with."""

from components.tuner.component import Tuner

__all__ = ["Tuner"]
