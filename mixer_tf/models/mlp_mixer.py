# SPDX-License-Identifier: Apache-2.0
"""MlpMixer: the whole network, from pixels to logits."""

from __future__ import annotations

import dataclasses

from tensorflow import keras

from mixer_tf.models.config import MixerConfig
from mixer_tf.models.layers import Dense, LayerNorm, MixerBlock, serializable
from mixer_tf.models.token_mixing import VariedMixerBlock


def assemble(pixels, config: MixerConfig, dtype=None) -> dict[str, object]:
    """Applies a Mixer with new weights to `pixels`.

    Args:
        pixels: symbolic Keras tensor [N, H, W, 3] with values 0 to 255.
        config: the model.
        dtype: a Keras dtype policy or its name; None for the global policy.

    Returns:
        Every intermediate under its name, in order: "stem", "input_tokens", "block_0" …,
        "pre_head_layer_norm", "pre_logits" and, where there are classes, "logits".
    """
    layers = keras.layers
    policy = layers.Layer(dtype=dtype).dtype_policy  # resolves None and names
    full_precision = policy.variable_dtype  # float32 where the policy is a mixed one

    # The only place where pixel values become what the network sees: [-1, 1].
    rescale = layers.Rescaling(1 / 127.5, offset=-1, name="rescale", dtype=full_precision)
    stem = layers.Conv2D(
        config.hidden_dim,
        config.patch_size,
        strides=config.patch_size,
        kernel_initializer="lecun_normal",
        name="stem",
        dtype=policy,
    )
    flatten = layers.Reshape(
        (config.num_tokens, config.hidden_dim), name="input_tokens", dtype=policy
    )
    norm = LayerNorm(name="pre_head_layer_norm", dtype=policy)
    pool = layers.GlobalAveragePooling1D(name="pre_logits", dtype=full_precision)

    out = {}
    x = rescale(pixels)  # [N, H, W, 3]
    x = out["stem"] = stem(x)  # [N, H/P, W/P, C]
    x = out["input_tokens"] = flatten(x)  # [N, S, C]
    for i in range(config.num_blocks):
        x = out[f"block_{i}"] = mixer_block(config, i, policy)(x)  # [N, S, C]
    x = out["pre_head_layer_norm"] = norm(x)  # [N, S, C]
    x = out["pre_logits"] = pool(x)  # [N, C]
    if config.num_classes:
        out["logits"] = new_head(config, full_precision)(x)  # [N, num_classes]
    return out


def new_head(config: MixerConfig, dtype) -> keras.layers.Layer:
    """Returns the classifier, whose first logits are `head_bias_init` for every image."""
    return Dense(
        config.num_classes,
        kernel_initializer="zeros",
        bias_initializer=keras.initializers.Constant(config.head_bias_init),
        name="head",
        dtype=dtype,
    )


def mixer_block(config: MixerConfig, i: int, policy) -> MixerBlock:
    """Returns block number `i`: the paper's, or one with the variations of supplement A.1."""
    variation = config.variation(i)
    options = dict(
        tokens_mlp_dim=config.tokens_mlp_dim,
        channels_mlp_dim=config.channels_mlp_dim,
        dropout=config.dropout,
        drop_rate=config.drop_rate(i),
        drop_rescaled=config.stochastic_depth_rescaled,
        name=f"MixerBlock_{i}",
        dtype=policy,
    )
    return VariedMixerBlock(variation=variation, **options) if variation else MixerBlock(**options)


@serializable
class MlpMixer(keras.Model):
    """MLP-Mixer (arXiv:2105.01601): pixel values 0 to 255 in, logits out.

    A functional Keras model, whose layers bear the names of the authors' checkpoints: `stem`,
    `MixerBlock_0`/`token_mixing`/`Dense_0` …, `pre_head_layer_norm`, `head`.

    Shape: uint8 or float [N, H, W, 3] -> [N, num_classes], or [N, hidden_dim] with 0 classes;
    float32 under mixed precision too.

    Args:
        name: name of the model.
        dtype: a Keras dtype policy or its name, such as "mixed_bfloat16"; None for the global one.
        **fields: the fields of `MixerConfig`.

    Attributes:
        config: the `MixerConfig`.
    """

    def __init__(self, *, name: str = "mlp_mixer", dtype=None, **fields):
        config = MixerConfig(**fields)
        pixels = keras.Input((*config.image_size, 3), name="pixels")
        *_, output = assemble(pixels, config, dtype).values()
        super().__init__(pixels, output, name=name)
        self.config = config
        self._set_dtype_policy(dtype)  # so that `compile` scales the loss for float16

    def intermediates(self, *names: str) -> keras.Model:
        """Returns a model with the same weights that maps pixels to {name: tensor}.

        Args:
            *names: any of "stem", "input_tokens", "block_0" …, "pre_head_layer_norm",
                "pre_logits" and "logits"; none for all of them.

        Raises:
            ValueError: there is no intermediate of that name.
        """
        layers = self._layer_names()
        for name in names:
            if name not in layers:
                raise ValueError(
                    f"an intermediate must be one of {', '.join(layers)}; got {name!r}."
                )
        outputs = {name: self.get_layer(layers[name]).output for name in names or layers}
        return keras.Model(self.inputs, outputs, name=f"{self.name}_intermediates")

    def _layer_names(self) -> dict[str, str]:
        blocks = {f"block_{i}": f"MixerBlock_{i}" for i in range(self.config.num_blocks)}
        head = {"logits": "head"} if self.config.num_classes else {}
        return {
            "stem": "stem",
            "input_tokens": "input_tokens",
            **blocks,
            "pre_head_layer_norm": "pre_head_layer_norm",
            "pre_logits": "pre_logits",
            **head,
        }

    def get_config(self):
        fields = dataclasses.asdict(self.config)
        return {"name": self.name, "dtype": self.dtype_policy.name, **fields}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        return cls(**config)
