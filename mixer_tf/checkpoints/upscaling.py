# SPDX-License-Identifier: Apache-2.0
"""upscale: a trained model for larger images."""

from __future__ import annotations

import dataclasses
import numbers

from mixer_tf.checkpoints import model_weights, resolution
from mixer_tf.models import MixerConfig, MlpMixer


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
        stored = resolution.block_diagonal(stored, model.config.grid, factor)
    elif interpolate:
        stored = resolution.interpolate(stored, model.config.grid, config.grid)
    else:
        raise ValueError(_not_a_multiple(model.config, config))
    larger = MlpMixer(name=model.name, dtype=model.dtype_policy, **dataclasses.asdict(config))
    model_weights.assign(model_weights.named_variables(larger), stored)
    return larger


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
    varied = {name for i in range(config.num_blocks) for name in config.variation(i)}
    if varied:
        raise ValueError(
            "upscale needs the paper's own token mixing, one MLP from S tokens to S for all "
            f"channels; got a model with other {', '.join(sorted(varied))}. No other is defined."
        )
