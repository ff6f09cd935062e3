# SPDX-License-Identifier: Apache-2.0
"""Measures trained models on images with known classes."""
