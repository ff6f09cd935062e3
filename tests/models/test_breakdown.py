# SPDX-License-Identifier: Apache-2.0
"""The costs of single layers against the counts of whole models and against Keras."""

import pytest

from mixer_tf.models import bit_config, breakdown, costs, presets, vit_config
from mixer_tf.models.bit_config import BiTConfig
from mixer_tf.models.config import MixerConfig
from mixer_tf.models.vit_config import ViTConfig

MIXER = dict(
    image_size=(12, 16),
    patch_size=4,
    num_blocks=3,
    hidden_dim=8,
    tokens_mlp_dim=10,
    channels_mlp_dim=14,
    num_classes=5,
)
MIXERS = {
    "paper": MixerConfig(**MIXER),
    "groups": MixerConfig(**MIXER, channel_groups=2),
    "views": MixerConfig(**MIXER, channel_groups=4, channel_views=True),
    "untied": MixerConfig(**MIXER, untied=True),
    "pyramid": MixerConfig(**MIXER, pyramid=(12, 7, 3)),
    "no head": MixerConfig(**{**MIXER, "num_classes": 0}),
    **{name: presets.resolve(name, image_size=224) for name in presets.list_models()},
}
VITS = {
    name: ViTConfig(image_size=224, **vit_config.parse(name)[1]) for name in vit_config.NAMES
} | {
    "gap": ViTConfig(
        image_size=32,
        patch_size=8,
        num_blocks=2,
        hidden_dim=64,
        channels_mlp_dim=96,
        classifier="gap",
        representation_size=7,
    )
}
BITS = {
    name: BiTConfig(image_size=(65, 224), **bit_config.parse(name)[1]) for name in bit_config.NAMES
}


def total(config, field: str) -> int:
    return sum(getattr(layer, field) for layer in breakdown.layers(config))


@pytest.mark.parametrize(
    ("module", "config"),
    [
        *[pytest.param(costs, config, id=name) for name, config in MIXERS.items()],
        *[pytest.param(vit_config, config, id=name) for name, config in VITS.items()],
        *[pytest.param(bit_config, config, id=name) for name, config in BITS.items()],
    ],
)
def test_layers_add_up_to_the_model(module, config):
    assert total(config, "parameters") == module.count_parameters(config)
    assert total(config, "multiply_adds") == module.count_multiply_adds(config)


def test_outputs_and_weights_are_those_of_keras():
    from mixer_tf.models import MlpMixer

    model = MlpMixer(**MIXER)
    found = {layer.name: layer for layer in breakdown.layers(MIXERS["paper"])}
    block = model.get_layer("MixerBlock_0")
    for name, layer in {
        "stem": model.get_layer("stem"),
        "MixerBlock/LayerNorm_0": block.norm_0,
        "MixerBlock/token_mixing": block.token_mixing,
        "MixerBlock/channel_mixing": block.channel_mixing,
        "pre_head_layer_norm": model.get_layer("pre_head_layer_norm"),
        "head": model.get_layer("head"),
    }.items():
        assert found[name].parameters == layer.count_params(), name
    for name in ("stem", "pre_head_layer_norm", "head"):
        assert found[name].output == model.get_layer(name).output_shape[1:]


def test_memory_by_hand():
    """S=12, C=8, D_S=10, D_C=14: what one image leaves behind in each layer."""
    config = MIXERS["paper"]
    stem, norm = 12 * 48, 12 * 8
    token_mixing = 8 * (12 + 2 * 10)
    channel_mixing = 12 * (8 + 2 * 14)
    values = stem + 3 * (2 * norm + token_mixing + channel_mixing) + norm + 8
    assert breakdown.training_activation_bytes(config) == 4 * values
    assert breakdown.inference_activation_bytes(config) == 4 * (stem + 12 * 8)
    assert breakdown.weight_bytes(config) == 4 * costs.count_parameters(config)
