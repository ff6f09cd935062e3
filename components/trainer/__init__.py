# SPDX-License-Identifier: Apache-2.0
"""Trainer: the entry point that TFX's own component calls."""
