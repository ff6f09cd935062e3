# SPDX-License-Identifier: Apache-2.0
"""Plots of the filters of a Mixer in training, as arrays; and PNG files."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from mixer_tf import storage
from mixer_tf.models.mixer_config import MixerConfig
from mixer_tf.visualization import filters

if TYPE_CHECKING:
    import tensorflow as tf

_NUM_BLOCKS = 3  # as in the paper's Figure 5


def plot_model_filters(
    model: tf.keras.Model, num_blocks: int = _NUM_BLOCKS
) -> dict[str, np.ndarray]:
    """Returns the filter plots of a model by name, uint8 [height, width, 3] each.

    Blocks whose input tokens are not patches (in a pyramid) are left out.

    Args:
        model: a Mixer; any other model has no filter plots.
        num_blocks: how many blocks to plot, beginning with the first.
    """
    config = getattr(model, "config", None)
    if not isinstance(config, MixerConfig):
        return {}
    plots = {"stem": filters.plot_stem(model.get_layer("stem").kernel.numpy())}
    for block in range(min(num_blocks, config.num_blocks)):
        tokens_in, _ = config.tokens(block)
        if tokens_in == config.num_tokens:
            kernel = model.get_layer(f"MixerBlock_{block}").token_mixing.dense_0.kernel.numpy()
            plots[f"token_mixing_{block}"] = filters.plot_token_mixing(kernel, config.grid)
    return plots


def write_png(plot: np.ndarray, path: str) -> str:
    """Writes a plot, uint8 [height, width, 3], and its folder, and returns the path."""
    from PIL import Image

    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with storage.replacing(path) as partial:
        Image.fromarray(plot).save(partial, format="PNG")
    return path
