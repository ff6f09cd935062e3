# SPDX-License-Identifier: Apache-2.0
"""The field of a recipe that the Preprocessor reads too, so that no later step can change it."""

FIXED = "data.train_shorter_side"
