# SPDX-License-Identifier: Apache-2.0
"""upscale: a trained model for larger images."""

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


def upscale(
    model: MlpMixer, factor: int | None = None, *, image_size=None, interpolate: bool = False
) -> MlpMixer:
    """Returns a new model for larger images, with the weights of `model` (paper, supplement C).

    ```
    larger = upscale(model, factor=2)  # 224 -> 448 pixels
    larger = upscale(model, image_size=448)  # the same
    ```

    The token-mixing MLPs of the new model are `factor`² times as wide. Before any further
    training it answers, for an image, the mean of what `model` answers for its parts.

    Args:
        model: for images of `model.config.image_size`; stays as it is.
        factor: K, the whole number by which height and width grow.
        image_size: instead of `factor`, the new size in pixels; one number, or (height, width).
        interpolate: where `image_size` is no whole multiple, resize the token-mixing weights as
            pictures. The paper does not do this, and the new model answers otherwise.

    Returns:
        A model of the same name, precision and number of classes, not compiled.

    Raises:
        ValueError: neither or both of `factor` and `image_size` are given; the new size is no whole
            multiple, and `interpolate` is false; or the model does not mix tokens plainly.
        TypeError: `factor` is no whole number, or `model` is no MlpMixer.
    """
    _check_model(model)
    config = _larger(model.config, factor, image_size)
    factor = _whole_factor(model.config, config)
    stored = model_weights.stored_in(model)
    if factor:
        config = dataclasses.replace(config, tokens_mlp_dim=config.tokens_mlp_dim * factor**2)
        stored = block_diagonal.block_diagonal(stored, model.config.grid, factor)
    elif interpolate:
        stored = block_diagonal.interpolate(stored, model.config.grid, config.grid)
    else:
        raise ValueError(_not_a_multiple(model.config, config))
    larger = MlpMixer(name=model.name, dtype=model.dtype_policy, **dataclasses.asdict(config))
    model_weights.assign(model_weights.named_variables(larger), stored)
    return larger


def fitting_size(shapes: dict[str, Shape], image_size, width: int | None):
    """Returns the image size and tokens_mlp_dim of the model that can take a Mixer's weights.

    Where `image_size` is a whole multiple of the weights' own, it is that: `load_weights` upscales
    on the way, so that there is never a second, smaller model. Otherwise it is their own size.
    """
    tokens, stored_width = mixer.tokens_and_width(shapes)
    own_size = _own_size(tokens, shapes["stem/kernel"][0], image_size)
    width = _upscaled_width(width, stored_width)
    wanted = image_size or own_size or registry.IMAGE_SIZE
    factor = _factor(own_size or wanted, wanted)
    return (wanted, width * factor**2) if factor else (own_size, width)


def _larger(config: MixerConfig, factor: int | None, image_size) -> MixerConfig:
    """Returns `config` with the image size that is asked for."""
    if (factor is None) == (image_size is None):
        raise ValueError(
            "upscale needs either the factor or the new image_size; "
            f"got factor={factor}, image_size={image_size}."
        )
    if factor is not None:
        if not isinstance(factor, numbers.Integral) or isinstance(factor, bool):
            raise TypeError(
                f"factor must be a whole number; got {factor!r}. "
                "For other sizes use image_size=…, interpolate=True."
            )
        if factor < 1:
            raise ValueError(f"factor must be at least 1; got {factor}.")
        image_size = tuple(side * factor for side in config.image_size)
    return dataclasses.replace(config, image_size=image_size)


def _whole_factor(config: MixerConfig, larger: MixerConfig) -> int | None:
    """Returns K where the larger grid is K times the smaller in both directions."""
    factor = larger.grid[0] // config.grid[0]
    return factor if larger.grid == tuple(factor * n for n in config.grid) else None


def _not_a_multiple(config: MixerConfig, larger: MixerConfig) -> str:
    given = "x".join(map(str, config.image_size))
    wanted = "x".join(map(str, larger.image_size))
    multiples = " or ".join(
        "x".join(str(side * factor) for side in config.image_size) for factor in (2, 3)
    )
    return (
        f"image_size must be a whole multiple of the model's, {given} pixels; got {wanted}. "
        f"Use {multiples}, or interpolate=True, which is not in the paper."
    )


def _check_model(model) -> None:
    if not isinstance(model, MlpMixer):
        raise TypeError(f"upscale needs an MlpMixer, as create_model returns it; got {model!r}.")
    config = model.config
    varied = {name for i in range(config.num_blocks) for name in config.ablation(i)}
    if varied:
        raise ValueError(
            "upscale needs the paper's own token mixing, one MLP from S tokens to S for all "
            f"channels; got a model with other {', '.join(sorted(varied))}. No other is defined."
        )


def _factor(own_size, size) -> int:
    """Returns K where images of `size` are K times as high and wide; 0 where K is not whole."""
    own, wanted = height_and_width(own_size), height_and_width(size)
    factor = wanted[0] // own[0]
    return factor if wanted == tuple(factor * side for side in own) else 0


def _upscaled_width(wanted: int | None, stored: int) -> int:
    """Returns the stored tokens_mlp_dim where it is K² times the one that is asked for.

    Weights that were upscaled before are as much wider as they have more patches.
    """
    if wanted and math.isqrt(stored // wanted) ** 2 * wanted != stored:
        return wanted
    return stored


def _own_size(tokens: int, patch_size: int, wanted):
    """Returns the image size that a Mixer's weights are for; None where the shapes do not tell."""
    if wanted is not None:
        height, width = height_and_width(wanted)
        if (height // patch_size) * (width // patch_size) == tokens:
            return height, width
    side = math.isqrt(tokens)
    return side * patch_size if side**2 == tokens else None
