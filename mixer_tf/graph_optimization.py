# SPDX-License-Identifier: Apache-2.0
"""TensorFlow's optimizer of graphs, Grappler, which takes longer than it saves for a few calls."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from mixer_tf.lean_imports import import_tensorflow

_OPTION = "disable_meta_optimizer"


@contextlib.contextmanager
def graphs_as_written() -> Iterator[None]:
    """Within the block, graphs that run for the first time run as they are written."""
    optimizer = import_tensorflow().config.optimizer
    optimizer.set_experimental_options({_OPTION: True})
    try:
        yield
    finally:  # graphs that run afterwards would keep it
        optimizer.set_experimental_options({_OPTION: False})
