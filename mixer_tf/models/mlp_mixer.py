# SPDX-License-Identifier: Apache-2.0
"""MlpMixer: the whole network, from pixels to logits."""

from __future__ import annotations

from tensorflow import keras

from mixer_tf.models.ablations import AblationMixerBlock
from mixer_tf.models.base import ConfiguredModel, classification_head
from mixer_tf.models.layers import LayerNorm, MixerBlock, Rescale, serializable
from mixer_tf.models.mixer_config import MixerConfig


@serializable
class MlpMixer(ConfiguredModel):
    """MLP-Mixer (arXiv:2105.01601): pixel values 0 to 255 in, logits out.

    A functional Keras model, whose layers bear the names of the authors' checkpoints: `stem`,
    `MixerBlock_0`/`token_mixing`/`Dense_0` …, `pre_head_layer_norm`, `head`.

    Shape: uint8 or float [N, H, W, 3] -> [N, num_classes], or [N, hidden_dim] with 0 classes;
    float32 under mixed precision too.

    Intermediates: "stem", "input_tokens", "block_0" …, "pre_head_layer_norm", "pre_logits" and,
    where there are classes, "logits".

    Args:
        name: name of the model.
        dtype: a Keras dtype policy or its name, such as "mixed_bfloat16"; None for the global one.
        **fields: the fields of `MixerConfig`.

    Attributes:
        config: the `MixerConfig`.
    """

    config_class = MixerConfig

    def __init__(self, *, name: str = "mlp_mixer", dtype=None, **fields):
        super().__init__(name=name, dtype=dtype, **fields)

    @staticmethod
    def build_graph(pixels, config: MixerConfig, policy) -> dict[str, object]:
        full_precision = policy.variable_dtype  # float32 where the policy is a mixed one
        rescale = Rescale(dtype=full_precision)
        stem = keras.layers.Conv2D(
            config.hidden_dim,
            config.patch_size,
            strides=config.patch_size,
            kernel_initializer="lecun_normal",
            name="stem",
            dtype=policy,
        )
        shape = (config.num_tokens, config.hidden_dim)
        flatten = keras.layers.Reshape(shape, name="input_tokens", dtype=policy)
        norm = LayerNorm(name="pre_head_layer_norm", dtype=policy)
        pool = keras.layers.GlobalAveragePooling1D(name="pre_logits", dtype=full_precision)

        out = {}
        x = rescale(pixels)  # [N, H, W, 3]
        x = out["stem"] = stem(x)  # [N, H/P, W/P, C]
        x = out["input_tokens"] = flatten(x)  # [N, S, C]
        for i in range(config.num_blocks):
            x = out[f"block_{i}"] = _block(i, config, policy)(x)  # [N, S, C]
        x = out["pre_head_layer_norm"] = norm(x)  # [N, S, C]
        x = out["pre_logits"] = pool(x)  # [N, C]
        if config.num_classes:
            out["logits"] = classification_head(config, full_precision)(x)  # [N, num_classes]
        return out


def _block(i: int, config: MixerConfig, policy) -> MixerBlock:
    """Block number `i`: the paper's, or one with the ablations of supplement A.1."""
    options = dict(
        tokens_mlp_dim=config.tokens_mlp_dim,
        channels_mlp_dim=config.channels_mlp_dim,
        dropout=config.dropout,
        exact_gelu=config.exact_gelu,
        drop_rate=config.drop_rate(i),
        drop_rescaled=config.stochastic_depth_rescaled,
        name=f"MixerBlock_{i}",
        dtype=policy,
    )
    ablation = config.ablation(i)
    return AblationMixerBlock(ablation=ablation, **options) if ablation else MixerBlock(**options)
