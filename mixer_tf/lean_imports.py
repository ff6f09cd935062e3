# SPDX-License-Identifier: Apache-2.0
"""Imports TensorFlow for short commands, without packages that it imports only where they exist."""

from __future__ import annotations

import sys

# A third of the import's time. TFLite converts functions of JAX, Keras trains on data frames of
# pandas, and cluster resolvers ask Google Cloud; each does without where the package is missing.
_OPTIONAL = ("jax", "pandas", "googleapiclient", "keras")


def import_tensorflow():
    """Returns TensorFlow; where this process has imported it already, it is as it was.

    In this process, it cannot use data frames, nor find a TPU of Google Cloud by its name.
    Everything else can import the packages afterwards.
    """
    missing = [name for name in _OPTIONAL if name not in sys.modules]
    sys.modules.update(dict.fromkeys(missing))  # None makes an import fail
    try:
        import tensorflow
    finally:
        for name in missing:
            del sys.modules[name]
    return tensorflow
