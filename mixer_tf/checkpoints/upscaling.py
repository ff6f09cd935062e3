# SPDX-License-Identifier: Apache-2.0
"""Larger images for trained Mixers: `upscale` a model, or find the model to load weights into."""

from __future__ import annotations

import dataclasses
import math
import numbers

from mixer_tf.checkpoints import block_diagonal, model_weights
from mixer_tf.checkpoints.layouts import mixer
from mixer_tf.checkpoints.lazy_arrays import Shape
from mixer_tf.models import registry
from mixer_tf.models.mixer_config import MixerConfig
from mixer_tf.models.mlp_mixer import MlpMixer
from mixer_tf.models.validation import height_and_width

Size = tuple[int, int]  # height and width in pixels


def upscale(
    model: MlpMixer, factor: int | None = None, *, image_size=None, interpolate: bool = False
) -> MlpMixer:
    """Returns a new model for larger images, with the weights of `model` (paper, supplement C).

    ```
    larger = upscale(model, factor=2)  # 224 -> 448 pixels
    larger = upscale(model, image_size=448)  # the same
    ```

    The token-mixing MLPs of the new model are `factor`² times as wide. Before any further training,
    its logits for an image are the mean of the logits of `model` for the image's tiles.

    Args:
        model: a Mixer for images of `model.config.image_size`; it is not changed.
        factor: K, the integer by which height and width are multiplied.
        image_size: new size in pixels, instead of `factor`: an integer or (height, width).
        interpolate: if `image_size` is not an integer multiple, resize the token-mixing weights
            bilinearly. The paper does not do this, and the new model gives other logits.

    Returns:
        A model of the same name, precision and number of classes, not compiled.

    Raises:
        ValueError: neither or both of `factor` and `image_size` are given; the new size is not an
            integer multiple, and `interpolate` is false; or the model is a pyramid.
        TypeError: `factor` is not an integer, or `model` is not an MlpMixer.
    """
    _check_model(model)
    config = larger_config(model.config, factor, image_size)
    factor = _integer_factor(model.config.image_size, config.image_size)
    arrays = model_weights.arrays_of(model)
    if factor:
        groups = model.config.channel_groups
        arrays = block_diagonal.block_diagonal(arrays, model.config.grid, factor, groups=groups)
    elif interpolate:
        arrays = block_diagonal.interpolate(arrays, model.config.grid, config.grid)
    else:
        raise ValueError(_not_a_multiple_message(model.config.image_size, config.image_size))
    model_class = registry.MIXER.model_class(config)
    larger = model_class(name=model.name, dtype=model.dtype_policy, **dataclasses.asdict(config))
    model_weights.assign(model_weights.named_variables(larger), arrays)
    return larger


def _check_model(model) -> None:
    if not isinstance(model, MlpMixer):
        raise TypeError(f"upscale needs an MlpMixer, as create_model returns it; got {model!r}.")
    if model.config.pyramid:
        raise ValueError(
            "upscale needs a model whose blocks all have the patches of the image as tokens; got "
            f"pyramid={model.config.pyramid}. Upscaling is not defined for it."
        )


def larger_config(
    config: MixerConfig, factor: int | None = None, image_size: int | Size | None = None
) -> MixerConfig:
    """Returns the configuration of `upscale` for a model with `config`, with its arguments."""
    if (factor is None) == (image_size is None):
        raise ValueError(
            "upscale needs either the factor or the new image_size; "
            f"got factor={factor}, image_size={image_size}."
        )
    if factor is not None:
        _check_factor(factor)
        image_size = tuple(side * factor for side in config.image_size)
    larger = dataclasses.replace(config, image_size=image_size)
    factor = _integer_factor(config.image_size, larger.image_size) or 1
    return dataclasses.replace(larger, tokens_mlp_dim=config.tokens_mlp_dim * factor**2)


def _check_factor(factor) -> None:
    if not isinstance(factor, numbers.Integral) or isinstance(factor, bool):
        raise TypeError(
            f"factor must be an integer; got {factor!r}. "
            "For other sizes use image_size=…, interpolate=True."
        )
    if factor < 1:
        raise ValueError(f"factor must be at least 1; got {factor}.")


def _integer_factor(size: Size, larger: Size) -> int:
    """Returns K where `larger` is K times as high and as wide; 0 where no integer is."""
    factor = larger[0] // size[0]
    return factor if larger == tuple(factor * side for side in size) else 0


def _not_a_multiple_message(size: Size, requested: Size) -> str:
    multiples = " or ".join(_format(tuple(k * side for side in size)) for k in (2, 3))
    return (
        f"image_size must be an integer multiple of the model's, {_format(size)} pixels; "
        f"got {_format(requested)}. "
        f"Use {multiples}, or interpolate=True, which is not in the paper."
    )


def _format(size: Size) -> str:
    return "x".join(map(str, size))


def fitting_size(
    shapes: dict[str, Shape], image_size, tokens_mlp_dim: int | None
) -> tuple[int | Size, int]:
    """Returns (image_size, tokens_mlp_dim) of a model that can load a Mixer checkpoint.

    `load_weights` upscales while loading. So if the requested size is an integer multiple of the
    checkpoint's, the model has the requested size and the upscaled width, and no second, smaller
    model is ever built. Otherwise the model has the checkpoint's own size.

    Args:
        shapes: shapes of a checkpoint with the paper's token mixing.
        image_size: requested size in pixels, an integer or (height, width); None for the
            checkpoint's.
        tokens_mlp_dim: requested width before upscaling; None for the checkpoint's.
    """
    num_tokens, stored_width = mixer.tokens_and_width(shapes)
    own_size = _checkpoint_size(num_tokens, shapes["stem/kernel"][0], image_size)
    width = _checkpoint_width(stored_width, tokens_mlp_dim)
    requested = image_size or own_size or registry.IMAGE_SIZE
    factor = _integer_factor(height_and_width(own_size or requested), height_and_width(requested))
    return (requested, width * factor**2) if factor else (own_size, width)


def _checkpoint_size(num_tokens: int, patch_size: int, requested) -> int | Size | None:
    """Returns the image size of a checkpoint: a square one, else the requested one, else None.

    A rectangle may have as many patches as a square, such as 7x28 and 14x14, but in another order.
    """
    side = math.isqrt(num_tokens)
    if side**2 == num_tokens:
        return side * patch_size
    if requested is not None:
        height, width = height_and_width(requested)
        if (height // patch_size) * (width // patch_size) == num_tokens:
            return height, width
    return None


def _checkpoint_width(stored: int, requested: int | None) -> int:
    """Returns the tokens_mlp_dim for the checkpoint's own image size.

    This is the requested one, except for K² times the requested one: then the checkpoint holds
    weights that were upscaled before, and it is the stored one.
    """
    if not requested:
        return stored
    was_upscaled = math.isqrt(stored // requested) ** 2 * requested == stored
    return stored if was_upscaled else requested
