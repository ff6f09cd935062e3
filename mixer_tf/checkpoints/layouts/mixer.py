# SPDX-License-Identifier: Apache-2.0
"""Mixer checkpoints: names and shapes are those of our layers, but the grid may be smaller.

`flax_mixer.py` has converted all former names to the current ones before.
"""

from __future__ import annotations

import math
import re

import tensorflow as tf

from mixer_tf.checkpoints import model_weights
from mixer_tf.checkpoints.block_diagonal import Grid, block_diagonal
from mixer_tf.checkpoints.lazy_arrays import LazyArrays, Shape
from mixer_tf.models.mixer_config import SIZES

HEAD = ("head/kernel", "head/bias")
REPEATED = re.compile(r"MixerBlock_(\d+)")  # error messages join entries that differ in it only

_TOKEN_KERNEL = "MixerBlock_0/token_mixing/Dense_0/kernel"  # [tokens, tokens_mlp_dim]
_CHANNEL_KERNEL = "MixerBlock_0/channel_mixing/Dense_0/kernel"


def published_name(name: str) -> str:
    """Returns the published name of a weight, given its name in our model."""
    return name


def published_shape(name: str, shape: Shape, model: tf.keras.Model) -> Shape:
    """Returns the published shape of a weight, given its published name and shape in our model."""
    return shape


def to_published(arrays: LazyArrays, model: tf.keras.Model) -> LazyArrays:
    """Returns a checkpoint, upscaled if the grid of `model` is an integer multiple of its grid."""
    shapes = model_weights.shapes_of(model_weights.named_variables(model))
    wanted, stored = shapes.get(_TOKEN_KERNEL, ()), arrays.shapes.get(_TOKEN_KERNEL, ())
    config = getattr(model, "config", None)  # models of `mixer_tf.applications` have none
    if not len(wanted) == len(stored) == 2 or (config and config.ablations):
        return arrays
    grid, factor = _grid(model), math.isqrt(wanted[0] // stored[0])
    fits = wanted == tuple(factor**2 * n for n in stored) and not any(n % factor for n in grid)
    if factor < 2 or not fits:
        return arrays
    return block_diagonal(arrays, (grid[0] // factor, grid[1] // factor), factor)


def belongs_to_head(name: str, model: tf.keras.Model) -> bool:
    """Whether a weight is dropped together with the classification head."""
    return name in HEAD


def hint(found: dict[str, Shape], expected: dict[str, Shape], model: tf.keras.Model) -> str:
    """Returns what to do about a checkpoint with these shapes, which does not fit the model."""
    if not any(map(REPEATED.match, found)):
        return "This is not a Mixer checkpoint."
    wrong = [name for name in {*found, *expected} if found.get(name) != expected.get(name)]
    stored, wanted = _axis(found, _TOKEN_KERNEL, 0), _axis(expected, _TOKEN_KERNEL, 0)
    body = [name for name in wrong if name not in HEAD]
    if stored and wanted and stored != wanted and all("/token_mixing/" in name for name in body):
        return _resolution_hint(stored, wanted, _axis(found, _TOKEN_KERNEL, 1))
    return f"The checkpoint is for {_describe(found)}."


def tokens_and_width(shapes: dict[str, Shape]) -> tuple[int, int] | None:
    """Returns (tokens, tokens_mlp_dim) of a checkpoint; None if its token mixing is an ablation."""
    shape = shapes.get(_TOKEN_KERNEL, ())
    return shape if len(shape) == 2 else None


def _grid(model: tf.keras.Model) -> Grid:
    """Returns rows and columns of patches, also of a Mixer without a MixerConfig."""
    _, height, width, _ = model.input_shape
    patch_height, patch_width, *_ = model.get_layer("stem").kernel.shape
    return height // patch_height, width // patch_width


def _resolution_hint(stored: int, wanted: int, width: int) -> str:
    """For a checkpoint in which everything but the number of patches fits.

    Args:
        stored: number of patches of the checkpoint.
        wanted: number of patches of the model.
        width: tokens_mlp_dim of the checkpoint.
    """
    factor = math.isqrt(wanted // stored)
    text = (
        f"The checkpoint is for {stored} patches, the model for {wanted}. Load it into a model for "
        "its own image size, and then use mixer_tf.upscale"
    )
    if factor > 1 and factor**2 * stored == wanted:
        wider = factor**2 * width
        return f"{text}(model, factor={factor}); or give this model tokens_mlp_dim={wider}."
    return f"{text}(model, image_size=…, interpolate=True)."


def _describe(shapes: dict[str, Shape]) -> str:
    """Returns the dimensions of a checkpoint, and its name if the paper has such a Mixer."""
    patch_size = _axis(shapes, "stem/kernel", 0)
    dimensions = {
        "num_blocks": len({match[1] for match in map(REPEATED.match, shapes) if match}),
        "hidden_dim": _axis(shapes, "stem/kernel", 3),
        "tokens_mlp_dim": _axis(shapes, _TOKEN_KERNEL, 1),
        "channels_mlp_dim": _axis(shapes, _CHANNEL_KERNEL, 1),
    }
    names = [f"mixer_{size}{patch_size}" for size, known in SIZES.items() if known == dimensions]
    text = ", ".join(f"{field}={value}" for field, value in dimensions.items())
    return f"{names[0] if names else 'a Mixer'}: patch_size={patch_size}, {text}"


def _axis(shapes: dict[str, Shape], name: str, axis: int) -> int | None:
    """Returns the length of one axis of a weight; None if there is no such weight or axis."""
    shape = shapes.get(name, ())
    return shape[axis] if axis < len(shape) else None
