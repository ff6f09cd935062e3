# SPDX-License-Identifier: Apache-2.0
import pytest
from harness import TINY_MIXER, weights_by_name
from numpy_models import NumpyMixer

from mixer_tf.factory import create_model
from mixer_tf.models import MixerConfig, MlpMixer, costs, describe, list_models
from mixer_tf.models.costs import count_multiply_adds, count_parameters

# At 224 pixels: parameters without head, with a head of 1000 classes, 10⁹ multiply-adds.
PAPER = {
    "mixer_s32": (18_591_624, 19_104_624, 1.00),
    "mixer_s16": (18_015_264, 18_528_264, 3.78),
    "mixer_b32": (59_524_428, 60_293_428, 3.24),
    "mixer_b16": (59_111_472, 59_880_472, 12.60),
    "mixer_l32": (205_914_264, 206_939_264, 11.25),
    "mixer_l16": (207_171_168, 208_196_168, 44.55),
    "mixer_h14": (431_069_952, 432_350_952, 120.99),
}


def test_no_model_is_missing_from_the_table():
    assert list(PAPER) == list_models()


@pytest.mark.parametrize("name", PAPER)
def test_costs_of_the_papers_models(name):
    without_head, with_head, multiply_adds = PAPER[name]
    assert describe(name, num_classes=0).parameters == without_head
    assert describe(name).parameters == with_head
    assert round(describe(name).multiply_adds / 1e9, 2) == multiply_adds


def test_built_model_has_the_papers_parameters():
    assert create_model("mixer_s32", num_classes=0).count_params() == PAPER["mixer_s32"][0]


@pytest.mark.slow
@pytest.mark.parametrize("name", PAPER)
def test_every_built_model_has_the_papers_parameters(name):
    assert create_model(name).count_params() == PAPER[name][1]


@pytest.mark.parametrize("num_classes", [0, 5])
def test_costs_match_the_computation(pixels, num_classes):
    fields = {**TINY_MIXER, "num_classes": num_classes}
    model = MlpMixer(**fields, dropout=0.1, stochastic_depth=0.1)
    reference = NumpyMixer(weights_by_name(model), TINY_MIXER["patch_size"])
    reference(pixels[:1])

    config = MixerConfig(**fields)
    assert count_parameters(config) == model.count_params()
    assert count_multiply_adds(config) == reference.multiply_adds


def test_outputs_and_parameters_match_keras():
    model = MlpMixer(**TINY_MIXER)
    found = {layer.name: layer for layer in costs.layers(MixerConfig(**TINY_MIXER))}
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
    """S=12, C=8, D_S=10, D_C=14: the values that each layer keeps for one image.

    LayerNorm keeps its input, its scale and two numbers for each token, and GELU its input.
    """
    config = MixerConfig(**TINY_MIXER)
    stem, norm = 12 * 48, 2 * 12 * 8 + 2 * 12
    token_mixing = 8 * (12 + 2 * 10)
    channel_mixing = 12 * (8 + 2 * 14)
    in_16_bits = stem + 3 * (token_mixing + channel_mixing)
    in_32_bits = 3 * 2 * norm + norm + 8
    assert costs.kept_bytes(config) == 4 * (in_16_bits + in_32_bits)
    assert costs.kept_bytes(config, "mixed_float16") == 2 * in_16_bits + 4 * in_32_bits
    live = max(12 * (2 * 48 + 8), 12 * (2 * 8 + 4 * 14))
    assert costs.inference_activation_bytes(config) == 4 * live
    assert costs.training_activation_bytes(config) == costs.kept_bytes(config) + 4 * live
    assert costs.weight_bytes(config) == 4 * costs.count_parameters(config)
