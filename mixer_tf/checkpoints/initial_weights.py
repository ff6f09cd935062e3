# SPDX-License-Identifier: Apache-2.0
"""The state of the initial weights of a recipe: which files they are. No TensorFlow."""

from __future__ import annotations

import hashlib
import os

from mixer_tf.datasets import files
from mixer_tf.serving import locations


def weights_state(weights: str | None) -> str | None:
    """Returns a text that changes when the files of initial weights do, by their sizes and times.

    A training that starts from the files of an earlier one is another training once those have
    been replaced.

    Args:
        weights: `model.weights` of a recipe.

    Returns:
        16 hexadecimal digits; None without weights, and where the name says which they are, as that
        of published ones.
    """
    path = os.path.expanduser(weights or "")
    if not weights or not os.path.exists(path):
        return None
    if os.path.isdir(path):
        try:
            path = locations.resolve_saved_model(path)
        except ValueError:  # not a model, which is an error where the weights are read
            return None
    return hashlib.sha256(files.tree_signature(path).encode("utf-8", "replace")).hexdigest()[:16]
