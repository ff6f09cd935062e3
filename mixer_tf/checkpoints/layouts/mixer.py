# SPDX-License-Identifier: Apache-2.0
"""The Mixer's checkpoints: names and shapes are those of our layers, only the grid may be smaller.

`authors.py` has brought every spelling of the names to the one of today.
"""

from __future__ import annotations

import math
import re

import tensorflow as tf

from mixer_tf.checkpoints import model_weights
from mixer_tf.checkpoints.block_diagonal import Grid, block_diagonal
from mixer_tf.checkpoints.lazy_arrays import LazyArrays, Shape
from mixer_tf.models.mixer_config import SIZES, MixerConfig

HEAD = ("head/kernel", "head/bias")
REPEATED = re.compile(r"MixerBlock_(\d+)")  # what error messages count through

_TOKEN_KERNEL = "MixerBlock_0/token_mixing/Dense_0/kernel"  # [tokens, tokens_mlp_dim]
_CHANNEL_KERNEL = "MixerBlock_0/channel_mixing/Dense_0/kernel"


def published_name(name: str) -> str:
    """Returns the published name of a weight, given its name in our model."""
    return name


def published_shape(name: str, shape: Shape, model: tf.keras.Model) -> Shape:
    """Returns the shape under which a weight is published, given its shape in our model."""
    return shape


def to_published(stored: LazyArrays, model: tf.keras.Model) -> LazyArrays:
    """Returns a checkpoint for the grid of `model`, where that is a whole multiple of its own."""
    shapes = model_weights.shapes_of(model_weights.named_variables(model))
    ours, theirs = shapes.get(_TOKEN_KERNEL, ()), stored.shapes.get(_TOKEN_KERNEL, ())
    if not len(ours) == len(theirs) == 2 or not is_plain(getattr(model, "config", None)):
        return stored
    grid, factor = _grid(model), math.isqrt(ours[0] // theirs[0])
    is_whole = ours == tuple(factor**2 * n for n in theirs) and not any(n % factor for n in grid)
    if factor < 2 or not is_whole:
        return stored
    return block_diagonal(stored, (grid[0] // factor, grid[1] // factor), factor)


def belongs_to_head(name: str, model: tf.keras.Model) -> bool:
    """Whether a weight goes where the head goes."""
    return name in HEAD


def hint(found: dict[str, Shape], expected: dict[str, Shape], model: tf.keras.Model) -> str:
    """Returns what to do about a checkpoint of these shapes that does not fit."""
    if not any(map(REPEATED.match, found)):
        return "It is not the checkpoint of a Mixer."
    wrong = [name for name in {*found, *expected} if found.get(name) != expected.get(name)]
    theirs, ours = _axis(found, _TOKEN_KERNEL, 0), _axis(expected, _TOKEN_KERNEL, 0)
    body = [name for name in wrong if name not in HEAD]
    if theirs and ours and theirs != ours and all("/token_mixing/" in name for name in body):
        return _resolution_hint(theirs, ours, _axis(found, _TOKEN_KERNEL, 1))
    return f"The checkpoint is of {_describe(found)}."


def is_plain(config: MixerConfig | None) -> bool:
    """Whether all tokens are mixed as in the paper; without a config, they are."""
    return config is None or not any(config.ablation(i) for i in range(config.num_blocks))


def tokens_and_width(shapes: dict[str, Shape]) -> tuple[int, int] | None:
    """Returns (patches, tokens_mlp_dim) of a checkpoint with plain token mixing, or None."""
    shape = shapes.get(_TOKEN_KERNEL, ())
    return shape if len(shape) == 2 else None


def _grid(model: tf.keras.Model) -> Grid:
    """Returns rows and columns of patches; also of a Mixer that knows no MixerConfig."""
    _, height, width, _ = model.input_shape
    rows, columns, *_ = model.get_layer("stem").kernel.shape
    return height // rows, width // columns


def _resolution_hint(theirs: int, ours: int, width: int) -> str:
    """Everything fits but the token mixing: the images are of another size."""
    factor = math.isqrt(ours // theirs)
    text = (
        f"The checkpoint is for {theirs} patches, the model for {ours}. Load it into a model for "
        "images of its own size, and then use mixer_tf.upscale"
    )
    if factor > 1 and factor**2 * theirs == ours:
        wider = factor**2 * width
        return f"{text}(model, factor={factor}); or give this model tokens_mlp_dim={wider}."
    return f"{text}(model, image_size=…, interpolate=True)."


def _describe(found: dict[str, Shape]) -> str:
    """The dimensions of the Mixer of these shapes, and its name where the paper has one."""
    patch = _axis(found, "stem/kernel", 0)
    dimensions = {
        "num_blocks": len({match[1] for match in map(REPEATED.match, found) if match}),
        "hidden_dim": _axis(found, "stem/kernel", 3),
        "tokens_mlp_dim": _axis(found, _TOKEN_KERNEL, 1),
        "channels_mlp_dim": _axis(found, _CHANNEL_KERNEL, 1),
    }
    names = [f"mixer_{size}{patch}" for size, known in SIZES.items() if known == dimensions]
    text = ", ".join(f"{field}={value}" for field, value in dimensions.items())
    return f"{names[0] if names else 'a Mixer'}: patch_size={patch}, {text}"


def _axis(shapes: dict[str, Shape], name: str, axis: int) -> int | None:
    """Returns the length of one axis, or None where there is none."""
    shape = shapes.get(name, ())
    return shape[axis] if axis < len(shape) else None
