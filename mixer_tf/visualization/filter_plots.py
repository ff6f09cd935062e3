# SPDX-License-Identifier: Apache-2.0
"""Plots of a Mixer's filters: of a checkpoint as PNG files, of a model as arrays."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mixer_tf.checkpoints.lazy_arrays import LazyArrays
from mixer_tf.checkpoints.opening import open_checkpoint
from mixer_tf.models.mixer_config import MixerConfig
from mixer_tf.visualization import filters

if TYPE_CHECKING:
    import tensorflow as tf

STEM_KERNEL = "stem/kernel"
_NUM_BLOCKS = 3  # as in the paper's Figure 5
_TOKEN_KERNEL = re.compile(r"MixerBlock_(\d+)/token_mixing/Dense_0/kernel")


def token_kernel(block: int) -> str:
    """Returns the name of the kernel of a block's first token-mixing layer in a checkpoint."""
    return f"MixerBlock_{block}/token_mixing/Dense_0/kernel"


def write_filters(
    checkpoint: str | os.PathLike,
    folder: str,
    blocks: Sequence[int] | None = None,
    grid: tuple[int, int] | None = None,
) -> list[str]:
    """Writes `stem.png` (paper, Figure 6) and `token_mixing_<block>.png` (Figures 4 and 5).

    Args:
        checkpoint: any Mixer checkpoint that `load_weights` can read.
        folder: output folder; created if it does not exist.
        blocks: indices of the blocks to plot; None for all.
        grid: rows and columns of patches; None for a square grid.

    Returns:
        The paths of the files.

    Raises:
        FileNotFoundError: the checkpoint does not exist.
        ValueError: it is not a Mixer checkpoint, it does not have such a block, or the grid does
            not fit it.
    """
    with open_checkpoint(checkpoint) as arrays:
        blocks = _check_blocks(arrays, os.fspath(checkpoint), blocks)
        paths = [write_png(filters.plot_stem(arrays.read(STEM_KERNEL)), _path(folder, "stem"))]
        for block in blocks:
            plot = filters.plot_token_mixing(arrays.read(token_kernel(block)), grid)
            paths.append(write_png(plot, _path(folder, f"token_mixing_{block}")))
    return paths


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


def _check_blocks(arrays: LazyArrays, source: str, blocks: Sequence[int] | None) -> list[int]:
    """Returns the blocks to plot: the requested ones, or all."""
    found = sorted(int(match[1]) for name in arrays.shapes if (match := _TOKEN_KERNEL.match(name)))
    if not found or STEM_KERNEL not in arrays.shapes:
        raise ValueError(f"{source} must be a Mixer; it does not have a token-mixing MLP.")
    missing = [block for block in blocks or () if block not in found]
    if missing:
        raise ValueError(
            f"a block must be one of 0 to {found[-1]}; got {', '.join(map(str, missing))}."
        )
    return found if blocks is None else list(blocks)


def write_png(plot: np.ndarray, path: str) -> str:
    """Writes a plot, uint8 [height, width, 3], and its folder, and returns the path."""
    from PIL import Image

    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    Image.fromarray(plot).save(path)
    return path


def _path(folder: str, name: str) -> str:
    return os.path.join(folder, f"{name}.png")
