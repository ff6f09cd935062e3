# SPDX-License-Identifier: Apache-2.0
"""Augmentation of training images; every draw depends on a stateless seed only."""
