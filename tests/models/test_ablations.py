# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import tensorflow as tf
from harness import (
    TINY_MIXER,
    assert_layer_round_trip,
    assert_same_after_save_and_load,
    difference,
    randomize,
    weights_by_name,
)
from numpy_models import NumpyMixer
from tensorflow import keras

from mixer_tf import create_model
from mixer_tf.models import MixerConfig, MlpMixer
from mixer_tf.models.ablations import AblationMixer, AblationMixerBlock, TokenMixing
from mixer_tf.models.costs import count_multiply_adds, count_parameters
from mixer_tf.models.mlp_mixer import MixerBlock

ABLATIONS = {
    "untied": dict(untied=True),
    "groups": dict(channel_groups=2),
    "views": dict(channel_groups=4, channel_views=True),
    "pyramid": dict(pyramid=(12, 5, 5)),
    "untied_groups": dict(untied=True, channel_groups=2),
    "all": dict(
        untied=True,
        channel_groups=2,
        channel_views=True,
        pyramid=(7, 7, 3),
        dropout=0.1,
        stochastic_depth=0.2,
        stochastic_depth_rescaled=True,
    ),
}


@pytest.fixture(params=ABLATIONS)
def fields(request):
    return {**TINY_MIXER, **ABLATIONS[request.param]}


def test_ablated_model_equals_the_numpy_reference(fields, pixels):
    model = randomize(AblationMixer(**fields))
    groups = fields.get("channel_groups", 1)
    expected = NumpyMixer(weights_by_name(model), fields["patch_size"], groups)(pixels)
    assert difference(model(pixels), expected) < 2e-6


def test_costs_of_an_ablated_model_match_the_computation(fields, pixels):
    model, config = AblationMixer(**fields), MixerConfig(**fields)
    reference = NumpyMixer(weights_by_name(model), fields["patch_size"], config.channel_groups)
    reference(pixels[:1])
    assert count_parameters(config) == model.count_params()
    assert count_multiply_adds(config) == reference.multiply_adds


def test_untying_multiplies_the_parameters_of_token_mixing_by_the_channels():
    """Supplement A.1: "effectively multiplying the number of parameters by C"."""
    tied, untied = MixerConfig(**TINY_MIXER), MixerConfig(**TINY_MIXER, untied=True)
    token_mixing = 3 * (12 * 10 + 10 + 10 * 12 + 12)
    assert count_parameters(untied) - count_parameters(tied) == (8 - 1) * token_mixing
    assert count_multiply_adds(untied) == count_multiply_adds(tied)


def test_ablated_model_is_the_same_after_save_and_load(fields, pixels, tmp_path):
    model = randomize(AblationMixer(**fields))
    assert_same_after_save_and_load(model, pixels, tmp_path / "model.keras")


def test_ablated_layers_are_the_same_after_a_round_trip(tmp_path):
    options = dict(groups=2, views=True, untied=True, tokens_out=3)
    token_mixing = TokenMixing(6, dropout=0.1, exact_gelu=True, **options)
    assert_layer_round_trip(token_mixing, (8, 5), tmp_path)
    block = AblationMixerBlock(6, 10, 0.1, True, 0.2, True, ablation=options)
    assert_layer_round_trip(block, (5, 8), tmp_path)


def test_config_selects_the_class_of_the_model(fields):
    model = create_model("mixer", **fields)
    assert type(model) is AblationMixer and isinstance(model, MlpMixer)
    assert type(create_model("mixer", **TINY_MIXER)) is MlpMixer


def test_the_papers_model_refuses_ablations():
    message = "MlpMixer builds the paper's own model, .*; got untied, pyramid. Use create_model"
    with pytest.raises(ValueError, match=message):
        MlpMixer(**TINY_MIXER, untied=True, pyramid=(12, 5, 5))


def test_without_options_the_model_is_the_papers(pixels):
    model, other = MlpMixer(**TINY_MIXER), AblationMixer(**TINY_MIXER)
    other.set_weights(randomize(model).get_weights())
    np.testing.assert_array_equal(other(pixels), model(pixels))


def test_new_untied_weights_are_lecun_normal_for_each_channel():
    layer = TokenMixing(30, untied=True, groups=2)
    layer(tf.zeros((1, 100, 20)))
    assert layer.dense_0.kernel.shape == (50, 40, 30)
    assert layer.dense_0.kernel.numpy().std() == pytest.approx(40**-0.5, rel=0.02)
    assert layer.dense_1.kernel.numpy().std() == pytest.approx(30**-0.5, rel=0.02)


def test_untied_mlps_with_equal_weights_equal_the_shared_mlp():
    x = np.random.default_rng(0).normal(size=(2, 6, 8)).astype(np.float32)
    shared = MixerBlock(5, 7, name="block")
    untied = AblationMixerBlock(5, 7, ablation=dict(untied=True), name="block")
    shared(x), untied(x)
    values = weights_by_name(randomize(shared))
    for name, weight in zip(weights_by_name(untied), untied.weights, strict=True):
        is_token_mixing = "token_mixing" in name
        weight.assign(np.stack([values[name]] * 8) if is_token_mixing else values[name])
    np.testing.assert_allclose(untied(x), shared(x), rtol=1e-5, atol=1e-6)


def test_ablated_model_trains_under_xla_in_mixed_precision(pixels):
    fields = {**TINY_MIXER, **ABLATIONS["all"], "num_blocks": 1, "pyramid": (7,)}
    model = randomize(AblationMixer(**fields, dtype="mixed_bfloat16"))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss, jit_compile=True)
    before = model.get_weights()
    model.fit(pixels, np.array([0, 1, 2]), epochs=5, verbose=0)
    assert all((old != new).any() for old, new in zip(before, model.get_weights(), strict=True))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(channel_groups=3), "channel_groups must divide hidden_dim; got channel_groups=3"),
        (dict(channel_groups=3), "hidden_dim=8. Use 2 or 4."),
        (dict(channel_views=True), "channel_views requires groups; got channel_groups=1. Use 2"),
        (dict(pyramid=(12, 6)), r"one number of tokens for each block .* got pyramid=\(12, 6\), n"),
        (dict(pyramid=(6, 12, 6)), "must not increase"),
        (dict(pyramid=(13, 12, 6)), "more tokens than there are patches; got 13 tokens, 12 p"),
    ],
)
def test_impossible_ablation_is_a_clear_error(options, message):
    with pytest.raises(ValueError, match=message):
        MixerConfig(**TINY_MIXER, **options)
