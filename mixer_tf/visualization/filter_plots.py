# SPDX-License-Identifier: Apache-2.0
"""The weight pictures of a checkpoint as PNG files."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from mixer_tf.checkpoints.lazy_arrays import LazyArrays
from mixer_tf.checkpoints.opening import open_checkpoint
from mixer_tf.models.mlp_mixer import MlpMixer
from mixer_tf.visualization import filters

STEM_KERNEL = "stem/kernel"
_FIRST_BLOCKS = 3  # as in the paper's Figure 5
_TOKEN_KERNEL = re.compile(r"MixerBlock_(\d+)/token_mixing/Dense_0/kernel")


def token_kernel(block: int) -> str:
    """Returns the authors' name of the weights that the hidden units of a block read tokens by."""
    return f"MixerBlock_{block}/token_mixing/Dense_0/kernel"


def write_filters(
    checkpoint: str | os.PathLike,
    folder: str,
    blocks: Sequence[int] | None = None,
    grid: tuple[int, int] | None = None,
) -> list[str]:
    """Writes `stem.png` (paper, Figure 6) and `token_mixing_<block>.png` (Figures 4 and 5).

    Args:
        checkpoint: whatever `load_weights` reads.
        folder: for the files; made where there is none.
        blocks: which, counted from 0; None for all.
        grid: rows and columns of patches; None where they are as many.

    Returns:
        The paths of the files.

    Raises:
        FileNotFoundError, ValueError: the checkpoint is none, or no Mixer's, or has no such block;
            or the grid is another one.
    """
    with open_checkpoint(checkpoint) as stored:
        chosen = _check_blocks(stored, os.fspath(checkpoint), blocks)
        os.makedirs(folder, exist_ok=True)
        paths = [_write(filters.plot_stem(stored.read(STEM_KERNEL)), folder, "stem")]
        for block in chosen:
            kernel = stored.read(token_kernel(block))
            picture = filters.plot_token_mixing(kernel, grid)
            paths.append(_write(picture, folder, f"token_mixing_{block}"))
    return paths


def _check_blocks(stored: LazyArrays, source: str, blocks: Sequence[int] | None) -> list[int]:
    found = sorted(int(match[1]) for name in stored.shapes if (match := _TOKEN_KERNEL.match(name)))
    if not found or STEM_KERNEL not in stored.shapes:
        raise ValueError(f"{source} must be a Mixer; it has no token-mixing MLP.")
    absent = [block for block in blocks or () if block not in found]
    if absent:
        raise ValueError(
            f"a block must be one of 0 to {found[-1]}; got {', '.join(map(str, absent))}."
        )
    return found if blocks is None else list(blocks)


def _write(picture, folder: str, name: str) -> str:
    from PIL import Image

    path = os.path.join(folder, f"{name}.png")
    Image.fromarray(picture).save(path)
    return path


def plot_model_filters(model: tf.keras.Model, blocks: int = _FIRST_BLOCKS) -> dict[str, np.ndarray]:
    """Returns the pictures of a model's weights by name, uint8 [height, width, 3] each.

    Blocks in which the tokens are no patches any more, those of a pyramid, are left out.

    Args:
        model: a Mixer; of any other model there are no pictures.
        blocks: how many of the first ones to draw.
    """
    if not isinstance(model, MlpMixer):
        return {}
    config = model.config
    pictures = {"stem": filters.plot_stem(model.get_layer("stem").kernel.numpy())}
    for block in range(min(blocks, config.num_blocks)):
        if config.tokens(block)[0] == config.num_tokens:
            kernel = model.get_layer(f"MixerBlock_{block}").token_mixing.dense_0.kernel.numpy()
            picture = filters.plot_token_mixing(kernel, config.grid)
            pictures[f"token_mixing_{block}"] = picture
    return pictures
